// Reads what the scripts of the experiment left in a guest's /out.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { BenchReport } from "../../src/bench/rows.ts";
import type { CopyFigures } from "./results.ts";

/** What `vmcopy bench --json` printed. */
export type Bench = BenchReport & { problems: string[] };

/** @throws Error where a report says nothing: a guest that measured nothing is no result */
export function readBench(directory: string, name: string): Bench {
  const path = join(directory, `${name}.json`);
  const report = JSON.parse(readFileSync(path, "utf8"));
  if (!Array.isArray(report.rows)) {
    throw new Error(`Cannot read the guest's ${name}: ${report.error?.message ?? "it has no rows"}`);
  }
  return report;
}

/** What bench.sh left, as one report: small windows and large ones. `bytes` are those of the large. */
export function readRows(directory: string): Bench {
  const [small, large] = [readBench(directory, "small"), readBench(directory, "large")];
  return {
    ...large,
    rows: [...small.rows, ...large.rows],
    problems: [...small.problems, ...large.problems],
  };
}

/** @throws Error where a step has no figures, or a verification found a difference */
export function readCopyFigures(directory: string): CopyFigures {
  const [first, ...others] = lines(directory, "null");
  const seconds = (name: string) => lines(directory, name).map((line) => Number(line.seconds));
  for (const name of ["source", "manifest"]) {
    const wrong = lines(directory, name).find((line) => line.ok !== true);
    if (wrong) throw new Error(`The dump is not what it should be (${name}): ${JSON.stringify(wrong)}`);
  }
  if (first === undefined) throw new Error("Cannot read the guest's copies: there are none");
  const figures: CopyFigures = {
    method: String(first.method),
    mapSize: Number(first.mapSize),
    bytes: Number(first.bytesRead),
    null: [first, ...others].map((line) => Number(line.seconds)),
    disk: seconds("disk"),
    source: seconds("source"),
    manifest: seconds("manifest"),
  };
  const all = [figures.mapSize, figures.bytes, ...figures.null, ...figures.disk];
  if (![...all, ...figures.source, ...figures.manifest].every(Number.isFinite)) {
    throw new Error(`Cannot read the guest's copies: a figure is missing (${JSON.stringify(figures)})`);
  }
  return figures;
}

/** The JSON objects of a file, one a line. */
function lines(directory: string, name: string): Record<string, unknown>[] {
  const path = join(directory, `${name}.jsonl`);
  if (!existsSync(path)) throw new Error(`Cannot read the guest's figures: ${name}.jsonl is missing`);
  return readFileSync(path, "utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}
