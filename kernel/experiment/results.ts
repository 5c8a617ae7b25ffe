// What the experiment found, as data: the raw results that are kept, and the figures asked of them.

import type { BenchMode, BenchReport, BenchRow } from "../../src/bench/rows.ts";
import type { Series, Version } from "../build.ts";

/** All of a run. */
export interface Experiment {
  /** ISO 8601, when it began and ended */
  readonly began: string;
  readonly ended: string;
  /** the machine under which the guests ran */
  readonly host: Host;
  readonly guest: Guest;
  readonly plan: Plan;
  readonly kernels: readonly KernelResult[];
}

export interface Host {
  readonly cpu: string;
  readonly cpus: number;
  readonly kernel: string;
  readonly qemu: string;
  /** load averages over a minute when each kernel's measurement by the clock began: other work makes times longer */
  readonly loads: readonly number[];
}

export interface Guest {
  readonly memMiB: number;
  readonly crashkernel: string;
}

/** How much is measured. */
export interface Plan {
  /** bytes of a row by the clock: of reads and windows below 2 MiB, and of larger windows */
  readonly small: number;
  readonly large: number;
  /** rounds of each row, and of copies and verifications; the fastest counts */
  readonly repeat: number;
  readonly copies: number;
  /** whether instructions are counted too */
  readonly counts: boolean;
}

/** What was measured on one kernel. */
export interface KernelResult {
  readonly version: Version;
  readonly series: Series;
  /** uname -r */
  readonly release: string;
  /** by the clock, the fastest repetition of each row */
  readonly wall: BenchReport;
  /** windows of all sizes, touched once, for the page tables they take */
  readonly tables: BenchReport;
  /** under icount, the least of each row, where `nsPerPage` are instructions a page; null where they were not counted */
  readonly counted: BenchReport | null;
  /** what could not be measured, in vmcopy's words */
  readonly problems: readonly string[];
  readonly copy: CopyFigures;
}

/** `vmcopy copy` and `vmcopy verify` of the whole /proc/vmcore; seconds, one value for each round. */
export interface CopyFigures {
  /** how copy chose to read: mmap or read, and the bytes of a window or block */
  readonly method: string;
  readonly mapSize: number;
  readonly bytes: number;
  /** to /dev/null */
  readonly null: readonly number[];
  /** to an ext4 disk, synced */
  readonly disk: readonly number[];
  /** the dump against /proc/vmcore, and against its manifest */
  readonly source: readonly number[];
  readonly manifest: readonly number[];
}

/**
 * The same with the fastest repetition of each row in place of the median. What a kernel does takes the same each time:
 * the rest of a longer time is other work.
 */
export function fastest(report: BenchReport): BenchReport {
  const rows = report.rows.map((row) => {
    const gain = row.seconds / (row.secondsMin ?? row.seconds);
    const { seconds, nsPerPage, gibPerSecond } = row;
    return {
      ...row,
      seconds: seconds / gain,
      nsPerPage: nsPerPage / gain,
      gibPerSecond: gibPerSecond * gain,
    };
  });
  return { ...report, rows };
}

/** A kernel of the run; undefined where it was left out. */
export function kernelOf(experiment: Experiment, version: Version, series: Series): KernelResult | undefined {
  return experiment.kernels.find((kernel) => kernel.version === version && kernel.series === series);
}

/** Versions of the run, newest first: what most readers look for. */
export function versionsOf(experiment: Experiment): Version[] {
  return [...new Set(experiment.kernels.map(({ version }) => version))].sort((a, b) =>
    b.localeCompare(a, "en", { numeric: true }),
  );
}

/** All kernels: the newest version first, each as history had it. */
export function ordered(experiment: Experiment): KernelResult[] {
  const history: readonly Series[] = ["no-mmap", "stock", "ours"];
  return versionsOf(experiment).flatMap((version) =>
    history.flatMap((series) => kernelOf(experiment, version, series) ?? []),
  );
}

/** `6.12 stock` */
export function nameOf({ version, series }: KernelResult): string {
  return `${version} ${series}`;
}

/** A row of a report; undefined where it was not measured. */
export function rowOf(
  report: BenchReport | null | undefined,
  mode: BenchMode,
  size: number,
): BenchRow | undefined {
  return report?.rows.find((row) => row.mode === mode && row.size === size);
}

/** Sizes at which any kernel of the run has a row of this mode, ascending. */
export function sizesOf(experiment: Experiment, of: keyof Measured, mode: BenchMode): number[] {
  const rows = experiment.kernels.flatMap((kernel) => kernel[of]?.rows ?? []);
  return [...new Set(rows.filter((row) => row.mode === mode).map(({ size }) => size))].sort((a, b) => a - b);
}

/** The reports of a kernel. */
type Measured = Pick<KernelResult, "wall" | "tables" | "counted">;
