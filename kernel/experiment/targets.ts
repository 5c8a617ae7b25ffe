// What our series set out to reach, and whether it did: ours against stock, in the same run.

import type { BenchMode, BenchReport } from "../../src/bench/rows.ts";
import { significant } from "../../src/bench/summary.ts";
import { formatSize } from "../../src/units.ts";
import type { Finding } from "../../test/peers/results.ts";
import type { Version } from "../build.ts";
import { type Experiment, type KernelResult, kernelOf, rowOf, sizesOf, versionsOf } from "./results.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** The only version whose kernel can map old memory with large pages: later ones can too, 6.1 cannot. */
const LARGE_PAGES: Version = "6.12";

const MAP_SIZE = 64 * MIB;
const MAP_TIMES = 20;
const TOUCH_TIMES = 1.5;
const READ_FROM = 128 * KIB;
const READ_TIMES = 2;
const TABLES_SIZE = 512 * MIB;
const TABLES_SHARE = 0.1;

/** By the clock, and by instructions where they were counted. */
type Means = "wall" | "counted";

/** All targets that the run has figures for. */
export function targetFindings(experiment: Experiment): Finding[] {
  return versionsOf(experiment).flatMap((version) => {
    const stock = kernelOf(experiment, version, "stock");
    const ours = kernelOf(experiment, version, "ours");
    if (stock === undefined || ours === undefined) return [];
    const large = version === LARGE_PAGES ? [...mapped(stock, ours), pageTables(stock, ours)] : [];
    return [readFinding(experiment, stock, ours), ...large].filter((finding) => finding !== undefined);
  });
}

function mapped(stock: KernelResult, ours: KernelResult): Finding[] {
  const rows: [mode: BenchMode, least: number][] = [
    ["map", MAP_TIMES],
    ["touch", TOUCH_TIMES],
  ];
  return rows.flatMap(([mode, least]) =>
    (["wall", "counted"] as const).flatMap((means) => {
      const times = timesAt(stock[means], ours[means], mode, MAP_SIZE);
      if (times === undefined) return [];
      const [before, after] = [stock, ours].map((kernel) => costText(kernel, means, mode, MAP_SIZE));
      return {
        what: `${ours.version}: ${mode} at ${formatSize(MAP_SIZE)}, ${means === "wall" ? "time" : "instructions"} a page`,
        measured: `${significant(times)} times: ${before} to ${after}`,
        target: `at least ${least} times`,
        met: times >= least,
      };
    }),
  );
}

/** The least gain of all sizes counts. */
function readFinding(experiment: Experiment, stock: KernelResult, ours: KernelResult): Finding | undefined {
  const gains = sizesOf(experiment, "wall", "read")
    .filter((size) => size >= READ_FROM)
    .flatMap((size) => {
      const times = timesAt(stock.wall, ours.wall, "read", size);
      return times === undefined ? [] : [{ size, times }];
    });
  const [least] = gains.toSorted((a, b) => a.times - b.times);
  if (least === undefined) return undefined;
  const { size, times } = least;
  const [before, after] = [stock, ours].map((kernel) => costText(kernel, "wall", "read", size));
  return {
    what: `${ours.version}: read at ${formatSize(READ_FROM)} and above, time a page`,
    measured: `${significant(times)} times (least, at ${formatSize(size)}): ${before} to ${after}`,
    target: `at least ${READ_TIMES} times`,
    met: times >= READ_TIMES,
  };
}

function pageTables(stock: KernelResult, ours: KernelResult): Finding | undefined {
  const [before, after] = [stock, ours].map(
    ({ tables }) => rowOf(tables, "touch", TABLES_SIZE)?.pageTableGrowth,
  );
  if (before === undefined || after === undefined) return undefined;
  return {
    what: `${ours.version}: page tables of a window of ${formatSize(TABLES_SIZE)}, touched`,
    measured: `1/${significant(before / after)}: ${formatSize(before)} to ${formatSize(after)}`,
    target: `at most 1/${1 / TABLES_SHARE}`,
    met: after <= before * TABLES_SHARE,
  };
}

/** How many times as fast the second is. */
export function timesAt(
  stock: BenchReport | null,
  ours: BenchReport | null,
  mode: BenchMode,
  size: number,
): number | undefined {
  const [before, after] = [stock, ours].map((report) => rowOf(report, mode, size)?.nsPerPage);
  return before === undefined || after === undefined ? undefined : before / after;
}

function costText(kernel: KernelResult, means: Means, mode: BenchMode, size: number): string {
  const cost = significant(rowOf(kernel[means], mode, size)?.nsPerPage ?? Number.NaN);
  return means === "wall" ? `${cost} ns` : cost;
}
