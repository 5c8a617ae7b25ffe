/**
 * Memory that the kernel mapped: a window of a file, or a page-aligned buffer.
 *
 * A mapping has a life. After {@link Mapping.unmap} its ArrayBuffer is detached, so every view that was ever
 * taken of it has length zero, and its address can no longer be asked for. It is unmapped whole or not at all:
 * on /proc/vmcore, unmapping the middle of a window loses the kernel's memory-type reservation for good.
 */
import { MAP_ANONYMOUS, MAP_FAILED, MAP_PRIVATE, PROT_READ, PROT_WRITE } from "./constants.ts";
import { LibcError } from "./errno.ts";
import type { File } from "./file.ts";
import type { Libc } from "./libc.ts";

export class Mapping implements Disposable {
  readonly #libc: Libc;
  readonly #address: number;
  #buffer: ArrayBuffer | undefined;
  #mapped = true;

  private constructor(
    libc: Libc,
    address: number,
    /** bytes */
    readonly length: number,
  ) {
    this.#libc = libc;
    this.#address = address;
  }

  /**
   * Maps a window of a file for reading.
   *
   * @param offset bytes from the file's start, a multiple of the page size
   * @param length bytes
   * @throws LibcError as mmap(2) fails
   */
  static ofFile(libc: Libc, file: File, offset: number, length: number): Mapping {
    const { calls } = libc.backend;
    const result = calls.mmap(0, length, PROT_READ, MAP_PRIVATE, file.fd, offset);
    return new Mapping(libc, libc.check("mmap", file.path, result), length);
  }

  /**
   * Asks for a mapping that may well be refused, to learn whether it is. What is granted is unmapped at once.
   *
   * @param protection PROT_READ and so on
   * @param flags MAP_PRIVATE or MAP_SHARED
   * @returns why mmap(2) refused it; undefined where it was granted
   */
  static refusal(
    libc: Libc,
    file: File,
    offset: number,
    length: number,
    protection: number,
    flags: number,
  ): LibcError | undefined {
    const { backend } = libc;
    const result = backend.calls.mmap(0, length, protection, flags, file.fd, offset);
    if (result === MAP_FAILED) return new LibcError("mmap", file.path, backend.errno());
    new Mapping(libc, result, length).unmap();
    return undefined;
  }

  /** Page-aligned zeroed memory, fit for O_DIRECT. @param length bytes @throws LibcError */
  static buffer(libc: Libc, length: number): Mapping {
    const { calls } = libc.backend;
    const result = calls.mmap(0, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return new Mapping(libc, libc.check("allocate", `${length} bytes`, result), length);
  }

  /** Where it lies in this process. @throws Error after unmap */
  get address(): number {
    if (!this.#mapped) throw new Error("Cannot use a mapping: it has been unmapped");
    return this.#address;
  }

  /** The memory as an ArrayBuffer; the same one each time, made at first use. @throws Error after unmap */
  get buffer(): ArrayBuffer {
    this.#buffer ??= this.#libc.backend.view(this.address, this.length);
    return this.#buffer;
  }

  /** A view of a part. @param offset bytes from the mapping's start @throws Error after unmap */
  bytes(offset = 0, length = this.length - offset): Uint8Array {
    return new Uint8Array(this.buffer, offset, length);
  }

  /** Ends the mapping and every view of it. Calling it again does nothing. @throws LibcError */
  unmap(): void {
    if (!this.#mapped) return;
    this.#mapped = false;
    this.#buffer?.transfer(0);
    this.#buffer = undefined;
    this.#libc.check("munmap", "", this.#libc.backend.calls.munmap(this.#address, this.length));
  }

  [Symbol.dispose](): void {
    this.unmap();
  }
}
