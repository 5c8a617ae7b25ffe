/** What a benchmark reports, row by row, and what each mode measures. The JSON of `vmcopy bench` is these types. */
import { READ_2013, VMCORE_2013 } from "./history.ts";

/** In the order in which reports show them: by how much of the memory they really move. */
export const MODES = ["read", "map", "touch", "copy"] as const;

/** `map` is what 2013 measured; see {@link MODE_TEXT}. */
export type BenchMode = (typeof MODES)[number];

/** One mode at one size. */
export interface BenchRow {
  mode: BenchMode;
  /** Bytes read or mapped at a time. */
  size: number;
  /** Median time for all bytes of the report. */
  seconds: number;
  /** Bytes of page table that map one window; 0 for `read`. */
  pageTableBytes: number;
  /**
   * Bytes by which this process's page tables really grew (VmPTE) while one window was mapped and, but for `map`,
   * touched. Of a kernel that maps with large pages, far less than `pageTableBytes`. Absent where no PT_LOAD has room
   * for a whole window.
   */
  pageTableGrowth?: number;
  /** 2^30 bytes a second, counting every byte read or mapped, touched or not. */
  gibPerSecond: number;
  nsPerPage: number;
  /** The fastest and the slowest repetition. */
  secondsMin?: number;
  secondsMax?: number;
}

/** The result of `vmcopy bench`. */
export interface BenchReport {
  /** Release of the kernel that ran the benchmark. */
  kernel: string;
  cpu: string;
  /** Path of what was read. */
  source: string;
  /** Whether its mappings are lazy, as a file's are: mmap then builds no page tables, a touch does. */
  lazy?: boolean;
  /** Bytes of it that each row went through. */
  bytes: number;
  /** How often each row was measured. Once unless told. */
  repeat?: number;
  rows: BenchRow[];
}

/** One honest line on what a mode does. */
export const MODE_TEXT: Record<BenchMode, string> = {
  read: "pread(2), block by block, into one buffer: the kernel copies every byte. Before 2013 the only way.",
  map: "a window is mapped, written to /dev/null and unmapped. /dev/null never looks, so no page is ever touched: this is the cost of page tables alone, and what 2013 measured.",
  touch: "a window is mapped and one word of each page loaded: page tables and one memory access a page.",
  copy: "a window is mapped and every byte of it moved: the price of a whole copy, before anything is written.",
};

/** What a reader of the figures has to know. */
export function remarks(report: BenchReport): string[] {
  const lines: string[] = [];
  if (report.lazy === true && report.rows.some(({ mode }) => mode === "map")) {
    lines.push(
      "This source is a file: mapping it builds no page tables, so map says little here. /proc/vmcore fills them at once.",
    );
  }
  if (has2013(report)) {
    lines.push(
      "The 2013 figures are another machine's: compare the shapes of the curves, not their heights.",
    );
  }
  return lines;
}

/** The rows of a mode, by size. */
export function rowsOf(report: BenchReport, mode: BenchMode): BenchRow[] {
  return report.rows.filter((row) => row.mode === mode).sort((a, b) => a.size - b.size);
}

/** The modes there are rows of, in the order of {@link MODES}. */
export function modesOf(report: BenchReport): BenchMode[] {
  return MODES.filter((mode) => report.rows.some((row) => row.mode === mode));
}

/** Whether a rate can stand on a logarithmic scale: what took no measurable time, or moved nothing, cannot. */
export function isDrawable(gibPerSecond: number): boolean {
  return Number.isFinite(gibPerSecond) && gibPerSecond > 0;
}

/** GiB/s that 2013 measured in the same way, where it did: `read` at 4 KiB, `map` from 4 KiB to 64 MiB. */
export function rate2013(mode: BenchMode, size: number): number | undefined {
  if (mode === "read") return size === READ_2013.size ? READ_2013.gibPerSecond : undefined;
  return mode === "map" ? VMCORE_2013.find((row) => row.size === size)?.gibPerSecond : undefined;
}

/** Whether any row has a figure of 2013 to stand beside. */
export function has2013(report: BenchReport): boolean {
  return report.rows.some((row) => rate2013(row.mode, row.size) !== undefined);
}

/** The slowest and the fastest repetition of a row in GiB/s; undefined where it was measured once. */
export function rateRange(row: BenchRow): { slowest: number; fastest: number } | undefined {
  const { gibPerSecond, seconds, secondsMin, secondsMax } = row;
  if (secondsMin === undefined || secondsMax === undefined || secondsMin === secondsMax) return undefined;
  const range = {
    slowest: (gibPerSecond * seconds) / secondsMax,
    fastest: (gibPerSecond * seconds) / secondsMin,
  };
  return isDrawable(range.slowest) && isDrawable(range.fastest) ? range : undefined;
}

/** How far the repetitions lie apart, in percent of the median: `4 %`; undefined where it was measured once. */
export function spreadText({ seconds, secondsMin, secondsMax }: BenchRow): string | undefined {
  if (secondsMin === undefined || secondsMax === undefined || !(seconds > 0)) return undefined;
  return `${Math.round(((secondsMax - secondsMin) / seconds) * 100)} %`;
}

/** Decimals with which all rates of a report stand below each other and the slowest still says something. */
export function rateDecimals(report: BenchReport): number {
  const slowest = Math.min(...report.rows.map((row) => row.gibPerSecond).filter(isDrawable));
  return slowest < 0.1 ? 3 : 2;
}

/** The best a mode reached; undefined where nothing of it was measured. */
export function fastest(report: BenchReport, mode: BenchMode): BenchRow | undefined {
  return rowsOf(report, mode)
    .filter((row) => isDrawable(row.gibPerSecond))
    .reduce<BenchRow | undefined>(
      (best, row) => (best && best.gibPerSecond >= row.gibPerSecond ? best : row),
      undefined,
    );
}

/** How often it was measured, in words. */
export function repeatText({ repeat = 1 }: BenchReport): string {
  return repeat > 1 ? `medians of ${repeat} runs` : "one run";
}
