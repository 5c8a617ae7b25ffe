/** Cuts runs of pages into batches of what a packer has room for. */
import type { PfnRun } from "../vmcore/memory.ts";

/** Runs of pages, in PFN order, that are packed together. */
export interface Batch {
  readonly runs: readonly PfnRun[];
  /** pages in all runs */
  readonly pages: number;
}

/** Runs of one batch: their list has to fit where it is handed to a worker. */
export const MOST_RUNS = 256;

/**
 * @param capacity most pages of a batch
 * @yields batches in PFN order
 */
export function* batches(runs: Iterable<PfnRun>, capacity: number): Generator<Batch> {
  let batch: PfnRun[] = [];
  let pages = 0;
  for (const { start, end } of runs) {
    for (let at = start; at < end; ) {
      const taken = Math.min(end - at, capacity - pages);
      batch.push({ start: at, end: at + taken });
      pages += taken;
      at += taken;
      if (pages === capacity || batch.length === MOST_RUNS) {
        yield { runs: batch, pages };
        batch = [];
        pages = 0;
      }
    }
  }
  if (pages > 0) yield { runs: batch, pages };
}
