/** What a benchmark measures: which rows, over which bytes. */
import type { FileRange } from "../vmcore/layout.ts";
import type { BenchMode } from "./rows.ts";

/** One row of the table to be. */
export interface PlannedRow {
  readonly mode: BenchMode;
  /** bytes of a read or of a window */
  readonly size: number;
}

/** Rows by mode, then by size. @param mapSizes, readSizes bytes, ascending */
export function plannedRows(
  modes: readonly BenchMode[],
  mapSizes: readonly number[],
  readSizes: readonly number[],
): PlannedRow[] {
  return modes.flatMap((mode) => (mode === "read" ? readSizes : mapSizes).map((size) => ({ mode, size })));
}

/** The memory that every row goes through: PT_LOADs in file order, at most `bytes` of them. */
export function plannedRanges(ranges: readonly FileRange[], bytes: number): FileRange[] {
  const planned: FileRange[] = [];
  let left = bytes;
  for (const range of ranges) {
    if (!range.mappable || left <= 0) continue;
    planned.push({ ...range, length: Math.min(range.length, left) });
    left -= range.length;
  }
  return planned;
}
