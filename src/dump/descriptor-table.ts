/**
 * The page descriptors of a kdump-compressed dump, written as they become known: 24 bytes each, so many at a time.
 * What is not written yet is zeros in the file, which readers take for a page that is lost, as it is.
 */

import type { DumpOutput } from "./dump-file.ts";
import { DESCRIPTOR_SIZE } from "./kdump-header.ts";

/** Descriptors that are gathered. */
const BATCH = 8192;

export class DescriptorTable {
  readonly #output: DumpOutput;
  readonly #bytes = new Uint8Array(BATCH * DESCRIPTOR_SIZE);
  readonly #words = new Uint32Array(this.#bytes.buffer);
  #offset: number;
  #count = 0;

  /** @param offset bytes from the dump's start */
  constructor(output: DumpOutput, offset: number) {
    this.#output = output;
    this.#offset = offset;
  }

  /** Whether {@link DescriptorTable.flush} has to be called before another one is added. */
  get isFull(): boolean {
    return this.#count === BATCH;
  }

  /** @param offset of the page's data; 0 with size 0 where the page is lost @param flags which codec */
  add(offset: number, size: number, flags: number): void {
    const at = (this.#count++ * DESCRIPTOR_SIZE) / 4;
    this.#words[at] = offset % 2 ** 32;
    this.#words[at + 1] = Math.floor(offset / 2 ** 32);
    this.#words[at + 2] = size;
    this.#words[at + 3] = flags;
  }

  /** Writes what was gathered. */
  async flush(): Promise<void> {
    if (this.#count === 0) return;
    const length = this.#count * DESCRIPTOR_SIZE;
    await this.#output.writeBytes(this.#bytes.subarray(0, length), this.#offset);
    this.#offset += length;
    this.#count = 0;
    // The last two words of a descriptor (page_flags) are always zeros; the others are written anew.
  }
}
