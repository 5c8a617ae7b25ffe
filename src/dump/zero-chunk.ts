/** A chunk of zeros and its digest: what a hole reads as. Never written to, it takes no memory of its own. */
import type { Libc } from "../../ffi/libc.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { xxh3 } from "../kernels/xxh3.ts";

export class ZeroChunk implements Disposable {
  readonly #memory: Mapping;
  readonly #bytes: Uint8Array;
  #whole: bigint | undefined;

  /** @param chunkSize bytes */
  constructor(libc: Libc, chunkSize: number) {
    this.#memory = Mapping.buffer(libc, chunkSize);
    this.#bytes = this.#memory.bytes();
  }

  bytes(length: number): Uint8Array {
    return length === this.#bytes.length ? this.#bytes : this.#bytes.subarray(0, length);
  }

  digest(length: number): bigint {
    if (length < this.#bytes.length) return xxh3(this.bytes(length));
    this.#whole ??= xxh3(this.#bytes);
    return this.#whole;
  }

  [Symbol.dispose](): void {
    this.#memory.unmap();
  }
}
