/**
 * The directory of one capture. It is `<name>.incomplete` until everything in it is whole, and gets its name by a
 * rename: what a power cut leaves is either a capture or recognisably none.
 */
import { basename, join } from "node:path";
import { LOCK_EX, LOCK_NB, O_WRONLY } from "../../ffi/constants.ts";
import { EAGAIN, LibcError } from "../../ffi/errno.ts";
import { File } from "../../ffi/file.ts";
import type { Libc } from "../../ffi/libc.ts";
import { writeBytes, writeWhole } from "../../ffi/whole-file.ts";
import { manifestPath } from "../dump/manifest.ts";
import { VmcopyError } from "../errors.ts";
import { incompletePath } from "../sink/file.ts";
import { DUMP, isFull, LOG, RECORD, type Store } from "./store.ts";

/** The record is padded to so many bytes, so that a full disk has room for a later one in its place. */
const RECORD_ROOM = 16 << 10;
/** An end of the log that is shorter, in bytes, says nothing. */
const LEAST_LOG = 512;
/** Names tried where the first is taken. */
const MOST_NAMES = 1000;

export class CaptureDirectory implements Store {
  readonly isRaw = false;
  readonly holes = true;
  readonly ending = "name";
  #path: string;
  /** Locked for as long as it is worked in: no other capture takes it for an old one. */
  #lock: File | undefined;

  private constructor(
    readonly libc: Libc,
    /** where it lies */
    readonly parent: string,
    /** what it will be called */
    readonly name: string,
  ) {
    this.#path = incompletePath(join(parent, name));
  }

  /** Makes it, durable; beside others of that name it is `<name>-2` and so on. @throws VmcopyError E_IO */
  static create(libc: Libc, parent: string, name: string): CaptureDirectory {
    for (let count = 1; count <= MOST_NAMES; count++) {
      const directory = new CaptureDirectory(libc, parent, count === 1 ? name : `${name}-${count}`);
      if (libc.status(join(parent, directory.name)) !== undefined) continue;
      try {
        libc.makeDirectory(directory.path, 0o700);
        directory.#lock = File.open(libc, directory.path);
        libc.backend.calls.flock(directory.#lock.fd, LOCK_EX | LOCK_NB);
        File.syncDirectory(libc, parent);
        return directory;
      } catch (error) {
        if (!(error instanceof LibcError)) throw error;
        if (error.code !== "EEXIST")
          throw new VmcopyError("E_IO", `${error.message}${makingAdvice(error, parent)}`);
      }
    }
    throw new VmcopyError(
      "E_IO",
      `Cannot make ${join(parent, name)}: it and ${MOST_NAMES} others like it are there`,
    );
  }

  /** Where it is now. */
  get path(): string {
    return this.#path;
  }

  get dump(): string {
    return this.file(DUMP);
  }

  get dumpPlace(): Store["dumpPlace"] {
    return { dest: this.dump };
  }

  /** Root's reserve is left alone: it may be what the machine boots from. */
  get available(): number {
    using directory = File.open(this.libc, this.path);
    return directory.fileSystem().available;
  }

  removePartial(): void {
    const partial = incompletePath(this.dump);
    for (const path of [partial, manifestPath(partial)])
      if (this.libc.status(path) !== undefined) this.libc.unlink(path);
  }

  file(name: string): string {
    return join(this.path, name);
  }

  /** Writes a file of it, whole and durable. @throws LibcError */
  write(name: string, bytes: Uint8Array): void {
    writeWhole(this.libc, this.file(name), bytes);
    File.syncDirectory(this.libc, this.path);
  }

  /**
   * Writes the log; where not all of it finds room, the end of it.
   *
   * @returns bytes written @throws LibcError where not even that can be written
   */
  writeLog(log: Uint8Array): number {
    for (let length = log.length; ; length = Math.floor(length / 2)) {
      try {
        this.write(LOG, log.subarray(log.length - length));
        return length;
      } catch (error) {
        if (!isFull(error) || length < LEAST_LOG) throw error;
      }
    }
  }

  /**
   * Writes capture.json: the new one or the old one is there, unless the disk is full and the old one is written over.
   *
   * @param isLast no other follows: it needs no room for one @throws LibcError
   */
  writeRecord(record: object, isLast: boolean): void {
    const text = `${JSON.stringify(record, null, 2)}\n`;
    const bytes = new TextEncoder().encode(isLast ? text : text.padEnd(RECORD_ROOM));
    try {
      this.write(RECORD, bytes);
    } catch (error) {
      if (!isFull(error) || this.libc.status(this.file(RECORD)) === undefined) throw error;
      using file = File.open(this.libc, this.file(RECORD), O_WRONLY);
      writeBytes(file, bytes);
      file.truncate(bytes.length);
      file.sync();
    }
  }

  /** Gives it its name, durable. @throws LibcError */
  commit(): void {
    File.syncDirectory(this.libc, this.path);
    const path = join(this.parent, this.name);
    this.libc.rename(this.#path, path);
    this.#path = path;
    File.syncDirectory(this.libc, this.parent);
  }

  /** Lets go of it. */
  close(): void {
    this.#lock?.close();
  }

  /** What its directory is called now. */
  get currentName(): string {
    return basename(this.#path);
  }
}

/** Whether a capture is at work in a directory. @throws LibcError */
export function isBusy(libc: Libc, path: string): boolean {
  using directory = File.open(libc, path);
  return libc.backend.calls.flock(directory.fd, LOCK_EX | LOCK_NB) === -1 && libc.backend.errno() === EAGAIN;
}

/** What to do where a directory cannot be made in another. */
export function makingAdvice(error: LibcError, parent: string): string {
  if (isFull(error)) return "; free some room there, or name another disk (--to)";
  if (error.code === "EIO") return "; the disk fails: name another one (--to)";
  if (error.code === "EROFS") return `; mount ${parent} writable (mount -o remount,rw)`;
  return error.code === "EACCES" ? `; vmcopy may not write in ${parent}: run it as root` : "";
}
