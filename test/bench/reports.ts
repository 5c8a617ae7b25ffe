/** Benchmark reports to draw: whole ones, and those with little or nothing in them. */
import type { BenchMode, BenchReport, BenchRow } from "../../src/bench/report.ts";

const GIB = 1024 ** 3;

/** 4 KiB to 64 MiB. */
export const MAP_SIZES = Array.from({ length: 15 }, (_, n) => 4096 * 2 ** n);
export const READ_SIZES = [4096, 65536, 1024 ** 2, 4 * 1024 ** 2];

/** A row that fits its rate. With `spread` the slowest repetition took that share longer, the fastest less. */
export function row(mode: BenchMode, size: number, gibPerSecond: number, spread = 0): BenchRow {
  const seconds = 4 / gibPerSecond;
  const pageTableBytes = mode === "read" ? 0 : (size / 4096) * 8;
  const nsPerPage = (seconds / ((4 * GIB) / 4096)) * 1e9;
  const measured = { mode, size, seconds, pageTableBytes, gibPerSecond, nsPerPage };
  if (spread === 0) return measured;
  return { ...measured, secondsMin: seconds * (1 - spread), secondsMax: seconds * (1 + spread) };
}

export function report(rows: BenchRow[], more: Partial<BenchReport> = {}): BenchReport {
  return {
    kernel: "6.1.0",
    cpu: "A CPU @ 2.80GHz",
    source: "/proc/vmcore",
    bytes: 4 * GIB,
    repeat: 3,
    rows,
    ...more,
  };
}

/** What a kernel that maps with large pages looks like: map far above 2013, read near it. */
const MAP = [0.42, 0.85, 1.7, 3.2, 6.6, 12.9, 24, 41, 66, 310, 560, 1113, 1620, 1840, 1907];

export const whole = report([
  ...MAP_SIZES.map((size, n) => row("copy", size, 1 / (1 / (MAP[n] ?? 1) + 1 / 5.6), 0.1)),
  ...MAP_SIZES.map((size, n) => row("touch", size, 1 / (1 / (MAP[n] ?? 1) + 1 / 19), 0.1)),
  ...MAP_SIZES.map((size, n) => row("map", size, MAP[n] ?? 1, 0.2)),
  ...READ_SIZES.map((size, n) => row("read", size, [0.24, 1.9, 2.6, 2.62][n] ?? 1, 0.1)),
]);

/** Names, reports: every renderer has to bear all of them. */
export const REPORTS: [string, BenchReport][] = [
  ["whole", whole],
  ["empty", report([])],
  ["one row", report([row("copy", 1024 ** 2, 4.4)])],
  ["read only", report(READ_SIZES.map((size) => row("read", size, 0.2)))],
  ["slow", report(MAP_SIZES.map((size, n) => row("map", size, 0.005 * 2 ** n)))],
  [
    "all the same",
    report(MAP_SIZES.flatMap((size) => [row("map", size, 2), row("touch", size, 2), row("copy", size, 2)])),
  ],
  [
    "rates that cannot be",
    report([
      row("map", 4096, 1),
      { ...row("map", 8192, 1), gibPerSecond: 0 },
      row("map", 16384, 2),
      { ...row("map", 32768, 1), gibPerSecond: Infinity, seconds: 0, nsPerPage: 0 },
      { ...row("map", 65536, 1), gibPerSecond: Number.NaN, seconds: Number.NaN, nsPerPage: Number.NaN },
      { ...row("touch", 4096, 1), gibPerSecond: 0, secondsMin: 0, secondsMax: 0 },
      { ...row("copy", 0, 1), size: 0 },
    ]),
  ],
  ["odd sizes", report([row("map", 3 * 4096, 1), row("map", 1024 ** 3, 9), row("copy", 2 ** 40, 3)])],
];

/** Text that would break out of a page, a chart or a terminal. */
export const HOSTILE = "</style></title>--><script>alert(1)</script>&amp;\"'\x1b[31m\x00\n\ud800 end";
