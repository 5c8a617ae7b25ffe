/**
 * Which pages a dump has: one pass over mem_map, in pieces of a fixed size.
 *
 * What cannot be told is kept: pages without a struct page, those whose struct page cannot be read, and all pages
 * of a kernel that cannot be understood. The dump is larger then, never poorer, and a line says so.
 */
import type { Libc } from "../../ffi/libc.ts";
import { VmcopyError } from "../errors.ts";
import type { Job } from "../job.ts";
import { AddressSpace } from "../vmcore/address-space.ts";
import { MemMap, type MemMapRun } from "../vmcore/mem-map.ts";
import type { CrashMemory, PfnRun } from "../vmcore/memory.ts";
import { setBits } from "../vmcore/pfn-bits.ts";
import { clipRuns, countRuns } from "../vmcore/pfn-runs.ts";
import { Classifier, LEVEL_ZERO } from "./classify.ts";
import type { PageCounts } from "./counts.ts";
import { KeptPages, PIECE_PFNS } from "./kept.ts";
import { type PageLayout, pageLayout } from "./page-layout.ts";

export interface FilterOptions {
  /** dump level, 0 to 31 */
  readonly level: number;
  /** bytes for struct pages at a time; at least {@link LEAST_BUDGET} */
  readonly budget: number;
}

export interface FilterResult {
  readonly kept: KeptPages;
  readonly counts: PageCounts;
  /** one line each: what could not be told, and was kept */
  readonly problems: readonly string[];
}

export const LEAST_BUDGET = 64 << 10;
export const MOST_BUDGET = 32 << 20;
/** Struct pages that are read at once: what a processor's second cache holds. More takes a third longer. */
const USEFUL_BUDGET = 256 << 10;
/** The filter takes at most this share of free memory. */
const SHARE = 16;

/** @param freeMemory bytes */
export function defaultBudget(freeMemory: number): number {
  return Math.min(USEFUL_BUDGET, Math.max(LEAST_BUDGET, Math.floor(freeMemory / SHARE)));
}

/** Tells the pages of a dump. @throws LibcError where the source as such cannot be read; Interrupted */
export async function filterPages(
  libc: Libc,
  job: Job,
  memory: CrashMemory,
  { level, budget }: FilterOptions,
): Promise<FilterResult> {
  const counts = emptyCounts(countRuns(memory.ram));
  const problems: string[] = [];
  const kept = new KeptPages();
  using mapReader = mapReaderOf(libc, memory, level, budget, counts, problems);
  job.start("filter", memory.endPfn * memory.pageSize);
  try {
    const bits = new Uint8Array(PIECE_PFNS / 8);
    for (let first = 0; first < memory.endPfn; first += PIECE_PFNS) {
      const end = Math.min(memory.endPfn, first + PIECE_PFNS);
      bits.fill(0);
      const runs = [...storedRam(memory, first, end)];
      for (const run of runs) setBits(bits, run.start - first, run.end - first);
      if (mapReader !== undefined) {
        for (const run of runs) mapReader.classify(run, bits, first);
      }
      kept.push(bits);
      job.update(end * memory.pageSize);
      await job.breathe();
    }
  } finally {
    job.end();
  }
  if (counts.unknown > 0) {
    problems.push(`${counts.unknown} pages have no struct page that can be read: they are kept`);
  }
  counts.kept = kept.count;
  return { kept, counts, problems };
}

function emptyCounts(total: number): PageCounts {
  const none = { cache: 0, cachePrivate: 0, user: 0, free: 0, hwpoison: 0, offline: 0, unknown: 0 };
  return { total, zero: null, ...none, kept: 0 };
}

/** Pages that are RAM and in the source. */
function* storedRam(memory: CrashMemory, start: number, end: number): Generator<PfnRun> {
  for (const run of memory.stored(start, end)) yield* clipRuns(memory.ram, run.start, run.end);
}

/** @returns undefined where mem_map is not to be looked at, or cannot be */
function mapReaderOf(
  libc: Libc,
  memory: CrashMemory,
  level: number,
  budget: number,
  counts: PageCounts,
  problems: string[],
): MapReader | undefined {
  const layout = pageLayout(memory.info);
  const wanted = level & ~LEVEL_ZERO;
  // Levels 0 and 1 look at mem_map for poisoned pages only.
  if (wanted === 0 && (layout === undefined || layout.hwpoison === 0n)) return undefined;
  const keepsAll = "all pages are kept but zeros";
  if (layout === undefined) {
    problems.push(`VMCOREINFO does not tell struct page: ${keepsAll}`);
    return undefined;
  }
  let told = wanted;
  for (const { bits, missing } of layout.unknown) {
    if ((told & bits) === 0) continue;
    problems.push(
      `VMCOREINFO has no ${missing}: dump level ${told & bits} of ${level} is left out, its pages are kept`,
    );
    told &= ~bits;
  }
  try {
    return new MapReader(libc, memory, layout, told, budget, counts);
  } catch (error) {
    if (!(error instanceof VmcopyError) || error.code !== "E_UNSUPPORTED") throw error;
    if (wanted !== 0) problems.push(`${error.message}: ${keepsAll}`);
    return undefined;
  }
}

/** Reads struct pages, as many as the budget allows at a time, and has them classified. */
class MapReader implements Disposable {
  readonly #space: AddressSpace;
  readonly #map: MemMap;
  readonly #classifier: Classifier;
  readonly #counts: PageCounts;

  constructor(
    libc: Libc,
    memory: CrashMemory,
    layout: PageLayout,
    level: number,
    budget: number,
    counts: PageCounts,
  ) {
    this.#space = AddressSpace.of(libc, memory);
    this.#map = MemMap.of(this.#space);
    this.#counts = counts;
    // An even number, so that the second page of a block comes with the first.
    const capacity = Math.max(2, Math.floor(Math.min(budget, MOST_BUDGET) / layout.size / 2) * 2);
    this.#classifier = new Classifier(libc, layout, level, counts, capacity);
  }

  /** @param bits of the pages from PFN `first` on */
  classify(run: PfnRun, bits: Uint8Array, first: number): void {
    for (const stretch of this.#map.runs(run.start, run.end)) this.#stretch(stretch, bits, first);
  }

  #stretch({ pfn, count, virtual }: MemMapRun, bits: Uint8Array, first: number): void {
    if (virtual === undefined) {
      this.#counts.unknown += count;
      return;
    }
    const size = this.#map.structSize;
    for (let done = 0; done < count; ) {
      const at = pfn + done;
      // Up to an even PFN, whatever the run begins with.
      const room = this.#classifier.capacity - (at % 2);
      const wanted = Math.min(count - done, room);
      const bytes = this.#space.readVirtualInto(
        virtual + BigInt(done * size),
        wanted * size,
        this.#classifier.address,
      );
      const there = Math.floor(bytes / size);
      if (there > 0) {
        this.#classifier.classify(at, there, bits, at - first);
      } else {
        // This one cannot be read: it is kept, and the next are tried.
        this.#counts.unknown++;
      }
      done += Math.max(1, there);
    }
  }

  [Symbol.dispose](): void {
    this.#space[Symbol.dispose]();
  }
}
