/**
 * Old captures make way for the new one, once it is whole. Only directories go that a capture made (capture.json says
 * so) and that hold nothing else; the newest whole ones stay, and whatever is newer than the oldest of these.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { S_IFDIR, S_IFMT } from "../../ffi/constants.ts";
import { File } from "../../ffi/file.ts";
import type { Libc } from "../../ffi/libc.ts";
import { manifestPath } from "../dump/manifest.ts";
import { incompletePath } from "../sink/file.ts";
import { isBusy } from "./directory.ts";
import { RECORD_FORMAT } from "./record.ts";
import { DUMP, LOG, RECORD, SUMMARY } from "./store.ts";

/** What a capture can have left, in the order in which it goes: the record last, so that a rest is still known for what it is. */
const FILES = [
  manifestPath(DUMP),
  DUMP,
  incompletePath(DUMP),
  manifestPath(incompletePath(DUMP)),
  SUMMARY,
  LOG,
  RECORD,
].flatMap((name) => [`${name}.new`, name]);

interface Found {
  readonly name: string;
  /** ISO 8601, as its record has it */
  readonly started: string;
  readonly whole: boolean;
}

export interface Rotation {
  readonly removed: readonly string[];
  /** one line each: what was to go and stays */
  readonly problems: readonly string[];
}

/**
 * @param current the new one's name
 * @param keep captures to keep, the new one among them; at least 1
 * @param step called for each that goes
 * @throws LibcError
 */
export function removeOld(
  libc: Libc,
  parent: string,
  current: string,
  keep: number,
  step: () => void = () => {},
): Rotation {
  const others = findCaptures(libc, parent).filter(({ name }) => name !== current);
  others.sort((a, b) => (a.started < b.started ? 1 : a.started > b.started ? -1 : a.name < b.name ? 1 : -1));
  const kept = others.filter(({ whole }) => whole).slice(0, keep - 1);
  const oldestKept = kept.at(-1);
  const end = oldestKept === undefined ? -1 : others.indexOf(oldestKept);
  const removed: string[] = [];
  const problems: string[] = [];
  for (const { name } of others.slice(end + 1)) {
    step();
    if (isBusy(libc, join(parent, name))) {
      problems.push(`${name} stays: a capture is at work in it`);
      continue;
    }
    const strange = readdirSync(join(parent, name)).find((file) => !FILES.includes(file));
    if (strange !== undefined) {
      problems.push(`${name} stays: it holds ${strange}, which is not of a capture`);
      continue;
    }
    removeCapture(libc, parent, name);
    removed.push(name);
  }
  if (removed.length > 0) File.syncDirectory(libc, parent);
  return { removed, problems };
}

function findCaptures(libc: Libc, parent: string): Found[] {
  return readdirSync(parent, { withFileTypes: true }).flatMap((entry): Found[] => {
    // A link leads elsewhere: never followed.
    if (!entry.isDirectory()) return [];
    const record = readRecord(join(parent, entry.name, RECORD));
    if (record === undefined) return [];
    const status = libc.status(join(parent, entry.name));
    if (status === undefined || (status.mode & S_IFMT) !== S_IFDIR) return [];
    const whole = record.state === "complete" && !entry.name.endsWith(incompletePath(""));
    return [{ name: entry.name, started: String(record.started), whole }];
  });
}

/** @returns undefined where there is none, or it is not a capture's */
function readRecord(path: string): Record<string, unknown> | undefined {
  try {
    const record = JSON.parse(readFileSync(path, "utf8"));
    return record?.format === RECORD_FORMAT && typeof record.started === "string" ? record : undefined;
  } catch {
    return undefined;
  }
}

/** Takes its name from it first: a rest of it is no capture. @throws LibcError */
function removeCapture(libc: Libc, parent: string, name: string): void {
  const doomed = name.endsWith(incompletePath("")) ? name : incompletePath(name);
  const path = join(parent, doomed);
  if (doomed !== name) {
    libc.rename(join(parent, name), path);
    File.syncDirectory(libc, parent);
  }
  for (const file of FILES) {
    if (libc.status(join(path, file)) !== undefined) libc.unlink(join(path, file));
  }
  libc.removeDirectory(path);
}
