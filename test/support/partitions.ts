/** Raw partitions with captures on them: files that pass for devices, and what can be taken from them. */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { Libc } from "../../ffi/libc.ts";
import type { Settings } from "../../src/capture/settings.ts";
import { type TakenReport, takeOut } from "../../src/copy/take-out.ts";
import { type Captured, capture } from "./captures.ts";
import { asDevice } from "./device.ts";
import { testJob } from "./engines.ts";
import { libc } from "./files.ts";
import type { Rules } from "./inject.ts";

/** A file of zeros, or of the byte given. @returns its path */
export function image(path: string, size: number, fill = 0): string {
  rmSync(path, { force: true });
  if (fill === 0) {
    writeFileSync(path, "");
    truncateSync(path, size);
  } else {
    writeFileSync(path, new Uint8Array(size).fill(fill));
  }
  return path;
}

/** Captures to a file that passes for a device. */
export async function captureRaw(
  device: string,
  source: string,
  settings: Partial<Settings> = {},
  { rules = {}, said }: { rules?: Rules; said?: (line: string) => void } = {},
): Promise<Captured> {
  const through = asDevice(device, rules);
  return await capture(device, source, settings, { through, ...(said === undefined ? {} : { said }) });
}

/** Takes all that is there into an emptied directory. */
export async function takeAll(
  device: string,
  directory: string,
  through: Libc = libc,
): Promise<{ report: TakenReport; files: string[]; read: (name: string) => Buffer }> {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory);
  const options = { sparse: true, direct: false, force: false, resume: false, manifest: true, sha256: false };
  const report = await takeOut(through, testJob(), { source: device, dest: directory, ...options });
  return {
    report,
    files: existsSync(directory) ? readdirSync(directory).sort() : [],
    read: (name) => readFileSync(join(directory, name)),
  };
}
