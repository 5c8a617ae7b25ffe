/** A sample in memory: what was written, by offset; all else reads as zeros. */
import type { SampleOutput } from "../../src/sample/sample.ts";

export class MemoryOutput implements SampleOutput {
  size = 0;
  dataBytes = 0;
  /** writes in the order they came */
  readonly #writes: { offset: number; bytes: Uint8Array }[] = [];

  truncate(size: number): void {
    this.size = size;
  }

  write(offset: number, bytes: Uint8Array): void {
    const last = this.#writes.at(-1);
    if (last && last.offset + last.bytes.length > offset)
      throw new Error(`write at ${offset} overlaps or goes back`);
    if (offset + bytes.length > this.size) throw new Error(`write at ${offset} is past the end`);
    this.#writes.push({ offset, bytes: bytes.slice() });
    this.dataBytes += bytes.length;
  }

  read(offset: number, length: number): Uint8Array<ArrayBuffer> {
    const out = new Uint8Array(Math.min(length, this.size - offset));
    for (const { offset: from, bytes } of this.#writes) {
      const start = Math.max(from, offset);
      const end = Math.min(from + bytes.length, offset + out.length);
      if (start < end) out.set(bytes.subarray(start - from, end - from), start - offset);
    }
    return out;
  }

  /** SHA-256 of size, offsets and bytes: neighbouring writes may be split in any way. */
  digest(): string {
    const hasher = new Bun.CryptoHasher("sha256").update(String(this.size));
    let next = -1;
    for (const { offset, bytes } of this.#writes) {
      if (offset !== next) hasher.update(`@${offset}`);
      hasher.update(bytes);
      next = offset + bytes.length;
    }
    return hasher.digest("hex");
  }
}
