/**
 * The pages of a dump, as a bitmap over all PFNs that is held packed: 1 TiB of RAM has 32 MiB of bits, and a few
 * hundred KiB of them once deflated. Built and read piece by piece, in ascending order.
 */
import { deflateRawSync, inflateRawSync } from "node:zlib";
import type { PfnRun } from "../vmcore/memory.ts";

/** PFNs of a piece: 32 KiB of bits, 1 GiB of RAM with pages of 4 KiB. */
export const PIECE_PFNS = 1 << 18;
const PIECE_BYTES = PIECE_PFNS / 8;

export class KeptPages {
  /** Deflated bits, or all of them alike: false none, true every one. */
  readonly #pieces: (Uint8Array | boolean)[] = [];
  /** The piece that was unpacked last. */
  readonly #bits = new Uint8Array(PIECE_BYTES);
  #unpacked = -1;
  #count = 0;

  /** pages that are kept */
  get count(): number {
    return this.#count;
  }

  /** bytes of memory that the pieces take */
  get packedBytes(): number {
    return this.#pieces.reduce((sum, piece) => sum + (typeof piece === "boolean" ? 8 : piece.length), 0);
  }

  /** Adds the next piece. @param bits PIECE_PFNS / 8 bytes, the bit of PFN p at byte p >> 3, bit p & 7 */
  push(bits: Uint8Array): void {
    const count = countBits(bits);
    this.#count += count;
    const alike = count === 0 ? false : count === PIECE_PFNS ? true : undefined;
    this.#pieces.push(alike ?? deflateRawSync(bits, { level: 1 }));
  }

  /** The bits of a piece; good until the next call. Behind the last piece there are none. */
  bits(piece: number): Uint8Array {
    if (piece === this.#unpacked) return this.#bits;
    const packed = this.#pieces[piece] ?? false;
    if (typeof packed === "boolean") this.#bits.fill(packed ? 0xff : 0);
    else this.#bits.set(inflateRawSync(packed));
    this.#unpacked = piece;
    return this.#bits;
  }

  has(pfn: number): boolean {
    const bits = this.bits(Math.floor(pfn / PIECE_PFNS));
    const inside = pfn % PIECE_PFNS;
    return ((bits[inside >> 3] as number) & (1 << (inside & 7))) !== 0;
  }

  /** Kept pages of [start, end). @yields ascending runs; a run ends where its piece ends */
  *runs(start: number, end: number): Generator<PfnRun> {
    for (let at = start; at < end; ) {
      const piece = Math.floor(at / PIECE_PFNS);
      const first = piece * PIECE_PFNS;
      const stop = Math.min(end, first + PIECE_PFNS);
      if (this.#pieces[piece] === true) yield { start: at, end: stop };
      else if (this.#pieces[piece] !== undefined && this.#pieces[piece] !== false) {
        for (const run of runsOfBits(this.bits(piece), at - first, stop - first)) {
          yield { start: first + run.start, end: first + run.end };
          // Whoever took the run may have asked for another piece.
          this.bits(piece);
        }
      }
      at = stop;
    }
  }

  /** Kept pages of [start, end). */
  countIn(start: number, end: number): number {
    let count = 0;
    for (const run of this.runs(start, end)) count += run.end - run.start;
    return count;
  }
}

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
