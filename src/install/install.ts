/**
 * Puts an integration's files into a system, and takes them back. What somebody else wrote, or changed, is neither
 * overwritten nor removed.
 */
import { lstatSync, symlinkSync } from "node:fs";
import { dirname } from "node:path";
import { File } from "../../ffi/file.ts";
import type { Libc } from "../../ffi/libc.ts";
import { writeWhole } from "../../ffi/whole-file.ts";
import { VmcopyError } from "../errors.ts";
import type { Integration, Item } from "./integrations.ts";
import { contentOf, type Planned } from "./plan.ts";
import { type Entry, type InstallRecord, RECORD_PATH, readRecord, writeRecord } from "./record.ts";
import type { Root } from "./root.ts";

/** `shared`: another integration needs it. `gone`: somebody removed it before. */
export type RemovedState = "removed" | "shared" | "gone" | "kept";

export class Installation {
  readonly #recordPath: string;

  /** @throws VmcopyError, LibcError */
  constructor(
    readonly libc: Libc,
    readonly root: Root,
  ) {
    this.#recordPath = root.place(RECORD_PATH);
    this.#record = readRecord(this.#recordPath);
  }

  #record: InstallRecord;

  get record(): InstallRecord {
    return this.#record;
  }

  /** The integrations that are there, in part at least. */
  get names(): string[] {
    return [...new Set(Object.values(this.#record.files).flatMap((entry) => entry.for))].sort();
  }

  /**
   * Writes what is planned: each file whole or not at all. The record of it comes first, so that the next run knows what
   * this one has left.
   *
   * @throws LibcError, VmcopyError
   */
  install(name: string, planned: readonly Planned[], program: Uint8Array): void {
    const files: Record<string, Entry> = { ...this.#record.files };
    for (const { item, state, digest, found } of planned) {
      const before = files[item.path];
      // What was there already, and is not known to be ours, is somebody else's.
      if (state === "kept" || (state === "same" && before === undefined)) continue;
      const old = state === "replaced" && found.kind !== "nothing" && "digest" in found ? [found.digest] : [];
      files[item.path] = {
        digests: [digest, ...old],
        for: [...new Set([...(before?.for ?? []), name])].sort(),
      };
    }
    const due = planned.filter(({ state }) => state === "written" || state === "replaced");
    this.#save({ ...this.#record, files }, [...due.map(({ item }) => item.path), RECORD_PATH]);
    for (const { item } of due) this.#write(item, program);
    // What was replaced is gone: its digest goes too.
    for (const { item, digest, state } of due) {
      if (state === "replaced") files[item.path] = { ...(files[item.path] as Entry), digests: [digest] };
    }
    if (due.some(({ state }) => state === "replaced")) this.#save({ ...this.#record, files }, []);
  }

  /** What taking integrations back does to each of their files. */
  planRemoval(names: readonly string[]): { path: string; state: RemovedState }[] {
    return Object.entries(this.#record.files)
      .filter(([, entry]) => entry.for.some((name) => names.includes(name)))
      .map(([path, entry]) => ({ path, state: this.#stateOf(path, entry, names) }));
  }

  #stateOf(path: string, entry: Entry, names: readonly string[]): RemovedState {
    if (entry.for.some((name) => !names.includes(name))) return "shared";
    const found = this.root.look(path);
    if (found.kind === "nothing") return "gone";
    return "digest" in found && entry.digests.includes(found.digest) ? "removed" : "kept";
  }

  /** @param planned by `planRemoval` @throws LibcError */
  remove(names: readonly string[], planned: readonly { path: string; state: RemovedState }[]): void {
    const files: Record<string, Entry> = { ...this.#record.files };
    for (const { path, state } of planned) {
      const entry = files[path] as Entry;
      if (state === "removed") this.libc.unlink(this.root.place(path));
      if (state === "shared")
        files[path] = { ...entry, for: entry.for.filter((name) => !names.includes(name)) };
      else delete files[path];
    }
    if (Object.keys(files).length > 0) {
      this.#record = { ...this.#record, files };
      writeRecord(this.libc, this.#recordPath, this.#record);
      return;
    }
    if (this.libc.status(this.#recordPath) !== undefined) this.libc.unlink(this.#recordPath);
    // The last that was made is the innermost; one that holds something else stays.
    for (const path of [...this.#record.directories].reverse()) this.#removeEmpty(path);
    this.#record = { format: 1, files: {}, directories: [] };
  }

  #removeEmpty(path: string): void {
    try {
      this.libc.removeDirectory(this.root.place(path));
    } catch {}
  }

  /** Writes the record, where it is another one, with the directories that had to be made for these paths. */
  #save(record: InstallRecord, paths: readonly string[]): void {
    const missing = [...new Set(paths.flatMap(parents))].filter(
      (path) => this.libc.status(this.root.place(path)) === undefined,
    );
    const next = { ...record, directories: [...new Set([...record.directories, ...missing])] };
    if (JSON.stringify(next) === JSON.stringify(this.#record)) return;
    for (const path of parents(RECORD_PATH)) this.#makeDirectory(path);
    writeRecord(this.libc, this.#recordPath, next);
    this.#record = next;
  }

  #makeDirectory(path: string): void {
    const place = this.root.place(path);
    if (this.libc.status(place) === undefined) this.libc.makeDirectory(place, 0o755);
  }

  #write(item: Item, program: Uint8Array): void {
    for (const path of parents(item.path)) this.#makeDirectory(path);
    const place = this.root.place(item.path);
    const content = contentOf(item, program);
    if (item.kind === "link") link(this.libc, item.target, place);
    else
      writeWhole(this.libc, place, typeof content === "string" ? Buffer.from(content) : content, item.mode);
    File.syncDirectory(this.libc, dirname(place));
  }
}

/** Directories above a path, outermost first, without the root. */
function parents(path: string): string[] {
  const names = path.split("/").slice(1, -1);
  return names.map((_, index) => `/${names.slice(0, index + 1).join("/")}`);
}

/** A link that is there whole or not at all. */
function link(libc: Libc, target: string, place: string): void {
  const temporary = `${place}.new`;
  if (lstatSync(temporary, { throwIfNoEntry: false }) !== undefined) libc.unlink(temporary);
  try {
    symlinkSync(target, temporary);
  } catch (error) {
    throw new VmcopyError("E_IO", `Cannot make the link ${place}: ${(error as Error).message}`);
  }
  libc.rename(temporary, place);
}

/** Whether the tool that an integration is for is in that system. */
export function hasTool(root: Root, { tool }: Integration): boolean {
  return root.hasAny(tool.paths);
}
