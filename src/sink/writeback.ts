/**
 * Writes finished ranges of a file through and drops them from the page cache, behind the writer.
 *
 * Without this, a copy of 1 TiB fills a small machine's memory with dirty pages, and the last fsync takes as
 * long as the copy. The writer stays one range ahead of the device: while range n is written by the program,
 * range n-1 is under way, and n-2 is waited for and dropped.
 *
 * Ranges are as large as the device is fast: nobody is told how far the work has come, and no watchdog is fed, while
 * one of them, or the last fsync, is waited for.
 */
import {
  POSIX_FADV_DONTNEED,
  RAMFS_MAGIC,
  S_IFBLK,
  S_IFMT,
  SYNC_FILE_RANGE_WAIT_AFTER,
  SYNC_FILE_RANGE_WAIT_BEFORE,
  SYNC_FILE_RANGE_WRITE,
  TMPFS_MAGIC,
} from "../../ffi/constants.ts";
import { EINVAL, ENOSYS, LibcError } from "../../ffi/errno.ts";
import type { File } from "../../ffi/file.ts";

/** Bytes of a range, at the most: large enough for a disk to be busy, small beside a crash kernel's memory. */
const LARGEST_RANGE = 8 << 20;
/** At first and at the least, where the writer hands over as little: a dump of pages comes 1 MiB at a time. */
const SMALLEST_RANGE = 256 << 10;
/** Milliseconds that a range is waited for: below, the next are larger; above, smaller. */
const SHORT_WAIT = 100;
const LONG_WAIT = 500;
const ESPIPE = 29;

export class Writeback {
  readonly #file: File;
  #enabled: boolean;
  /** Everything before is dropped; everything before #started is under way. */
  #dropped: number;
  #started: number;
  #range = SMALLEST_RANGE;

  /** @param from where the writer begins, bytes from the file's start */
  constructor(file: File, from: number) {
    this.#file = file;
    const { type } = file.fileSystem();
    // A file system in memory has nothing to write through to; but a device's node lies in one, /dev.
    const isDevice = (file.status().mode & S_IFMT) === S_IFBLK;
    this.#enabled = isDevice || (type !== TMPFS_MAGIC && type !== RAMFS_MAGIC);
    this.#dropped = from;
    this.#started = from;
  }

  /** Everything before `offset` is written. @throws LibcError where the device could not take it */
  settle(offset: number): void {
    if (!this.#enabled || offset - this.#started < this.#range) return;
    const started = this.#started;
    this.#flush(started, offset - started, SYNC_FILE_RANGE_WRITE);
    this.#started = offset;
    if (started > this.#dropped) {
      const all = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
      const before = performance.now();
      this.#flush(this.#dropped, started - this.#dropped, all);
      this.#adapt(performance.now() - before);
      const { calls } = this.#file.libc.backend;
      // Advice: whether the kernel follows it changes nothing but the cache.
      calls.posix_fadvise(this.#file.fd, this.#dropped, started - this.#dropped, POSIX_FADV_DONTNEED);
      this.#dropped = started;
    }
  }

  /** Drops what is left, once the file is synced. */
  dropAll(): void {
    if (this.#enabled) this.#file.libc.backend.calls.posix_fadvise(this.#file.fd, 0, 0, POSIX_FADV_DONTNEED);
  }

  #adapt(waited: number): void {
    if (waited < SHORT_WAIT) this.#range = Math.min(LARGEST_RANGE, this.#range * 2);
    if (waited > LONG_WAIT) this.#range = Math.max(SMALLEST_RANGE, this.#range / 2);
  }

  #flush(offset: number, length: number, flags: number): void {
    const { libc, fd, path } = this.#file;
    try {
      libc.retry("write through", path, () => libc.backend.calls.sync_file_range(fd, offset, length, flags));
    } catch (error) {
      if (!(error instanceof LibcError) || ![EINVAL, ENOSYS, ESPIPE].includes(error.errno)) throw error;
      // Not on this file system: the last fsync does it all.
      this.#enabled = false;
    }
  }
}
