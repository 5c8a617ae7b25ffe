/** A stretch of an open file or device, as a file of its own. It is read and written, and cannot be mapped. */
import { S_IFMT, S_IFREG } from "./constants.ts";
import { ENOSPC, LibcError } from "./errno.ts";
import { File } from "./file.ts";
import type { FileStatus } from "./libc.ts";

export class FileWindow extends File {
  /** @param base, length bytes of `file`, which is closed with its window */
  constructor(
    readonly file: File,
    readonly base: number,
    readonly length: number,
  ) {
    super(file.libc, file.fd, file.path);
  }

  /** An ordinary file without holes, whatever it is a part of. */
  override status(): FileStatus {
    const { mode, ...status } = this.file.status();
    const own = { mode: (mode & ~S_IFMT) | S_IFREG, size: this.length, allocated: this.length };
    return { ...status, ...own };
  }

  override size(): number {
    return this.length;
  }

  override pread(address: number, length: number, offset: number): number {
    const most = Math.max(0, Math.min(length, this.length - offset));
    return this.file.pread(address, most, this.base + offset);
  }

  /** @throws LibcError ENOSPC for what would lie beyond its end; nothing is written then */
  override pwrite(address: number, length: number, offset: number): void {
    if (offset + length > this.length) throw new LibcError("write", this.path, ENOSPC);
    this.file.pwrite(address, length, this.base + offset);
  }

  override close(): void {
    this.file.close();
  }
}
