/** Bitmaps over PFNs, as dump formats have them: PFN p is bit p & 7 of byte p >> 3. */
import type { PfnRun } from "./memory.ts";

/** Runs of set bits in [start, end) of a bitmap, whole words at a time. @yields ascending */
export function* runsOfBits(bits: Uint8Array, start: number, end: number): Generator<PfnRun> {
  const words = new Int32Array(bits.buffer, bits.byteOffset, bits.byteLength >> 2);
  for (let at = start; at < end; ) {
    const from = nextBit(words, at, end, 0);
    if (from >= end) return;
    const to = nextBit(words, from, end, -1);
    yield { start: from, end: to };
    at = to;
  }
}

/** The first bit at or behind `at` that is not as all bits of `skipped` (0 or -1) are; `end` where there is none. */
function nextBit(words: Int32Array, at: number, end: number, skipped: number): number {
  for (let index = at >> 5; index * 32 < end; index++) {
    let word = (words[index] as number) ^ skipped;
    if (index === at >> 5) word &= -1 << (at & 31);
    if (word !== 0) return Math.min(end, index * 32 + 31 - Math.clz32(word & -word));
  }
  return end;
}

/** Sets the bits of [start, end). */
export function setBits(bits: Uint8Array, start: number, end: number): void {
  for (let at = start; at < end; ) {
    const wholeEnd = end & ~7;
    if ((at & 7) === 0 && at < wholeEnd) {
      bits.fill(0xff, at >> 3, wholeEnd >> 3);
      at = wholeEnd;
    } else {
      bits[at >> 3] = (bits[at >> 3] as number) | (1 << (at & 7));
      at++;
    }
  }
}

/** Clears the bits of [start, end). @returns how many of them were set */
export function clearBits(bits: Uint8Array, start: number, end: number): number {
  let count = 0;
  for (let at = start; at < end; ) {
    const byte = at >> 3;
    const last = Math.min(end, (byte + 1) * 8);
    const mask = ((1 << (last - byte * 8)) - 1) & ~((1 << (at & 7)) - 1);
    const value = bits[byte] as number;
    count += BITS[value & mask] as number;
    bits[byte] = value & ~mask;
    at = last;
  }
  return count;
}

/** Set bits of each byte. */
const BITS = Uint8Array.from({ length: 256 }, (_, byte) => byte.toString(2).replaceAll("0", "").length);

/** Set bits of a bitmap. */
export function countBits(bits: Uint8Array): number {
  let count = 0;
  for (let i = 0; i < bits.length; i++) count += BITS[bits[i] as number] as number;
  return count;
}
