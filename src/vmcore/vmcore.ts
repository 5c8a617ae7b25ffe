/** A vmcore that is open for reading: /proc/vmcore itself, or a file or block device that holds one. */
import {
  O_NONBLOCK,
  O_RDONLY,
  PROC_SUPER_MAGIC,
  RAMFS_MAGIC,
  S_IFBLK,
  S_IFMT,
  S_IFREG,
  TMPFS_MAGIC,
} from "../../ffi/constants.ts";
import { LibcError } from "../../ffi/errno.ts";
import { File } from "../../ffi/file.ts";
import type { Libc } from "../../ffi/libc.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { VmcopyError } from "../errors.ts";
import { type ByteReader, type ElfHeaders, readElfHeaders } from "./elf.ts";
import { type FileRange, fileRanges, PhysicalMap } from "./layout.ts";
import { type Note, readNotes, readVmcoreinfoText } from "./notes.ts";
import { Vmcoreinfo } from "./vmcoreinfo.ts";

/** What serves the file's pages: the kernel's old memory, a file system in memory, or a disk. */
export type Backing = "procfs" | "memory" | "disk";

/** The most that is read of a file in one piece through {@link ByteReader}. */
const READ_LIMIT = 2 << 20;

export class Vmcore implements ByteReader, Disposable {
  readonly headers: ElfHeaders;
  readonly ranges: readonly FileRange[];
  readonly physical: PhysicalMap;
  #notes: Note[] | undefined;
  #info: Vmcoreinfo | undefined;

  private constructor(
    readonly file: File,
    /** bytes */
    readonly size: number,
    readonly backing: Backing,
  ) {
    this.headers = readElfHeaders(this);
    this.ranges = fileRanges(this.headers.loads, size, file.libc.pageSize);
    this.physical = new PhysicalMap(this.headers.loads);
  }

  /**
   * Opens a vmcore and checks its headers.
   *
   * @throws VmcopyError E_NOT_VMCORE, or E_IO where it cannot be opened
   */
  static open(libc: Libc, path: string): Vmcore {
    const file = openSource(libc, path);
    try {
      const type = file.status().mode & S_IFMT;
      const system = file.fileSystem().type;
      const inMemory = system === TMPFS_MAGIC || system === RAMFS_MAGIC;
      const backing =
        system === PROC_SUPER_MAGIC ? "procfs" : inMemory && type === S_IFREG ? "memory" : "disk";
      const size = file.size();
      if (size > Number.MAX_SAFE_INTEGER) {
        throw new VmcopyError(
          "E_NOT_VMCORE",
          `Cannot read ${path} as a vmcore: its size is ${size}, more than 2^53 bytes`,
        );
      }
      return new Vmcore(file, size, backing);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** A vmcore in an open file, which is its own from then on. @throws VmcopyError E_NOT_VMCORE */
  static of(file: File): Vmcore {
    return new Vmcore(file, file.size(), "disk");
  }

  get path(): string {
    return this.file.path;
  }

  /** The notes, read at first use. @throws VmcopyError E_NOT_VMCORE where they are malformed */
  get notes(): readonly Note[] {
    this.#notes ??= readNotes(this, this.headers);
    return this.#notes;
  }

  /** VMCOREINFO, read at first use; empty where the file has none. @throws VmcopyError E_NOT_VMCORE */
  get info(): Vmcoreinfo {
    this.#info ??= new Vmcoreinfo(readVmcoreinfoText(this, this.notes) ?? "");
    return this.#info;
  }

  /** @throws LibcError; RangeError where more than 2 MiB are asked for */
  read(offset: number, length: number): Uint8Array<ArrayBuffer> {
    if (length > READ_LIMIT)
      throw new RangeError(`Cannot read ${length} bytes at once: more than ${READ_LIMIT}`);
    const { libc } = this.file;
    using buffer = Mapping.buffer(libc, Math.max(length, 1));
    return buffer.bytes(0, this.file.pread(buffer.address, length, offset)).slice();
  }

  [Symbol.dispose](): void {
    this.file.close();
  }
}

/** Opens a vmcore or a dump for reading. @throws VmcopyError E_NOT_VMCORE where it is no file or block device; LibcError */
export function openForReading(libc: Libc, path: string): File {
  // O_NONBLOCK: a FIFO is opened at once, to be refused, and not when somebody writes to it.
  const file = File.open(libc, path, O_RDONLY | O_NONBLOCK);
  const type = file.status().mode & S_IFMT;
  if (type === S_IFREG || type === S_IFBLK) return file;
  file.close();
  throw new VmcopyError(
    "E_NOT_VMCORE",
    `Cannot read ${path} as a vmcore: it is neither a file nor a block device`,
  );
}

function openSource(libc: Libc, path: string): File {
  try {
    return openForReading(libc, path);
  } catch (error) {
    if (!(error instanceof LibcError)) throw error;
    const advice =
      path === "/proc/vmcore" && error.code === "ENOENT"
        ? ": there is one only in a kernel that kdump started after a crash; to try vmcopy elsewhere, make one with `vmcopy sample FILE`"
        : "";
    throw new VmcopyError("E_IO", `${error.message}${advice}`, undefined, { cause: error });
  }
}
