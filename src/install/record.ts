/**
 * What was installed, and by which digest it is known again: /usr/lib/vmcopy/installed.json below the root. It is written
 * before the files are, so that what an interrupted run left is known to be ours.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Libc } from "../../ffi/libc.ts";
import { writeWhole } from "../../ffi/whole-file.ts";
import { VmcopyError } from "../errors.ts";

export const RECORD_PATH = "/usr/lib/vmcopy/installed.json";

export interface Entry {
  /** SHA-256 of a file's bytes, or of a link's target; two where one is being replaced */
  readonly digests: readonly string[];
  /** the integrations that it is part of */
  readonly for: readonly string[];
}

export interface InstallRecord {
  readonly format: 1;
  /** by path below the root */
  readonly files: Readonly<Record<string, Entry>>;
  /** that were made for them, in the order they were */
  readonly directories: readonly string[];
}

const EMPTY: InstallRecord = { format: 1, files: {}, directories: [] };

export function digestOf(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** @param path in this system @throws VmcopyError E_MANIFEST where it is none */
export function readRecord(path: string): InstallRecord {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return EMPTY;
    throw error;
  }
  const what = `Cannot tell what was installed: ${path}`;
  const advice = "move it away, and what is there counts as the user's own";
  let record: InstallRecord;
  try {
    record = JSON.parse(text);
  } catch {
    throw new VmcopyError("E_MANIFEST", `${what} is no JSON; ${advice}`);
  }
  if (!isRecord(record))
    throw new VmcopyError("E_MANIFEST", `${what} is not of a format that is known here; ${advice}`);
  return record;
}

function isRecord(value: unknown): value is InstallRecord {
  const { format, files, directories } = (value ?? {}) as Partial<InstallRecord>;
  if (format !== 1 || typeof files !== "object" || files === null || !Array.isArray(directories))
    return false;
  const isPath = (path: unknown) =>
    typeof path === "string" && path.startsWith("/") && !path.split("/").includes("..");
  const isTexts = (list: unknown) => Array.isArray(list) && list.every((text) => typeof text === "string");
  return (
    directories.every(isPath) &&
    Object.entries(files).every(
      ([path, entry]) => isPath(path) && isTexts(entry?.digests) && isTexts(entry.for),
    )
  );
}

/** @throws LibcError */
export function writeRecord(libc: Libc, path: string, record: InstallRecord): void {
  writeWhole(libc, path, new TextEncoder().encode(`${JSON.stringify(record, null, 2)}\n`), 0o644);
}
