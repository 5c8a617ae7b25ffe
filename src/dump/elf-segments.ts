/**
 * The PT_LOADs of a filtered ELF dump: one for each run of pages that are stored.
 *
 *   stored pages        p_filesz
 *   zero pages behind   p_memsz beyond p_filesz: a reader gives zeros, which is what they are
 *   excluded pages      in no PT_LOAD: a reader fails, and does not take zeros for them
 *
 * makedumpfile stores what lies in gaps of fewer than 256 pages, and lets excluded pages read as zeros.
 */
import type { PfnRun } from "../vmcore/memory.ts";

/** Pages by PFN. */
export interface PageSet {
  /** The runs of [start, end), ascending and disjoint. */
  runs(start: number, end: number): Iterable<PfnRun>;
}

export interface ElfLoad {
  readonly pfn: number;
  /** pages with data in the file */
  readonly stored: number;
  /** pages in memory: those stored, then zero pages */
  readonly pages: number;
}

/** Fewer zero pages than this are stored: a program header for each would be a long way round. */
const WORTH_A_SEGMENT = 16;

/**
 * @param kept the pages of the dump
 * @param data those of them that are not zeros; `kept` itself where nobody looked
 * @yields in PFN order
 */
export function* elfLoads(ram: readonly PfnRun[], kept: PageSet, data: PageSet): Generator<ElfLoad> {
  for (const range of ram) {
    for (const run of kept.runs(range.start, range.end)) {
      let pfn = run.start;
      let storedEnd = run.start;
      for (const piece of kept === data ? [run] : data.runs(run.start, run.end)) {
        const gap = piece.start - storedEnd;
        if (gap >= WORTH_A_SEGMENT) {
          yield { pfn, stored: storedEnd - pfn, pages: piece.start - pfn };
          pfn = piece.start;
        }
        storedEnd = piece.end;
      }
      yield { pfn, stored: storedEnd - pfn, pages: run.end - pfn };
    }
  }
}
