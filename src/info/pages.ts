/** Pages by kind, and what each useful dump level would give: counted by the filter, sized by a sample of pages. */
import type { Libc } from "../../ffi/libc.ts";
import type { CodecName } from "../codec/packed.ts";
import { estimatePacking } from "../dump/estimate.ts";
import type { PageCounts } from "../filter/counts.ts";
import { defaultBudget, filterPages } from "../filter/filter.ts";
import type { Job } from "../job.ts";
import { availableMemory } from "../memory-usage.ts";
import type { CrashMemory } from "../vmcore/memory.ts";

/** Levels that people use: everything, no zeros, no free pages, no user data, none of these. */
export const LEVELS = [0, 1, 17, 25, 31] as const;
const CODEC: CodecName = "zstd";

export interface LevelEstimate {
  readonly level: number;
  /** pages kept, zero pages among them */
  readonly kept: number;
  /** bytes of a kdump-compressed dump, estimated */
  readonly bytes: number;
  /** on one thread of this machine, estimated */
  readonly seconds: number;
}

export interface PageSummary {
  readonly counts: PageCounts;
  readonly codec: CodecName;
  /** pages that each estimate was made from */
  readonly sampled: number;
  readonly levels: readonly LevelEstimate[];
  readonly problems: readonly string[];
}

/** Descriptors, headers and bitmaps: bytes for each page. */
const OVERHEAD = 24;

/** @throws LibcError where the source as such cannot be read; Interrupted */
export async function summarizePages(libc: Libc, job: Job, memory: CrashMemory): Promise<PageSummary> {
  const budget = defaultBudget(availableMemory());
  const levels: LevelEstimate[] = [];
  let last = { counts: undefined as PageCounts | undefined, problems: [] as readonly string[], sampled: 0 };
  for (const level of LEVELS) {
    const started = performance.now();
    const { kept, counts, problems } = await filterPages(libc, job, memory, { level, budget });
    const filterSeconds = (performance.now() - started) / 1000;
    const { bytesPerPage, secondsPerPage, pages } = estimatePacking(libc, memory, kept, CODEC);
    levels.push({
      level,
      kept: counts.kept,
      bytes: Math.round(counts.kept * (bytesPerPage + OVERHEAD)),
      seconds: filterSeconds + counts.kept * secondsPerPage,
    });
    last = { counts, problems, sampled: pages };
  }
  // The last level tells all kinds.
  const counts = last.counts as PageCounts;
  return { counts, codec: CODEC, sampled: last.sampled, levels, problems: last.problems };
}
