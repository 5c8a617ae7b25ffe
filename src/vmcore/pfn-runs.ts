/** Runs of page frame numbers: ascending, disjoint, not touching. */
import type { PfnRun } from "./memory.ts";

/** Sorts and joins runs that overlap or touch; empty ones go. */
export function joinRuns(runs: readonly PfnRun[]): PfnRun[] {
  const joined: { start: number; end: number }[] = [];
  for (const { start, end } of [...runs].sort((a, b) => a.start - b.start)) {
    if (end <= start) continue;
    const last = joined[joined.length - 1];
    if (last !== undefined && start <= last.end) last.end = Math.max(last.end, end);
    else joined.push({ start, end });
  }
  return joined;
}

/** What of `runs` lies in [start, end). Found by bisection, so that pieces of many runs are cheap. */
export function* clipRuns(runs: readonly PfnRun[], start: number, end: number): Generator<PfnRun> {
  for (let index = firstEndingAfter(runs, start); index < runs.length; index++) {
    const run = runs[index] as PfnRun;
    if (run.start >= end) return;
    yield { start: Math.max(run.start, start), end: Math.min(run.end, end) };
  }
}

/** Whether a PFN lies in one of the runs. */
export function runsHold(runs: readonly PfnRun[], pfn: number): boolean {
  const run = runs[firstEndingAfter(runs, pfn)];
  return run !== undefined && run.start <= pfn;
}

/** PFNs in all runs. */
export function countRuns(runs: Iterable<PfnRun>): number {
  let count = 0;
  for (const { start, end } of runs) count += end - start;
  return count;
}

/** Index of the first item that ends behind `at`. Items ascend. */
export function firstEndingAfter(items: readonly { readonly end: number }[], at: number): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((items[middle]?.end ?? Infinity) <= at) low = middle + 1;
    else high = middle;
  }
  return low;
}
