/**
 * libc as the rest of the program sees it: a failed call throws a {@link LibcError}, an interrupted one is
 * made again, paths are strings and structures are objects.
 *
 * Files are in {@link ./file.ts}, memory in {@link ./mapping.ts}.
 */
import { type Backend, loadBackend } from "./backend.ts";
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  PROT_READ,
  PROT_WRITE,
  SC_PAGESIZE,
  STATX_BASIC_STATS,
} from "./constants.ts";
import { EINTR, LibcError } from "./errno.ts";
import { STATFS, STATX } from "./structs.ts";

/** What statx(2) says of a file. */
export interface FileStatus {
  /** file type and permission bits, as in st_mode */
  readonly mode: number;
  /** bytes */
  readonly size: number;
  /** bytes that are really allocated */
  readonly allocated: number;
  readonly blockSize: number;
  /** identity of the file: device and inode number */
  readonly identity: string;
}

/** What fstatfs(2) says of a file system. */
export interface FileSystemStatus {
  /** f_type, for example PROC_SUPER_MAGIC */
  readonly type: number;
  /** bytes that anybody may still write */
  readonly available: number;
  /** bytes of those, and for root of the ones kept back, some of which the file system itself may need */
  readonly atMost: number;
}

// The scratch page run: two paths, then one structure, or a third path in its place.
const SCRATCH_LENGTH = 16384;
const SECOND_PATH = 4608;
const STRUCTURE = 12288;
const PATH_LIMIT = 4096;
const THIRD_PATH = STRUCTURE;

export class Libc {
  readonly pageSize: number;
  readonly #scratch: number;
  readonly #scratchBytes: Uint8Array;
  readonly #structure: DataView;

  constructor(readonly backend: Backend) {
    this.pageSize = backend.calls.sysconf(SC_PAGESIZE);
    this.#scratch = this.check(
      "mmap",
      "",
      backend.calls.mmap(0, SCRATCH_LENGTH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
    );
    const scratch = backend.view(this.#scratch, SCRATCH_LENGTH);
    this.#scratchBytes = new Uint8Array(scratch);
    this.#structure = new DataView(scratch, STRUCTURE);
  }

  /** libc of the runtime this program runs on. @throws Error where it cannot be loaded */
  static async load(): Promise<Libc> {
    return new Libc(await loadBackend());
  }

  /** Gives back a call's result, or throws its errno. @throws LibcError where the result is -1 */
  check(call: string, path: string, result: number): number {
    if (result === -1) throw new LibcError(call, path, this.backend.errno());
    return result;
  }

  /** Makes a call again for as long as a signal interrupts it. @throws LibcError where it fails */
  retry(call: string, path: string, make: () => number): number {
    for (;;) {
      const result = make();
      if (result !== -1) return result;
      const errno = this.backend.errno();
      if (errno !== EINTR) throw new LibcError(call, path, errno);
    }
  }

  /** Opens a file. @returns the file descriptor @throws LibcError */
  open(path: string, flags: number, mode = 0): number {
    return this.retry("open", path, () => this.backend.calls.open(this.path(path), flags, mode));
  }

  /** Renames a file within one file system, in one step. @throws LibcError */
  rename(from: string, to: string): void {
    const { calls } = this.backend;
    this.check("rename", `${from} to ${to}`, calls.rename(this.path(from), this.path(to, SECOND_PATH)));
  }

  /** Removes a file's name. @throws LibcError */
  unlink(path: string): void {
    this.check("remove", path, this.backend.calls.unlink(this.path(path)));
  }

  /** Makes a directory. @throws LibcError EEXIST where anything has that name */
  makeDirectory(path: string, mode: number): void {
    this.check("make directory", path, this.backend.calls.mkdir(this.path(path), mode));
  }

  /** Removes an empty directory. @throws LibcError */
  removeDirectory(path: string): void {
    this.check("remove", path, this.backend.calls.rmdir(this.path(path)));
  }

  /** Mounts a device's file system. @param flags MS_NODEV and so on @throws LibcError */
  mount(device: string, directory: string, type: string, flags: number): void {
    const { calls } = this.backend;
    const [from, to] = [this.path(device), this.path(directory, SECOND_PATH)];
    this.check("mount", device, calls.mount(from, to, this.path(type, THIRD_PATH), flags, 0));
  }

  /** Takes away what is mounted there. @throws LibcError EBUSY where it is in use */
  unmount(directory: string): void {
    this.check("unmount", directory, this.backend.calls.umount2(this.path(directory), 0));
  }

  /** A file by its path. @returns undefined where there is none @throws LibcError */
  status(path: string): FileStatus | undefined {
    try {
      return this.#statx(AT_FDCWD, path, 0, path);
    } catch (error) {
      if (error instanceof LibcError && error.code === "ENOENT") return undefined;
      throw error;
    }
  }

  /** An open file. @param path what to call it in an error @throws LibcError */
  statusOf(fd: number, path: string): FileStatus {
    return this.#statx(fd, "", AT_EMPTY_PATH, path);
  }

  /** The file system under an open file. @throws LibcError */
  fileSystemOf(fd: number, path: string): FileSystemStatus {
    const at = this.structure();
    this.retry("statfs", path, () => this.backend.calls.fstatfs(fd, at));
    const blockSize = Number(this.#structure.getBigInt64(STATFS.f_bsize, true));
    const bytesOf = (field: number) => Number(this.#structure.getBigUint64(field, true)) * blockSize;
    return {
      type: Number(this.#structure.getBigInt64(STATFS.f_type, true)),
      available: bytesOf(STATFS.f_bavail),
      atMost: bytesOf(process.getuid?.() === 0 ? STATFS.f_bfree : STATFS.f_bavail),
    };
  }

  /** Address of a cleared piece of scratch memory (4096 bytes) for a structure; good until the next call. */
  structure(): number {
    this.#scratchBytes.fill(0, STRUCTURE);
    return this.#scratch + STRUCTURE;
  }

  /** The scratch structure's contents. */
  get structureView(): DataView {
    return this.#structure;
  }

  /** A path as C wants it. @returns its address; good until the next path at the same place */
  path(path: string, place = 0): number {
    const { read, written } = new TextEncoder().encodeInto(
      path,
      this.#scratchBytes.subarray(place, place + PATH_LIMIT),
    );
    if (read !== path.length || path.includes("\0")) {
      throw new LibcError("use path", JSON.stringify(path.slice(0, 80)), path.includes("\0") ? 22 : 36);
    }
    this.#scratchBytes[place + written] = 0;
    return this.#scratch + place;
  }

  #statx(directory: number, path: string, flags: number, name: string): FileStatus {
    const at = this.structure();
    const { calls } = this.backend;
    this.retry("stat", name, () => calls.statx(directory, this.path(path), flags, STATX_BASIC_STATS, at));
    const view = this.#structure;
    const device = `${view.getUint32(STATX.stx_dev_major, true)}:${view.getUint32(STATX.stx_dev_minor, true)}`;
    return {
      mode: view.getUint16(STATX.stx_mode, true),
      size: Number(view.getBigUint64(STATX.stx_size, true)),
      allocated: Number(view.getBigUint64(STATX.stx_blocks, true)) * 512,
      blockSize: view.getUint32(STATX.stx_blksize, true),
      identity: `${device}:${view.getBigUint64(STATX.stx_ino, true)}`,
    };
  }
}
