/**
 * A dump on a block device, from its first byte.
 *
 * A device has no name to change and no size to cut, so the mark of an incomplete dump is its first page: it is
 * zeroed first and written last, after everything else is durable. A reader then either finds a whole vmcore or
 * no ELF header.
 */
import { O_EXCL, O_RDWR } from "../../ffi/constants.ts";
import { LibcError } from "../../ffi/errno.ts";
import { File } from "../../ffi/file.ts";
import type { Libc } from "../../ffi/libc.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { VmcopyError } from "../errors.ts";
import { formatSize } from "../units.ts";
import { DirectWriter, openDirect } from "./direct.ts";
import { type Sink, ZERO_BUFFER } from "./sink.ts";
import { Writeback } from "./writeback.ts";

/** Other file systems, partition tables and volumes have their signatures in the first page. */
const BTRFS_MAGIC = "_BHRfS_M";
const BTRFS_MAGIC_AT = 0x10040;

export class BlockSink implements Sink {
  /** What the device held before would show through a hole. */
  readonly holes = false;
  readonly rewritable = true;
  bytesWritten = 0;
  readonly #file: File;
  readonly #direct: DirectWriter | undefined;
  readonly #zeros: Mapping;
  readonly #writeback: Writeback;
  readonly #firstPage: Mapping;

  private constructor(
    readonly path: string,
    file: File,
    direct: boolean,
  ) {
    const { libc } = file;
    this.#file = file;
    const directFile = direct ? openDirect(libc, path) : undefined;
    this.#direct = directFile && new DirectWriter(directFile, file);
    this.#zeros = Mapping.buffer(libc, ZERO_BUFFER);
    this.#firstPage = Mapping.buffer(libc, libc.pageSize);
    this.#writeback = new Writeback(file, 0);
    this.#write(this.#zeros.address, libc.pageSize, 0);
    file.sync();
  }

  /**
   * Opens a device that nothing is mounted from, and takes the mark of a whole dump off it.
   *
   * @param size bytes the dump will have
   * @param force overwrite a device that holds something
   * @throws VmcopyError E_NO_SPACE where the device is smaller, E_EXISTS where something is on it; LibcError EBUSY
   *   where it is in use
   */
  static open(libc: Libc, path: string, size: number, direct: boolean, force: boolean): BlockSink {
    const file = openExclusive(libc, path);
    try {
      const capacity = file.size();
      if (capacity < size) {
        throw new VmcopyError(
          "E_NO_SPACE",
          `Cannot write to ${path}: the dump needs ${formatSize(size)} (${size} bytes), the device has ${formatSize(capacity)} (${capacity} bytes)`,
        );
      }
      if (!force && !isBlank(file)) {
        throw new VmcopyError(
          "E_EXISTS",
          `Cannot write to ${path}: something is on it, a dump or a file system; overwrite it by --force`,
        );
      }
      return new BlockSink(path, file, direct);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  data(address: number, length: number, offset: number): void {
    const skipped = Math.max(0, Math.min(length, this.#firstPage.length - offset));
    if (skipped > 0) {
      this.#file.libc.backend.calls.memcpy(this.#firstPage.address + offset, address, skipped);
    }
    if (length > skipped) this.#write(address + skipped, length - skipped, offset + skipped);
    this.bytesWritten += length;
  }

  zeros(length: number, offset: number): void {
    for (let done = 0; done < length; done += ZERO_BUFFER) {
      this.data(this.#zeros.address, Math.min(ZERO_BUFFER, length - done), offset + done);
    }
  }

  settle(offset: number): void {
    if (this.#direct === undefined) this.#writeback.settle(offset);
  }

  sync(): void {
    this.#file.sync();
  }

  /** The first page is held back until the end. */
  read(address: number, length: number, offset: number): number {
    const count = this.#file.pread(address, length, offset);
    const held = Math.min(length, this.#firstPage.length - offset);
    if (held > 0) this.#file.libc.backend.calls.memcpy(address, this.#firstPage.address + offset, held);
    return count;
  }

  finish(): void {
    this.#file.sync();
    this.#write(this.#firstPage.address, this.#firstPage.length, 0);
    this.#file.sync();
    this.#writeback.dropAll();
  }

  close(): void {
    this.#zeros.unmap();
    this.#firstPage.unmap();
    this.#direct?.[Symbol.dispose]();
    this.#direct?.file.close();
    this.#file.close();
  }

  #write(address: number, length: number, offset: number): void {
    if (this.#direct === undefined) this.#file.pwrite(address, length, offset);
    else this.#direct.write(address, length, offset);
  }
}

/** Opens a device that nothing is mounted from. @throws VmcopyError E_IO, EBUSY among its reasons */
export function openExclusive(libc: Libc, path: string): File {
  try {
    // O_EXCL without O_CREAT: refused (EBUSY) while the device is mounted or part of an array.
    return File.open(libc, path, O_RDWR | O_EXCL);
  } catch (error) {
    if (!(error instanceof LibcError)) throw error;
    const advice =
      error.code === "EBUSY" ? "; it is mounted or part of an array: unmount or stop it first" : "";
    throw new VmcopyError("E_IO", `${error.message}${advice}`, undefined, { cause: error });
  }
}

/** Whether nothing is on a device, or just a dump that did not end: its first page is zeros. */
function isBlank(file: File): boolean {
  const { libc } = file;
  using page = Mapping.buffer(libc, libc.pageSize);
  file.pread(page.address, libc.pageSize, 0);
  if (page.bytes().some((byte) => byte !== 0)) return false;
  const length = file.pread(page.address, BTRFS_MAGIC.length, BTRFS_MAGIC_AT);
  return new TextDecoder("latin1").decode(page.bytes(0, length)) !== BTRFS_MAGIC;
}
