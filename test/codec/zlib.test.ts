// zlib pages as the WASM encoder makes them: node's inflate gives back every page, of each shape that deflate has a rule
// for, and nothing is written behind the room that is asked for.
import { describe, expect, it } from "bun:test";
import { inflateSync } from "node:zlib";
import { privateKernels } from "../../src/kernels/module.ts";
import { type DeflateTrace, traceDeflate } from "../support/deflate-trace.ts";
import { Random } from "../support/random.ts";

const ZLIB = 1;
const MOST = 65536;
const SIZES = [4096, 16384, MOST];
const GUARD = 512;
/** An encoder's own room: the page and 8 bytes. */
const SLACK = 8;

const { kernels, base } = privateKernels(2 * MOST + 3 * GUARD + 64);
const memory = new Uint8Array(kernels.memory.buffer);
const output = base + MOST + GUARD;
/** What all that is no page is filled with. */
const FILLER = 0xa5;
const untouched = new Uint8Array(2 * MOST + GUARD).fill(FILLER);
const result = new Uint32Array(kernels.memory.buffer, output + MOST + GUARD, 4);

/** Packs a page between guards, looks after them, and holds what inflate makes of it against the page. */
function packed(page: Uint8Array): Uint8Array {
  const size = page.length;
  memory.fill(FILLER, base, result.byteOffset);
  memory.set(page, base);
  const length = kernels.packPages(ZLIB, base, 1, size, output, result.byteOffset) >>> 0;
  expect(Buffer.compare(memory.subarray(base, base + size), page)).toBe(0);
  const before = memory.subarray(base + size, output);
  const behind = memory.subarray(output + size + SLACK, result.byteOffset);
  for (const guard of [before, behind]) {
    expect(Buffer.compare(guard, untouched.subarray(0, guard.length))).toBe(0);
  }
  const stored = memory.slice(output, output + length);
  expect([result[0], length <= size]).toEqual([length, true]);
  if (length === 0) {
    expect(new BigUint64Array(page.buffer).every((word, _, all) => word === all[0])).toBe(true);
    return stored;
  }
  expect(result[1]).toBe(length < size ? ZLIB : 0);
  const back = result[1] === 0 ? stored : inflateSync(stored);
  if (Buffer.compare(back, page) !== 0) throw new Error("Another page came back");
  return stored;
}

function trace(page: Uint8Array): DeflateTrace {
  const stored = packed(page);
  expect(stored.length).toBeLessThan(page.length);
  return traceDeflate(stored);
}

/** Bytes of so many kinds. */
function mixed(random: Random, size: number, kinds: number): Uint8Array {
  return Uint8Array.from({ length: size }, () => random.below(kinds));
}

/** Zeros, of which hardly any place is looked at, and `bytes` at each of the places. */
function placed(size: number, bytes: Uint8Array, places: readonly number[]): Uint8Array {
  const page = new Uint8Array(size);
  for (const place of places) page.set(bytes, place);
  return page;
}

function text(random: Random, size: number): Uint8Array {
  const words = Array.from({ length: 300 }, () =>
    String.fromCharCode(...Array.from({ length: random.between(1, 9) }, () => 97 + random.below(26))),
  );
  let all = "";
  while (all.length < size) all += `${random.pick(words)}${random.chance(0.1) ? ".\n" : " "}`;
  return Uint8Array.from(Buffer.from(all.slice(0, size)));
}

describe.each(SIZES)("a page of %d bytes", (size) => {
  it("that is incompressible is stored as it is", () => {
    for (let seed = 0; seed < 20; seed++) {
      const page = new Random(seed).fill(new Uint8Array(size));
      expect(Buffer.compare(packed(page), page)).toBe(0);
    }
  });

  it("of zeros but for a few bytes", () => {
    const types = new Set<number>();
    for (let seed = 0; seed < 200; seed++) {
      const random = new Random(seed);
      const page = new Uint8Array(size);
      for (let i = random.between(1, 9); i > 0; i--) page[random.below(size)] = random.between(1, 255);
      const { type, matches } = trace(page);
      types.add(type);
      expect(matches.length).toBeLessThan(size / 258 + 30);
    }
    // The fixed codes are for few symbols.
    expect(types).toEqual(new Set(size === 4096 ? [1, 2] : [2]));
  });

  it("of one byte but for one", () => {
    for (const byte of [0, 1, 0x7f, 0x80, 0xff]) {
      for (const other of [0, 1, 15, size >> 1, size - 33, size - 4, size - 2, size - 1]) {
        const page = new Uint8Array(size).fill(byte);
        page[other] = byte ^ 0x55;
        expect(packed(page).length).toBeLessThan(size / 40);
      }
    }
  });

  it("of any period", () => {
    for (let period = 2; period < 400; period += period < 40 ? 1 : 13) {
      const random = new Random(period);
      const page = random.fill(new Uint8Array(size));
      page.copyWithin(period, 0, period);
      for (let at = period; at < size; at++) page[at] = page[at - period] as number;
      page[size - 1] = (page[size - 1] as number) ^ 1;
      const { matches } = trace(page);
      expect(matches.some((match) => match.distance === period)).toBe(true);
    }
  });

  it("of text, and of few kinds of bytes, is hardly larger than what it tells", () => {
    for (let seed = 0; seed < 20; seed++) {
      const random = new Random(seed);
      expect(packed(text(random, size)).length).toBeLessThan(size * 0.6);
      for (const kinds of [2, 3, 5]) packed(mixed(random, size, kinds));
      for (const kinds of [16, 64, 200]) {
        // The codes take 100 bytes or so.
        expect(packed(mixed(random, size, kinds)).length).toBeLessThan((size * Math.log2(kinds)) / 7.5 + 150);
      }
    }
  });

  it("with a match that ends where it ends", () => {
    for (let length = 1; length < 80; length++) {
      const page = mixed(new Random(length), size, 100);
      page.copyWithin(size - length, size - 700, size - 700 + length);
      packed(page);
      const zeros = placed(size, page.subarray(0, 80), [size - 3000]);
      zeros.copyWithin(size - length, size - 3000, size - 3000 + length);
      const { matches } = trace(zeros);
      if (length >= 18) expect(matches.at(-1)?.distance).toBe(3000 - length);
    }
  });

  it("ends a match where it ends, though what is behind it goes on", () => {
    for (let length = 1; length < 80; length++) {
      for (const more of [1, 3, 8, 100]) {
        const bytes = new Random(length).fill(new Uint8Array(200)).fill(FILLER, length, length + more);
        const page = placed(size, bytes, [size - 3000]);
        page.set(bytes.subarray(0, length), size - length);
        packed(page);
      }
    }
  });

  it("with runs of any length", () => {
    const lengths = new Set<number>();
    for (let run = 1; run < 1100; run++) {
      // About where a match must be cut, or has a code more.
      if (run > 40 && (run + 20) % 258 > 40) continue;
      const page = mixed(new Random(run), size, 128);
      page.fill(200, 8, 8 + run);
      for (const { length, distance } of trace(page).matches) if (distance === 1) lengths.add(length);
    }
    for (const length of [3, 4, 10, 11, 255, 256, 257, 258]) expect(lengths).toContain(length);
  });
});

describe("a code", () => {
  it("for distances has two lengths of 1 where one is used, or none", () => {
    const seen = new Set<number>();
    for (let seed = 0; seed < 40; seed++) {
      const page = mixed(new Random(seed), 4096, 120);
      const none = trace(page);
      page.fill(0, 1000, 1100);
      const one = trace(page);
      for (const { matches, distances } of [none, one]) {
        seen.add(matches.length);
        if (matches.length < 2) expect(distances.filter((length) => length > 0)).toEqual([1, 1]);
      }
    }
    expect([seen.has(0), seen.has(1)]).toEqual([true, true]);
  });

  it("for literals and lengths has all 286 symbols", () => {
    const random = new Random(1);
    const page = new Uint8Array(MOST);
    let at = 1;
    // Runs of each length behind the first byte, each of another byte; 261 is 258 and 3.
    for (const run of [...Array.from({ length: 255 }, (_, index) => 5 + index), 262]) {
      page.fill(run === 262 ? 4 : run & 255, at, at + run);
      at += run;
      for (let i = 0; i < 3; i++) page[at++] = random.below(256);
    }
    for (let byte = 0; byte < 256; byte++) page[at++] = byte;
    const { used, literals } = trace(page);
    expect([used.size, literals.filter((length) => length > 0).length]).toEqual([286, 286]);
  });

  it("that would be longer than 14 bits is not", () => {
    let longest = 0;
    for (let seed = 0; seed < 60; seed++) {
      const random = new Random(seed);
      // Fibonacci's numbers, the counts of the deepest trees, among bytes that are all as frequent.
      const page = mixed(random, MOST, 120);
      let [count, next] = [1, 1];
      for (let byte = 120; byte < 120 + 6 + (seed % 12); byte++) {
        for (let i = 0; i < count; i++) page[random.below(MOST)] = byte;
        [count, next] = [next, count + next];
      }
      longest = Math.max(longest, ...trace(page).literals);
    }
    expect(longest).toBe(14);
  });
});

describe("a distance", () => {
  it("is 32768 at most, and that too", () => {
    const bytes = new Random(3).fill(new Uint8Array(100));
    const far = (distance: number) =>
      trace(placed(MOST, bytes, [500, 500 + distance])).matches.map((match) => match.distance);
    for (const distance of [1000, 24576, 24577, 32766, 32767, 32768])
      expect(far(distance)).toContain(distance);
    for (const distance of [32769, 32770, 40000, 65000 - 500]) {
      expect(Math.max(...far(distance))).toBeLessThan(32769);
    }
  });

  it("of every code is the one that was meant", () => {
    for (let code = 0; code < 30; code++) {
      const extra = code < 4 ? 0 : (code >> 1) - 1;
      const first = code < 4 ? code + 1 : (2 + (code & 1)) * 2 ** extra + 1;
      for (const distance of [first, first + 2 ** extra - 1]) {
        if (distance < 64) continue;
        const bytes = new Random(code).fill(new Uint8Array(60));
        const { matches } = trace(placed(MOST, bytes, [700, 700 + distance]));
        expect(matches.some((match) => match.distance === distance)).toBe(true);
      }
    }
  });
});

/** A page of stretches of all kinds. */
function patchwork(random: Random, size: number): Uint8Array {
  const page = new Uint8Array(size);
  const kinds = random.pick([2, 10, 60, 256]);
  for (let at = 0; at < size; ) {
    const length = Math.min(size - at, random.pick([1, 3, 8, 30, 300, 3000]) + random.below(8));
    const kind = random.below(6);
    if (kind === 0) page.fill(random.below(256), at, at + length);
    else if (kind === 1) for (let i = at; i < at + length; i++) page[i] = random.below(kinds);
    else if (kind === 2) random.fill(page.subarray(at, at + length));
    else if (kind === 3 && at > 0) {
      const distance = random.chance(0.5) ? 1 + random.below(Math.min(at, 16)) : 1 + random.below(at);
      for (let i = at; i < at + length; i++) page[i] = page[i - distance] as number;
    } else if (kind === 4) {
      // Pointers: high bytes the same, low ones not.
      for (let i = at; i < at + length; i++)
        page[i] = i % 8 > 4 ? 0xff : i % 8 > 2 ? 0x88 : random.below(256);
    }
    at += length;
  }
  return page;
}

it.each([
  [4096, 4000],
  [16384, 800],
  [MOST, 200],
])("pages of %d bytes of all kinds of stretches come back, %d of them", (size, count) => {
  const types = new Map<number, number>();
  let longestItem = 0;
  for (let seed = 1; seed <= count; seed++) {
    const stored = packed(patchwork(new Random(seed * 3 + size), size));
    // A page costs the tracer more than all else.
    if (seed % 4 > 0 || stored.length === 0 || stored.length === size) continue;
    const { type, items } = traceDeflate(stored);
    types.set(type, (types.get(type) ?? 0) + 1);
    longestItem = Math.max(longestItem, ...items);
  }
  expect(types.get(2)).toBeGreaterThan(count / 8);
  if (size === 4096) expect(types.get(1)).toBeGreaterThan(count / 40);
  expect(longestItem).toBe(7);
});

it("a batch is packed back to back", () => {
  const size = 4096;
  const pages = Array.from({ length: 14 }, (_, seed) => patchwork(new Random(seed), size));
  pages[3] = new Uint8Array(size).fill(7);
  const count = pages.length;
  const instance = privateKernels(3 * count * size);
  const all = new Uint8Array(instance.kernels.memory.buffer);
  const out = instance.base + (count + 1) * size;
  const results = out + (count + 2) * size;
  for (const [index, page] of pages.entries()) all.set(page, instance.base + index * size);
  const length = instance.kernels.packPages(ZLIB, instance.base, count, size, out, results);
  const words = new Uint32Array(all.buffer, results, 4 * count);
  let at = out;
  for (const [index, page] of pages.entries()) {
    const [stored, flags] = [words[4 * index] as number, words[4 * index + 1]];
    if (index === 3) expect([stored, words[4 * index + 2]]).toEqual([0, 0x07070707]);
    else expect(flags).toBe(stored < size ? ZLIB : 0);
    if (stored > 0) expect(Buffer.from(packed(page))).toEqual(Buffer.from(all.slice(at, at + stored)));
    at += stored;
  }
  expect(at - out).toBe(length);
});
