/**
 * A capture on a raw partition, in the same order as in a directory. What a power cut leaves says of itself how far it
 * came, and all that was told of as written can be taken from it.
 */
import { LibcError } from "../../ffi/errno.ts";
import type { File } from "../../ffi/file.ts";
import type { Libc } from "../../ffi/libc.ts";
import { refuseSameFile } from "../copy/destination.ts";
import { MEMBERS_AT, type MemberName } from "../dump/partition-header.ts";
import { type Held, heldBy } from "../dump/partition-reader.ts";
import { PartitionWriter } from "../dump/partition-writer.ts";
import { VmcopyError } from "../errors.ts";
import { openExclusive } from "../sink/block.ts";
import { WindowSink } from "../sink/window.ts";
import { formatSize } from "../units.ts";
import type { Settings } from "./settings.ts";
import { LOG, RECORD, type Store } from "./store.ts";

/** A smaller partition has no room for a log, in bytes. */
const LEAST = MEMBERS_AT + (1 << 20);
/** The log leaves so much for crash.json. */
const SUMMARY_ROOM = 64 << 10;

export class CapturePartition implements Store {
  readonly isRaw = true;
  readonly holes = false;
  readonly ending = "mark";
  readonly #writer: PartitionWriter;

  private constructor(
    readonly file: File,
    /** what was on it */
    readonly held: Held,
  ) {
    this.#writer = PartitionWriter.begin(file, held);
  }

  /**
   * Begins a capture on a partition that is blank, or holds an older one.
   *
   * @param settings overwrite: anything else may be on it too
   * @throws VmcopyError E_EXISTS where it may not be written, E_NO_SPACE where it is too small, E_IO where it is in use;
   *   LibcError
   */
  static create(
    libc: Libc,
    path: string,
    { source, overwrite }: Pick<Settings, "source" | "overwrite">,
  ): CapturePartition {
    // The first header written would take the source away.
    refuseSameFile(libc, source, path);
    const file = openExclusive(libc, path);
    try {
      const size = file.size();
      if (size < LEAST) {
        throw new VmcopyError(
          "E_NO_SPACE",
          `Cannot capture to ${path}: it has ${formatSize(size)}, a raw partition needs ${formatSize(LEAST)} for the log alone; name a larger one (--to)`,
        );
      }
      const held = heldBy(file);
      if (held === "something else" && !overwrite) {
        throw new VmcopyError(
          "E_EXISTS",
          `Cannot capture to ${path}: something is on it, a file system or a dump; name a directory on it (--to ${path}:/crash), or overwrite it (--overwrite)`,
        );
      }
      return new CapturePartition(file, held);
    } catch (error) {
      file.close();
      // What the kernel says to a write, though the device could be opened for writing.
      const isReadOnly = error instanceof LibcError && error.code === "EPERM";
      if (!isReadOnly) throw error;
      throw new VmcopyError(
        "E_IO",
        `${error.message}; the device is read-only: name one that can be written`,
      );
    }
  }

  get path(): string {
    return this.file.path;
  }

  get dump(): string {
    return this.file.path;
  }

  get dumpPlace(): Store["dumpPlace"] {
    return {
      dest: this.path,
      part: {
        open: () => new WindowSink(this.#writer.dumpWindow()),
        commit: (manifest) => {
          if (manifest !== undefined) this.#writer.addDump(manifest);
        },
      },
    };
  }

  get available(): number {
    return this.#writer.dumpRoom;
  }

  /** What it is, and what becomes of what was on it. */
  describe(): string {
    const { held } = this;
    const size = `raw partition, ${formatSize(this.#writer.size)}`;
    if (held === "nothing") return size;
    if (held === "something else") return `${size}; what was on it is overwritten (--overwrite)`;
    if (held === "damaged capture") return `${size}; a damaged capture on it is overwritten`;
    return `${size}; an older capture on it (${held.state}) is overwritten`;
  }

  write(name: MemberName, bytes: Uint8Array): void {
    this.#writer.add(name, bytes);
  }

  writeLog(log: Uint8Array): number {
    const length = Math.min(log.length, this.#writer.room - SUMMARY_ROOM);
    this.write(LOG, log.subarray(log.length - length));
    return length;
  }

  writeRecord(record: object): void {
    this.#writer.record(RECORD, new TextEncoder().encode(`${JSON.stringify(record, null, 2)}\n`));
  }

  /** No header tells of it: what comes next is written over it. */
  removePartial(): void {}

  commit(state: "complete" | "log-only"): void {
    this.#writer.mark(state);
  }

  close(): void {
    this.file.close();
  }
}
