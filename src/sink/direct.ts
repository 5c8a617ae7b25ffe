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
  /** A file system may have O_DIRECT and still refuse the write, for blocks larger than a page. */
  #refused = false;

  /** @param plain the same file, opened without O_DIRECT */
  constructor(
    readonly file: File,
    readonly plain: File,
  ) {
    this.#bounce = Mapping.buffer(file.libc, BOUNCE);
  }

  /**
   * Writes memory at a page-aligned offset. The end of a file that is no whole number of pages goes through the
   * page cache: rounded up, it might not fit its device.
   *
   * @throws LibcError
   */
  write(address: number, length: number, offset: number): void {
    const { libc } = this.file;
    const whole = length - (length % libc.pageSize);
    for (let done = 0; done < whole; done += BOUNCE) {
      const piece = Math.min(BOUNCE, whole - done);
      libc.backend.calls.memcpy(this.#bounce.address, address + done, piece);
      this.#writePiece(piece, offset + done);
    }
    if (length > whole) this.plain.pwrite(address + whole, length - whole, offset + whole);
  }

  #writePiece(length: number, offset: number): void {
    if (!this.#refused) {
      try {
        this.file.pwrite(this.#bounce.address, length, offset);
        return;
      } catch (error) {
        if (!(error instanceof LibcError) || error.errno !== EINVAL) throw error;
        this.#refused = true;
      }
    }
    this.plain.pwrite(this.#bounce.address, length, offset);
  }

  [Symbol.dispose](): void {
    this.#bounce.unmap();
  }
}
