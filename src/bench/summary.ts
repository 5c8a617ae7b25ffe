/** The figures of a benchmark that one would tell somebody else. */
import { formatFixed, formatSize } from "../units.ts";
import {
  type BenchMode,
  type BenchReport,
  type BenchRow,
  fastest,
  isDrawable,
  modesOf,
  rowsOf,
} from "./rows.ts";

/** The best rate of a mode, and how it compares with reading in small blocks. */
export interface Highlight {
  mode: BenchMode;
  row: BenchRow;
  /** How many times `read` at the smallest size measured; undefined for that row itself and where there is none. */
  timesRead: number | undefined;
}

/** One highlight for each mode that has a rate, in the order of the modes. `read` is its smallest size, the baseline. */
export function highlights(report: BenchReport): Highlight[] {
  const baseline = rowsOf(report, "read")[0];
  const base =
    baseline !== undefined && isDrawable(baseline.gibPerSecond) ? baseline.gibPerSecond : undefined;
  return modesOf(report).flatMap((mode): Highlight[] => {
    const row = mode === "read" ? baseline : fastest(report, mode);
    if (row === undefined || !isDrawable(row.gibPerSecond)) return [];
    return [
      { mode, row, timesRead: mode === "read" || base === undefined ? undefined : row.gibPerSecond / base },
    ];
  });
}

/** `copy: 5.21 GiB/s at 4 MiB, 24.1 times read at 4 KiB` */
export function highlightText(report: BenchReport, { mode, row, timesRead }: Highlight): string {
  const text = `${mode}: ${significant(row.gibPerSecond)} GiB/s at ${formatSize(row.size)}`;
  const baseline = rowsOf(report, "read")[0];
  if (timesRead === undefined || baseline === undefined) return text;
  return `${text}, ${significant(timesRead)} times read at ${formatSize(baseline.size)}`;
}

/** Three figures, thousands separated, as a rate is told: `0.209`, `5.17`, `63.4`, `1,113`. */
export function significant(value: number): string {
  if (!Number.isFinite(value) || value <= 0) return formatFixed(value, 0);
  const decimals = 2 - Math.floor(Math.log10(value));
  return formatFixed(value, Math.min(6, Math.max(0, decimals)));
}
