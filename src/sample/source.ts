/**
 * The memory of the pretended machine, page by page and in any order: its true objects first, else made-up
 * contents by kind.
 */
import { KERNEL, KindMap, ZERO } from "./kinds.ts";
import { kernelObjects, type MemoryObject } from "./objects.ts";
import { PageContents } from "./pages.ts";
import type { Machine } from "./plan.ts";

export class PageSource {
  readonly #kinds: KindMap;
  readonly #contents: PageContents;
  readonly #objects = new Map<number, MemoryObject>();

  constructor(machine: Machine) {
    this.#kinds = new KindMap(machine);
    this.#contents = new PageContents(machine);
    for (const object of kernelObjects(machine)) {
      for (let index = 0; index < object.pages; index++) this.#objects.set(object.firstPfn + index, object);
    }
  }

  /** Whether any page of a chunk of CHUNK_PAGES may be other than zero; chunk = PFN / CHUNK_PAGES. */
  mayHoldData(chunk: number): boolean {
    return this.#kinds.mayHoldData(chunk);
  }

  /**
   * Writes a page.
   *
   * @param out PAGE bytes; left alone where the page is zero
   * @returns the page's kind, an index into PAGE_KINDS
   */
  fillPage(pfn: number, out: Uint8Array): number {
    const object = this.#objects.get(pfn);
    const kind = this.#kinds.kindOf(pfn);
    if (!object) {
      if (kind !== ZERO) this.#contents.fill(kind, pfn, out);
      return kind;
    }
    out.fill(0);
    this.#contents.fill(kind, pfn, out);
    object.fillPage(pfn - object.firstPfn, out);
    return KERNEL;
  }
}
