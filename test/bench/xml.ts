/** As much of an XML parser as charts need: throws where a document is not well-formed. */

export interface Element {
  name: string;
  attributes: Record<string, string>;
  children: Element[];
  /** Character data, entities resolved. */
  text: string;
}

const TOKEN = /<(\/?)([A-Za-z][\w:-]*)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>|([^<]+)/y;
const ENTITIES: Record<string, string> = {
  "&amp;": "&",
  "&lt;": "<",
  "&gt;": ">",
  "&quot;": '"',
  "&#39;": "'",
};

export function parseXml(source: string): Element {
  const root: Element = { name: "", attributes: {}, children: [], text: "" };
  const open = [root];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < source.length) {
    const at = TOKEN.lastIndex;
    const [, closing, name = "", attributes = "", empty, data] = TOKEN.exec(source) ?? [];
    const parent = open.at(-1);
    if (parent === undefined) throw new Error(`more than one root at ${at}`);
    if (data !== undefined) parent.text += resolve(data);
    else if (closing) {
      if (open.pop()?.name !== name) throw new Error(`</${name}> closes nothing at ${at}`);
    } else if (name === "") throw new Error(`not well-formed at ${at}: ${source.slice(at, at + 40)}`);
    else {
      const pairs = [...attributes.matchAll(/([\w:-]+)="([^"]*)"/g)].map(([, key, value]) => [
        key,
        resolve(value ?? ""),
      ]);
      if (new Set(pairs.map(([key]) => key)).size !== pairs.length)
        throw new Error(`attribute twice at ${at}`);
      const element: Element = { name, attributes: Object.fromEntries(pairs), children: [], text: "" };
      parent.children.push(element);
      if (!empty) open.push(element);
    }
  }
  if (open.length !== 1 || root.children.length !== 1) throw new Error("an element is left open");
  return root.children[0] as Element;
}

/** All elements below `element`, itself included. */
export function descendants(element: Element): Element[] {
  return [element, ...element.children.flatMap(descendants)];
}

/** Whether the element is of this class. */
export function is(element: Element, kind: string): boolean {
  return (element.attributes.class ?? "").split(" ").includes(kind);
}

function resolve(data: string): string {
  return data.replace(/&[^;]*;?/g, (entity) => {
    const char = ENTITIES[entity];
    if (char === undefined) throw new Error(`unknown entity ${entity}`);
    return char;
  });
}
