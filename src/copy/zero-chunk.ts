/** A chunk of zeros and its digest: what a hole reads as. Never written to, it takes no memory of its own. */
import type { Libc } from "../../ffi/libc.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { xxh3 } from "../kernels/xxh3.ts";
import { CHUNK } from "../vmcore/window.ts";

export class ZeroChunk implements Disposable {
  readonly #memory: Mapping;
  readonly #bytes: Uint8Array;
  #whole: bigint | undefined;

  constructor(libc: Libc) {
    this.#memory = Mapping.buffer(libc, CHUNK);
    this.#bytes = this.#memory.bytes();
  }

  bytes(length: number): Uint8Array {
    return length === CHUNK ? this.#bytes : this.#bytes.subarray(0, length);
  }

  digest(length: number): bigint {
    if (length < CHUNK) return xxh3(this.bytes(length));
    this.#whole ??= xxh3(this.bytes(CHUNK));
    return this.#whole;
  }

  [Symbol.dispose](): void {
    this.#memory.unmap();
  }
}
