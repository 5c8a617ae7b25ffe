/**
 * A dump in a file system: written as `<dest>.incomplete`, synced, renamed, its directory synced.
 *
 * A run that fails leaves what it has under that name. Dumps are readable by their owner alone.
 */
import { dirname } from "node:path";
import { LOCK_EX, LOCK_NB, O_CREAT, O_EXCL, O_RDWR, S_IFDIR, S_IFMT } from "../../ffi/constants.ts";
import { EINVAL, EOPNOTSUPP, LibcError } from "../../ffi/errno.ts";
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

export class FileSink implements Sink {
  readonly holes: boolean;
  /** why `direct` was asked for and is not done */
  readonly directRefused: boolean;
  bytesWritten = 0;
  readonly #file: File;
  readonly #direct: DirectWriter | undefined;
  readonly #zeros: Mapping;
  readonly #writeback: Writeback;

  private constructor(
    readonly path: string,
    file: File,
    options: FileSinkOptions,
  ) {
    const { libc } = file;
    this.#file = file;
    this.holes = options.sparse;
    const direct = options.direct ? openDirect(libc, file.path) : undefined;
    this.directRefused = options.direct && direct === undefined;
    this.#direct = direct && new DirectWriter(direct);
    this.#zeros = Mapping.buffer(libc, ZERO_BUFFER);
    this.#writeback = new Writeback(file, options.resumeAt ?? 0);
  }

  /**
   * Opens `<dest>.incomplete`, for one writer at a time.
   *
   * @throws VmcopyError E_EXISTS where a dump or an incomplete one is there and was not to be replaced
   */
  static open(libc: Libc, dest: string, options: FileSinkOptions): FileSink {
    checkDestination(libc, dest, options.force);
    const path = incompletePath(dest);
    const resumes = options.resumeAt !== undefined;
    if (!resumes && !options.force && libc.status(path) !== undefined) {
      throw new VmcopyError(
        "E_EXISTS",
        `Cannot write ${dest}: ${path} is there, from a copy that did not end; go on with it by --resume, or replace it by --force`,
      );
    }
    // Truncated only once it is locked: another writer's file stays as it is.
    const file = File.open(libc, path, O_RDWR | (resumes ? 0 : O_CREAT | (options.force ? 0 : O_EXCL)), MODE);
    try {
      if (libc.backend.calls.flock(file.fd, LOCK_EX | LOCK_NB) === -1) {
        throw new VmcopyError("E_EXISTS", `Cannot write ${path}: another vmcopy is writing it`);
      }
      file.truncate(options.resumeAt ?? 0);
      return new FileSink(dest, file, options);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** Bytes that the file system has left for this user. */
  available(): number {
    return this.#file.fileSystem().available;
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
    if (this.#direct === undefined) this.#writeback.settle(offset);
  }

  /** Syncs the data. The name stays `<dest>.incomplete` until {@link FileSink.commit}. */
  finish(size: number): void {
    this.#file.truncate(size);
    this.#file.sync();
    this.#writeback.dropAll();
  }

  /** Gives the dump its name. @throws LibcError */
  commit(): void {
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
}

function checkDestination(libc: Libc, dest: string, force: boolean): void {
  const status = libc.status(dest);
  if (status === undefined) return;
  if ((status.mode & S_IFMT) === S_IFDIR) {
    throw new VmcopyError("E_USAGE", `Cannot write ${dest}: it is a directory; name the file to write in it`);
  }
  if (!force) {
    throw new VmcopyError("E_EXISTS", `Cannot write ${dest}: it is there already; replace it by --force`);
  }
}
