// How fast vmcopy is where it counts, on the real /proc/vmcore in a capture kernel, beside dd.
// `npm run compare` shows these figures with the others; run alone, this file prints them.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { median } from "../../src/bench/bench.ts";
import type { PairResult } from "../peers/pairs.ts";
import { type Finding, findingsTable, ratioFinding } from "../peers/results.ts";
import { busyMachine } from "./busy.ts";
import { cacheRoot, createRun, removeRun } from "./cache.ts";
import { crashAndCapture } from "./lab.ts";

const memMiB = 2048;

/** What `measure.sh` timed: seconds, one value for each round. */
export interface Times {
  dd: number[];
  /** dd to the ext4 disk, synced: no target, but what a copy to disk has to be held against. */
  dd_disk: number[];
  /** vmcopy copy to /dev/null and, synced too, to the ext4 disk. */
  null: number[];
  disk: number[];
}

/**
 * Crashes a busy 2 GiB guest and measures in its capture kernel; about three minutes. The raw figures are kept as
 * `capture.json` in the lab's cache.
 */
export async function measureCapture(): Promise<Finding[]> {
  const directory = createRun();
  try {
    const capture = await crashAndCapture({
      ...(await busyMachine(directory, memMiB)),
      captureScript: readFileSync(join(import.meta.dir, "measure.sh"), "utf8"),
      timeoutSeconds: 600,
    });
    const times = readTimes(readFileSync(join(capture.results, "times"), "utf8"));
    const bench = JSON.parse(readFileSync(join(capture.results, "bench.json"), "utf8"));
    const report = { kernel: capture.kernel.name, memMiB, milestones: capture.milestones, times, bench };
    capture.dispose();
    mkdirSync(cacheRoot, { recursive: true });
    writeFileSync(join(cacheRoot, "capture.json"), `${JSON.stringify(report, null, 2)}\n`);
    const touched = rate(bench.rows, "touch", 4 << 20) / rate(bench.rows, "read", 4 << 10);
    return [
      ratioFinding("capture kernel: copy to /dev/null, to dd bs=1M", pair(times.null, times.dd), 0.5),
      ratioFinding("capture kernel: copy to ext4, to dd bs=1M to /dev/null", pair(times.disk, times.dd), 0.5),
      {
        what: "capture kernel: touch at 4 MiB, to read at 4 KiB",
        measured: `${touched.toFixed(1)} times as fast`,
        target: "at least 5 times",
        met: touched >= 5,
      },
    ];
  } finally {
    removeRun(directory);
  }
}

/** Reads lines of `name start end`, in seconds of the guest's uptime. */
export function readTimes(text: string): Times {
  const times: Times = { dd: [], dd_disk: [], null: [], disk: [] };
  for (const line of text.split("\n").filter(Boolean)) {
    const [name, start, end] = line.split(" ");
    if (name !== "dd" && name !== "dd_disk" && name !== "null" && name !== "disk") {
      throw new Error(`Cannot read the times of the capture kernel: unknown name (${line})`);
    }
    times[name].push(Math.round((Number(end) - Number(start)) * 100) / 100);
  }
  return times;
}

function pair(ours: number[], theirs: number[]): PairResult {
  const ratios = ours.map((seconds, round) => seconds / (theirs[round] ?? Number.NaN)).sort((a, b) => a - b);
  return {
    ours: median(ours),
    theirs: median(theirs),
    ratio: median(ratios),
    spread: [ratios[0] ?? Number.NaN, ratios.at(-1) ?? Number.NaN],
  };
}

function rate(
  rows: { mode: string; size: number; gibPerSecond: number }[],
  mode: string,
  size: number,
): number {
  return rows.find((row) => row.mode === mode && row.size === size)?.gibPerSecond ?? Number.NaN;
}

if (import.meta.main) console.log(findingsTable(await measureCapture()));
