/**
 * A new segment in the making: pieces are added, each gets its address at once, the bytes come at the end.
 */

import { alignUp, type ProgramHeader, PT_LOAD } from "./elf64.ts";

/** A stretch of memory that is filled from its beginning; every piece begins at a multiple of 16. */
export class Area {
  readonly base: number;
  #size = 0;
  #pieces: { at: number; bytes: Uint8Array }[] = [];

  constructor(base: number) {
    this.base = base;
  }

  align(unit: number): void {
    this.#size = alignUp(this.#size, unit);
  }

  /** @returns the address of `size` bytes, zero for now */
  reserve(size: number): number {
    this.align(16);
    const at = this.#size;
    this.#size += size;
    return this.base + at;
  }

  /** @returns the address of these bytes */
  add(bytes: Uint8Array): number {
    const address = this.reserve(bytes.length);
    this.#pieces.push({ at: address - this.base, bytes });
    return address;
  }

  addString(text: string): number {
    return this.add(new TextEncoder().encode(`${text}\0`));
  }

  finish(): Uint8Array {
    const bytes = new Uint8Array(this.#size);
    for (const piece of this.#pieces) bytes.set(piece.bytes, piece.at);
    return bytes;
  }

  /** The segment's program header, for a file that holds it at `offset`. Flags are PF_*, `align` is in bytes. */
  header(offset: number, flags: number, align: number): ProgramHeader {
    return {
      type: PT_LOAD,
      flags,
      offset,
      address: this.base,
      physicalAddress: this.base,
      fileSize: this.#size,
      memorySize: this.#size,
      align,
    };
  }
}
