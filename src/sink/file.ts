/**
 * A dump in a file system: written as `<dest>.incomplete`, synced, renamed, its directory synced.
 *
 * A run that fails leaves what it has under that name. Dumps are readable by their owner alone. Opening changes
 * nothing that is there: what an incomplete dump holds is given up only when {@link FileSink.begin} is called.
 */
import { dirname } from "node:path";
import { LOCK_EX, LOCK_NB, O_CREAT, O_EXCL, O_RDWR, S_IFDIR, S_IFMT } from "../../ffi/constants.ts";
import { EAGAIN, EINVAL, EOPNOTSUPP, LibcError } from "../../ffi/errno.ts";
import { File } from "../../ffi/file.ts";
import type { Libc } from "../../ffi/libc.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { VmcopyError } from "../errors.ts";
import { DirectWriter, openDirect } from "./direct.ts";
import { type Sink, ZERO_BUFFER } from "./sink.ts";
import { Writeback } from "./writeback.ts";

export interface FileSinkOptions {
  /** zeros become holes */
  readonly sparse: boolean;
  /** write past the page cache */
  readonly direct: boolean;
  /** replace an existing dump, or an incomplete one */
  readonly force: boolean;
  /** go on with the incomplete dump there is, from this offset; whatever lies behind it is cut off */
  readonly resumeAt?: number | undefined;
}

const MODE = 0o600;

/** The name a dump has until it is whole. */
export function incompletePath(dest: string): string {
  return `${dest}.incomplete`;
}

/** Bytes that a dump may take: those that are free for anybody, and those that root may have beside them. */
export interface Space {
  readonly available: number;
  readonly atMost: number;
}

export class FileSink implements Sink {
  readonly holes: boolean;
  readonly rewritable = true;
  bytesWritten = 0;
  #file: File;
  #direct: DirectWriter | undefined;
  #writeback: Writeback | undefined;
  readonly #zeros: Mapping;

  private constructor(
    readonly path: string,
    file: File,
    /** the incomplete dump was there before */
    readonly existed: boolean,
    readonly options: FileSinkOptions,
  ) {
    this.#file = file;
    this.holes = options.sparse;
    this.#zeros = Mapping.buffer(file.libc, ZERO_BUFFER);
  }

  /**
   * Opens `<dest>.incomplete`, for one writer at a time.
   *
   * @throws VmcopyError E_EXISTS where a dump or an incomplete one is there and was not to be replaced, E_IO
   *   where it cannot be made
   */
  static open(libc: Libc, dest: string, options: FileSinkOptions): FileSink {
    checkDestination(libc, dest, options.force);
    const path = incompletePath(dest);
    const existed = libc.status(path) !== undefined;
    if (existed && options.resumeAt === undefined && !options.force) {
      throw new VmcopyError(
        "E_EXISTS",
        `Cannot write ${dest}: ${path} is there, from a copy that did not end; go on with it by --resume, or replace it by --force`,
      );
    }
    const file = openFor(libc, dest, existed ? O_RDWR : O_RDWR | O_CREAT | O_EXCL);
    try {
      lock(file);
      return new FileSink(dest, file, existed, options);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** Bytes that the file system will have for this user once {@link FileSink.begin} was called. */
  space(): Space {
    const givenUp = this.#file.status().allocated - (this.options.resumeAt ?? 0);
    const { available, atMost } = this.#file.fileSystem();
    return { available: available + Math.max(0, givenUp), atMost: atMost + Math.max(0, givenUp) };
  }

  /**
   * Gives up what is not to be kept of an incomplete dump, and makes ready for writing.
   *
   * @returns whether O_DIRECT was asked for and the file system has none
   * @throws LibcError; VmcopyError E_EXISTS
   */
  begin(): { directRefused: boolean } {
    const { resumeAt, direct } = this.options;
    if (this.existed && resumeAt === undefined) this.#replace();
    const { libc, path } = this.#file;
    this.#file.truncate(resumeAt ?? 0);
    this.#writeback = new Writeback(this.#file, resumeAt ?? 0);
    const directFile = direct ? openDirect(libc, path) : undefined;
    this.#direct = directFile && new DirectWriter(directFile, this.#file);
    return { directRefused: direct && directFile === undefined };
  }

  /** Reserves the file's whole space, where the file system can. @throws LibcError ENOSPC */
  reserve(size: number): void {
    const { libc, fd, path } = this.#file;
    try {
      libc.retry("reserve space for", path, () => libc.backend.calls.fallocate(fd, 0, 0, size));
    } catch (error) {
      if (!(error instanceof LibcError) || ![EOPNOTSUPP, EINVAL].includes(error.errno)) throw error;
    }
  }

  data(address: number, length: number, offset: number): void {
    if (this.#direct === undefined) this.#file.pwrite(address, length, offset);
    else this.#direct.write(address, length, offset);
    this.bytesWritten += length;
  }

  zeros(length: number, offset: number): void {
    if (this.holes) return;
    for (let done = 0; done < length; ) {
      const piece = Math.min(ZERO_BUFFER, length - done);
      this.data(this.#zeros.address, piece, offset + done);
      done += piece;
    }
  }

  settle(offset: number): void {
    if (this.#direct === undefined) this.#writeback?.settle(offset);
  }

  sync(): void {
    this.#file.sync();
  }

  read(address: number, length: number, offset: number): number {
    return this.#file.pread(address, length, offset);
  }

  /** Syncs the data. The name stays `<dest>.incomplete` until {@link FileSink.commit}. */
  finish(size: number): void {
    this.#file.truncate(size);
    this.#file.sync();
    this.#writeback?.dropAll();
  }

  /** Gives the dump its name. @throws VmcopyError E_EXISTS where something has that name by now; LibcError */
  commit(): void {
    checkDestination(this.#file.libc, this.path, this.options.force);
    this.#file.libc.rename(this.#file.path, this.path);
  }

  /** Makes renames in the dump's directory durable. @throws LibcError */
  syncDirectory(): void {
    File.syncDirectory(this.#file.libc, dirname(this.path));
  }

  close(): void {
    this.#zeros.unmap();
    this.#direct?.[Symbol.dispose]();
    this.#direct?.file.close();
    this.#file.close();
  }

  /** A new file for the incomplete dump that was there: its mode and links may be anything. */
  #replace(): void {
    const old = this.#file;
    old.libc.unlink(old.path);
    this.#file = openFor(old.libc, this.path, O_RDWR | O_CREAT | O_EXCL);
    // The old one is locked until the new one is.
    lock(this.#file);
    old.close();
  }
}

/** Refuses a name that a dump cannot get. @throws VmcopyError E_USAGE, E_EXISTS */
export function checkDestination(libc: Libc, dest: string, force: boolean): void {
  if (dest === "") throw new VmcopyError("E_USAGE", "Cannot write the dump: its name is empty");
  const status = libc.status(dest);
  if (status === undefined) return;
  if ((status.mode & S_IFMT) === S_IFDIR) {
    throw new VmcopyError("E_USAGE", `Cannot write ${dest}: it is a directory; name the file to write in it`);
  }
  if (!force) {
    throw new VmcopyError("E_EXISTS", `Cannot write ${dest}: it is there already; replace it by --force`);
  }
}

/** What to do where a file cannot be made, by errno. */
const ADVICE: Record<string, (directory: string) => string> = {
  ENOENT: (directory) => `; there is no directory ${directory}: make it, or mount what it lies on`,
  EROFS: (directory) => `; mount ${directory} writable (mount -o remount,rw)`,
  EACCES: (directory) => `; vmcopy may not write in ${directory}: run it as root`,
};

function openFor(libc: Libc, dest: string, flags: number): File {
  try {
    return File.open(libc, incompletePath(dest), flags, MODE);
  } catch (error) {
    if (!(error instanceof LibcError)) throw error;
    const advice = ADVICE[error.code]?.(dirname(dest)) ?? "";
    const code = ["ENOSPC", "EDQUOT"].includes(error.code) ? "E_NO_SPACE" : "E_IO";
    throw new VmcopyError(code, `${error.message}${advice}`, undefined, { cause: error });
  }
}

function lock(file: File): void {
  const { libc, fd, path } = file;
  // A kernel without file locks (CONFIG_FILE_LOCKING, NFS without a lock daemon) has nobody to tell of another.
  const locked = libc.backend.calls.flock(fd, LOCK_EX | LOCK_NB) === 0 || libc.backend.errno() !== EAGAIN;
  // The other writer may have renamed or replaced the file between open and lock: then it is not ours to cut.
  if (!locked || libc.status(path)?.identity !== file.status().identity) {
    throw new VmcopyError("E_EXISTS", `Cannot write ${path}: another vmcopy is writing it; let it end first`);
  }
}
