/** Results of the experiment to evaluate and draw, made up from rules: whole ones, and those that lack something. */

import type { Series, Version } from "../../kernel/build.ts";
import type { Experiment, KernelResult } from "../../kernel/experiment/results.ts";
import type { BenchMode, BenchReport, BenchRow } from "../../src/bench/rows.ts";
import { MAP_SIZES, report, row } from "../bench/reports.ts";

export const READ_SIZES = MAP_SIZES.slice(0, 9);
const TABLE_SIZES = [...MAP_SIZES.slice(8), 128, 256, 512].map((size) =>
  size < 4096 ? size * 2 ** 20 : size,
);

/** How many times as fast as stock each mode is; 1 unless told. */
export type Gains = Partial<Record<BenchMode, number>>;

/** What a kernel of the version and series is like: `gains` over stock, and the share of page tables it needs. */
export function kernel(version: Version, series: Series, gains: Gains = {}, tableShare = 1): KernelResult {
  const canMap = series !== "no-mmap";
  const rate = (mode: BenchMode, size: number) => {
    const stock = mode === "read" ? 0.2 : Math.min(40, (size / 4096) * 0.1);
    return stock * (gains[mode] ?? 1);
  };
  const rows = (modes: BenchMode[], sizes: readonly number[]) =>
    modes.flatMap((mode) => sizes.map((size) => row(mode, size, rate(mode, size), 0.1)));
  const mapped = canMap ? rows(["map", "touch", "copy"], MAP_SIZES) : [];
  const bench = (all: BenchRow[]): BenchReport =>
    report(all, { kernel: `${version}.1-${series}`, cpu: "A TCG CPU" });
  const measured = bench([...rows(["read"], READ_SIZES), ...mapped]);
  return {
    version,
    series,
    release: measured.kernel,
    wall: measured,
    tables: bench(
      (canMap ? rows(["touch"], TABLE_SIZES) : []).map((table) => ({
        ...table,
        pageTableGrowth: Math.ceil((table.pageTableBytes * tableShare) / 4096) * 4096,
      })),
    ),
    counted: measured,
    problems: canMap
      ? []
      : ["map at 4096 bytes could not be measured: mmap fails", "map at 8192 bytes: the same"],
    copy: {
      method: canMap ? "mmap" : "read",
      mapSize: 2 ** 22,
      bytes: 2 ** 29,
      null: [3, 1, 2],
      disk: [12, 10, 11],
      source: [4, 5, 6],
      manifest: [0.5, 0.25, 0.75],
    },
  };
}

export function experiment(kernels: KernelResult[]): Experiment {
  return {
    began: "2030-05-06T22:50:00.000Z",
    ended: "2030-05-06T23:20:29.000Z",
    host: { cpu: "A CPU", cpus: 2, kernel: "6.1.0", qemu: "7.2.1", loads: [1.5, 0.25, 0.75] },
    guest: { memMiB: 1024, crashkernel: "256M" },
    plan: { small: 2 ** 26, large: 2 ** 28, repeat: 5, copies: 3, counts: true },
    kernels,
  };
}

/** Both versions in all series; large pages in one of them. */
export const whole = experiment([
  kernel("6.1", "no-mmap"),
  kernel("6.1", "stock"),
  kernel("6.1", "ours", { read: 3 }),
  kernel("6.12", "no-mmap"),
  kernel("6.12", "stock"),
  kernel("6.12", "ours", { read: 3, map: 60, touch: 2, copy: 1.1 }, 0.01),
]);

const { wall, ...rest } = kernel("6.12", "ours");

/** Names, experiments: every renderer has to bear all of them. */
export const EXPERIMENTS: [string, Experiment][] = [
  ["whole", whole],
  ["nothing", experiment([])],
  ["one kernel", experiment([kernel("6.12", "stock")])],
  ["without mmap alone", experiment([kernel("6.1", "no-mmap")])],
  ["nothing counted", experiment(whole.kernels.map((each) => ({ ...each, counted: null })))],
  ["no rows at all", experiment([{ ...rest, wall: { ...wall, rows: [] }, tables: { ...wall, rows: [] } }])],
];
