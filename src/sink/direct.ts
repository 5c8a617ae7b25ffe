/**
 * O_DIRECT writes through a bounce buffer.
 *
 * The kernel refuses to write straight from a mapping of /proc/vmcore (EFAULT: there is no struct page to pin),
 * and wants addresses, offsets and lengths in multiples of the device's block.
 */
import { O_DIRECT, O_WRONLY } from "../../ffi/constants.ts";
import { EINVAL, LibcError } from "../../ffi/errno.ts";
import { File } from "../../ffi/file.ts";
import type { Libc } from "../../ffi/libc.ts";
import { Mapping } from "../../ffi/mapping.ts";

/** Bytes moved at once. */
const BOUNCE = 1 << 20;

/** Opens a file again for O_DIRECT. @returns undefined where its file system has none @throws LibcError */
export function openDirect(libc: Libc, path: string): File | undefined {
  try {
    return File.open(libc, path, O_WRONLY | O_DIRECT);
  } catch (error) {
    if (error instanceof LibcError && error.errno === EINVAL) return undefined;
    throw error;
  }
}

export class DirectWriter implements Disposable {
  readonly #bounce: Mapping;

  constructor(readonly file: File) {
    this.#bounce = Mapping.buffer(file.libc, BOUNCE);
  }

  /**
   * Writes memory at a page-aligned offset. A length that is no multiple of the page size (the end of a file)
   * is filled up with zeros: truncate the file to its size afterwards.
   *
   * @throws LibcError
   */
  write(address: number, length: number, offset: number): void {
    const { libc } = this.file;
    for (let done = 0; done < length; ) {
      const piece = Math.min(BOUNCE, length - done);
      libc.backend.calls.memcpy(this.#bounce.address, address + done, piece);
      const rounded = Math.ceil(piece / libc.pageSize) * libc.pageSize;
      if (rounded > piece) this.#bounce.bytes(piece, rounded - piece).fill(0);
      this.file.pwrite(this.#bounce.address, rounded, offset + done);
      done += piece;
    }
  }

  [Symbol.dispose](): void {
    this.#bounce.unmap();
  }
}
