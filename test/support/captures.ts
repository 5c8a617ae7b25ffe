/** Captures as tests make them: the engine with settings of the test's, a sample to capture, what a capture left. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Libc } from "../../ffi/libc.ts";
import { capture as captureCrash } from "../../src/capture/capture.ts";
import { DEFAULTS, type Settings } from "../../src/capture/settings.ts";
import { parsePlace } from "../../src/capture/target.ts";
import type { CaptureReport } from "../../src/capture/work.ts";
import { verifyDump } from "../../src/verify/verify.ts";
import { testJob } from "./engines.ts";
import { libc } from "./files.ts";

export interface Captured {
  readonly report: CaptureReport;
  /** lines on the console, warnings among them, in order */
  readonly lines: readonly string[];
}

/** Captures with default settings but these, through any libc. @param said called with each line as it is told */
export async function capture(
  to: string,
  source: string,
  settings: Partial<Settings> = {},
  { through = libc, said = (_line: string) => {}, mayEnd = false, breathe = () => {} } = {},
): Promise<Captured> {
  const lines: string[] = [];
  const tell = (line: string) => {
    lines.push(line);
    said(line);
  };
  const report = await captureCrash(
    through,
    { ...testJob(breathe), inform: tell, warn: tell },
    {
      settings: { ...DEFAULTS, jobs: 1, wait: 0, to: parsePlace(to), source, ...settings },
      warnings: [],
      mayEnd,
    },
  );
  return { report, lines };
}

/** Names of a capture's steps, with ! where one failed. */
export function stepsOf({ steps }: CaptureReport): string[] {
  return steps.map(({ name, ok }) => (ok ? name : `${name}!`));
}

/** What lies in a directory of captures: names of captures, each with the files in it. */
export function listing(parent: string): Record<string, string[]> {
  if (!existsSync(parent)) return {};
  return Object.fromEntries(
    readdirSync(parent)
      .sort()
      .map((name) => [name, readdirSync(join(parent, name)).sort()]),
  );
}

export function jsonOf(...path: string[]): Record<string, unknown> {
  return JSON.parse(readFileSync(join(...path), "utf8"));
}

/** Whether the dump in a capture's directory is whole, by its manifest. */
export async function isWhole(directory: string, through: Libc = libc): Promise<boolean> {
  const report = await verifyDump(through, testJob(), { dump: join(directory, "vmcore"), members: [] });
  return report.ok && report.method === "manifest";
}

export const WHOLE = ["capture.json", "crash.json", "dmesg.txt", "vmcore", "vmcore.manifest.json"];
