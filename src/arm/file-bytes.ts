/** A file's bytes at any place, read in windows: what looks at headers here and there takes little memory. */
import { File } from "../../ffi/file.ts";
import type { Libc } from "../../ffi/libc.ts";
import { Mapping } from "../../ffi/mapping.ts";

const WINDOW = 256 << 10;

export class FileBytes implements Disposable {
  /** bytes of the file */
  readonly size: number;
  readonly #file: File;
  readonly #memory: Mapping;
  #window: Uint8Array = new Uint8Array();
  #start = 0;

  /** @throws LibcError */
  constructor(libc: Libc, path: string) {
    this.#file = File.open(libc, path);
    this.size = this.#file.size();
    this.#memory = Mapping.buffer(libc, WINDOW);
  }

  /**
   * Some bytes, fewer where the file ends.
   *
   * @param length at most 256 KiB
   * @returns a view that is good until the next call @throws LibcError
   */
  at(offset: number, length: number): Uint8Array {
    if (offset < this.#start || offset + length > this.#start + this.#window.length) this.#read(offset);
    return this.#window.subarray(offset - this.#start, offset - this.#start + length);
  }

  /** One byte; undefined behind the end. @throws LibcError */
  byte(offset: number): number | undefined {
    const at = offset - this.#start;
    return at >= 0 && at < this.#window.length ? this.#window[at] : this.at(offset, 1)[0];
  }

  /** The bytes from `offset` to `end`, copied, piece by piece. @throws LibcError */
  *pieces(offset: number, end: number): Generator<Uint8Array> {
    for (let at = offset; at < end; at += WINDOW) yield this.at(at, Math.min(WINDOW, end - at)).slice();
  }

  #read(offset: number): void {
    const length = offset < this.size ? this.#file.pread(this.#memory.address, WINDOW, offset) : 0;
    this.#window = this.#memory.bytes(0, length);
    this.#start = offset;
  }

  [Symbol.dispose](): void {
    this.#file.close();
    this.#memory.unmap();
  }
}
