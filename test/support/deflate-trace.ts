/**
 * What a zlib stream of one block is made of, read from RFC 1951: tests see by it that a page is the case they mean.
 */

export interface DeflateTrace {
  /** 1: the fixed codes, 2: its own */
  readonly type: number;
  /** lengths of the codes of 2: for literals and lengths, for distances, for lengths of codes */
  readonly literals: readonly number[];
  readonly distances: readonly number[];
  readonly items: readonly number[];
  /** symbols of literals and lengths that occur */
  readonly used: ReadonlySet<number>;
  readonly matches: readonly { readonly length: number; readonly distance: number }[];
}

const ITEM_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
const FIXED: readonly number[] = Array.from({ length: 288 }, (_, symbol) =>
  symbol < 144 ? 8 : symbol < 256 ? 9 : symbol < 280 ? 7 : 8,
);

/** @throws Error where a code or the stream's end is not what the RFC says */
export function traceDeflate(stream: Uint8Array): DeflateTrace {
  let at = 16;
  const bits = (count: number): number => {
    let value = 0;
    for (let i = 0; i < count; i++, at++) {
      value += (((stream[at >> 3] as number) >> (at & 7)) & 1) * 2 ** i;
    }
    return value;
  };
  /** A code is known by a 1, then its bits. */
  const decoder = (lengths: readonly number[]) => {
    const symbols = new Map<number, number>();
    let code = 0;
    for (let length = 1; length <= 15; length++, code *= 2) {
      for (const [symbol, its] of lengths.entries()) {
        if (its === length) symbols.set(2 ** length + code++, symbol);
      }
    }
    if (code !== 2 ** 16) throw new Error("The code is not complete");
    return (): number => {
      for (let read = 1; ; ) {
        read = 2 * read + bits(1);
        const symbol = symbols.get(read);
        if (symbol !== undefined) return symbol;
        if (read >= 2 ** 16) throw new Error("No such code");
      }
    };
  };

  if (bits(1) !== 1) throw new Error("Not the last block");
  const type = bits(2);
  let literals = FIXED;
  let distances = Array<number>(32).fill(5);
  let items: number[] = [];
  if (type === 2) {
    const [literalsUsed, distancesUsed, itemsUsed] = [257 + bits(5), 1 + bits(5), 4 + bits(4)];
    items = Array<number>(19).fill(0);
    for (const item of ITEM_ORDER.slice(0, itemsUsed)) items[item] = bits(3);
    const item = decoder(items);
    const lengths: number[] = [];
    while (lengths.length < literalsUsed + distancesUsed) {
      const symbol = item();
      if (symbol < 16) lengths.push(symbol);
      else if (symbol === 16)
        lengths.push(...Array<number>(3 + bits(2)).fill(lengths[lengths.length - 1] as number));
      else lengths.push(...Array<number>(symbol === 17 ? 3 + bits(3) : 11 + bits(7)).fill(0));
    }
    literals = lengths.slice(0, literalsUsed);
    distances = lengths.slice(literalsUsed);
  }
  const [literal, distance] = [decoder(literals), decoder(distances)];
  const used = new Set<number>();
  const matches: { length: number; distance: number }[] = [];
  for (;;) {
    const symbol = literal();
    used.add(symbol);
    if (symbol === 256) break;
    if (symbol < 256) continue;
    const length = symbol === 285 ? 258 : value(symbol - 257, 4, 3, bits);
    matches.push({ length, distance: value(distance(), 2, 1, bits) });
  }
  if (Math.ceil(at / 8) + 4 !== stream.length) throw new Error("The block ends elsewhere than the stream");
  return { type, literals, distances, items, used, matches };
}

/** The value of a code and its extra bits, of which `group` codes have as many; the first value of all is `least`. */
function value(code: number, group: number, least: number, bits: (count: number) => number): number {
  if (code < 2 * group) return code + least;
  const extra = Math.floor(code / group) - 1;
  return (group + (code % group)) * 2 ** extra + least + bits(extra);
}
