/**
 * The pages of a dump, as a bitmap over all PFNs that is held packed: 1 TiB of RAM has 32 MiB of bits, and a few
 * hundred KiB of them once deflated. Built and read piece by piece, in ascending order. The first pieces stay as they
 * are: to pack those of a common machine would take longer than the space is worth.
 */
import { deflateRawSync, inflateRawSync } from "node:zlib";
import type { PfnRun } from "../vmcore/memory.ts";
import { countBits, runsOfBits } from "../vmcore/pfn-bits.ts";

/** PFNs of a piece: 32 KiB of bits, 1 GiB of RAM with pages of 4 KiB. */
export const PIECE_PFNS = 1 << 18;
const PIECE_BYTES = PIECE_PFNS / 8;
/** Pieces that are not packed: 512 KiB, the bits of 16 GiB of RAM. */
const PLAIN_PIECES = 16;

export class KeptPages {
  /** Bits, deflated from PLAIN_PIECES on, or all of them alike: false none, true every one. */
  readonly #pieces: (Uint8Array | boolean)[] = [];
  /** The piece that was unpacked last. */
  readonly #bits = new Uint8Array(PIECE_BYTES);
  #unpacked = -1;
  #count = 0;

  /** pages that are kept */
  get count(): number {
    return this.#count;
  }

  /** Adds the next piece. @param bits PIECE_PFNS / 8 bytes, the bit of PFN p at byte p >> 3, bit p & 7 */
  push(bits: Uint8Array): void {
    const count = countBits(bits);
    this.#count += count;
    const alike = count === 0 ? false : count === PIECE_PFNS ? true : undefined;
    const isPlain = this.#pieces.length < PLAIN_PIECES;
    this.#pieces.push(alike ?? (isPlain ? bits.slice() : deflateRawSync(bits, { level: 1 })));
  }

  /** The bits of a piece; good until the next call. Behind the last piece there are none. */
  bits(piece: number): Uint8Array {
    if (piece === this.#unpacked) return this.#bits;
    const packed = this.#pieces[piece] ?? false;
    if (typeof packed === "boolean") this.#bits.fill(packed ? 0xff : 0);
    else if (piece < PLAIN_PIECES) this.#bits.set(packed);
    else this.#bits.set(inflateRawSync(packed));
    this.#unpacked = piece;
    return this.#bits;
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
