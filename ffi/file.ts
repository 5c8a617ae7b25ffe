/** An open file: a descriptor with its path, so that an error can name it. */
import {
  BLKGETSIZE64,
  O_CLOEXEC,
  O_DIRECTORY,
  O_RDONLY,
  POLLIN,
  POLLOUT,
  S_IFBLK,
  S_IFMT,
} from "./constants.ts";
import { EAGAIN, EINTR, EIO, LibcError } from "./errno.ts";
import type { FileStatus, FileSystemStatus, Libc } from "./libc.ts";
import { POLLFD } from "./structs.ts";

export class File implements Disposable {
  #open = true;

  constructor(
    readonly libc: Libc,
    readonly fd: number,
    readonly path: string,
  ) {}

  /** Opens a file; it is closed on exec. @param flags O_RDONLY and so on @throws LibcError */
  static open(libc: Libc, path: string, flags = O_RDONLY, mode = 0): File {
    return new File(libc, libc.open(path, flags | O_CLOEXEC, mode), path);
  }

  /** Makes a directory's entries durable, a rename among them. @throws LibcError */
  static syncDirectory(libc: Libc, path: string): void {
    using directory = File.open(libc, path, O_RDONLY | O_DIRECTORY);
    directory.sync();
  }

  status(): FileStatus {
    return this.libc.statusOf(this.fd, this.path);
  }

  fileSystem(): FileSystemStatus {
    return this.libc.fileSystemOf(this.fd, this.path);
  }

  /** Size in bytes: of a block device, its capacity. @throws LibcError */
  size(): number {
    const status = this.status();
    if ((status.mode & S_IFMT) !== S_IFBLK) return status.size;
    const at = this.libc.structure();
    this.libc.check("ask the size of", this.path, this.#calls.ioctl(this.fd, BLKGETSIZE64, at));
    return Number(this.libc.structureView.getBigUint64(0, true));
  }

  /**
   * Reads until `length` bytes are there or the file ends.
   *
   * @returns bytes read @throws LibcError, with what was read before it lost
   */
  pread(address: number, length: number, offset: number): number {
    let done = 0;
    while (done < length) {
      const count = this.libc.retry("read", this.path, () =>
        this.#calls.pread(this.fd, address + done, length - done, offset + done),
      );
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  /** Writes all of it at a place. @returns nothing; bytes before a failure may be written @throws LibcError */
  pwrite(address: number, length: number, offset: number): void {
    let done = 0;
    while (done < length) {
      const count = this.libc.retry("write", this.path, () =>
        this.#calls.pwrite(this.fd, address + done, length - done, offset + done),
      );
      // Nothing written and no reason given: asking again would never end.
      if (count === 0) throw new LibcError("write", this.path, EIO);
      done += count;
    }
  }

  /**
   * Writes what it takes, where the file stands.
   *
   * @returns bytes written; 0 where a non-blocking pipe is full
   * @throws LibcError
   */
  write(address: number, length: number): number {
    try {
      return this.libc.retry("write", this.path, () => this.#calls.write(this.fd, address, length));
    } catch (error) {
      if (error instanceof LibcError && error.errno === EAGAIN) return 0;
      throw error;
    }
  }

  /** Reads what there is, where the file stands. @returns bytes read; 0 at its end @throws LibcError */
  read(address: number, length: number): number {
    return this.libc.retry("read", this.path, () => this.#calls.read(this.fd, address, length));
  }

  /** Waits until it takes data again, or the time is over. @param timeout milliseconds @throws LibcError */
  waitUntilWritable(timeout: number): void {
    this.#wait(POLLOUT, timeout);
  }

  /** Waits until there is something to read, its end too. @returns false where the time is over @throws LibcError */
  waitUntilReadable(timeout: number): boolean {
    return this.#wait(POLLIN, timeout) > 0;
  }

  #wait(events: number, timeout: number): number {
    const at = this.libc.structure();
    this.libc.structureView.setInt32(POLLFD.fd, this.fd, true);
    this.libc.structureView.setInt16(POLLFD.events, events, true);
    return this.libc.retry("wait for", this.path, () => this.#calls.poll(at, 1, timeout));
  }

  truncate(size: number): void {
    this.libc.retry("resize", this.path, () => this.#calls.ftruncate(this.fd, size));
  }

  /** Writes the file's data and metadata through to the device. @throws LibcError */
  sync(): void {
    this.libc.retry("sync", this.path, () => this.#calls.fsync(this.fd));
  }

  /** Closes it. Calling it again does nothing. @throws LibcError: a late write error of a network file system */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    // Linux releases the descriptor even where close(2) is interrupted: never again, and no failure.
    if (this.#calls.close(this.fd) === -1 && this.libc.backend.errno() !== EINTR) {
      this.libc.check("close", this.path, -1);
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }

  get #calls() {
    return this.libc.backend.calls;
  }
}
