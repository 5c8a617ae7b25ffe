/**
 * `vmcopy copy` for dumps of pages: opens the source, tells which pages to keep, and writes them as one dump or a
 * split set, kdump-compressed or ELF, flattened or not. Leaves behind whole dumps with their manifests, or what
 * there is, marked incomplete.
 */
import type { Libc } from "../../ffi/libc.ts";
import type { CodecName } from "../codec/packed.ts";
import { batchPages } from "../codec/packer.ts";
import { splitRanges } from "../dump/kdump-writer.ts";
import { openMemory } from "../dump/open.ts";
import type { PageCounts } from "../filter/counts.ts";
import { defaultBudget, filterPages } from "../filter/filter.ts";
import { PIECE_PFNS } from "../filter/kept.ts";
import type { Job } from "../job.ts";
import { availableMemory, MemoryExtremes, memoryUsage } from "../memory-usage.ts";
import { ElfMemory } from "../vmcore/elf-memory.ts";
import type { CrashMemory } from "../vmcore/memory.ts";
import type { Method } from "../vmcore/window.ts";
import { type DestinationOptions, refuseSameFile } from "./destination.ts";
import { type Written, writeMember } from "./member.ts";
import { Workers } from "./workers.ts";

export interface FilteredOptions extends Omit<DestinationOptions, "sparse" | "resume"> {
  /** one, or the members of a split set */
  readonly sources: readonly string[];
  readonly format: "elf" | "kdump";
  /** dump level, 0 to 31 */
  readonly level: number;
  readonly codec: CodecName;
  readonly flatten: boolean;
  readonly jobs: number;
  /** members of a split set; 1: one dump */
  readonly split: number;
  /** their names; undefined: `dest` with .1, .2 and so on */
  readonly members?: readonly string[] | undefined;
  /** bytes that a dump may have at the most */
  readonly mostBytes?: number | undefined;
  /** tell what would be kept, write nothing */
  readonly dryRun: boolean;
  /** bytes for the filter; undefined: by free memory */
  readonly memory: number | undefined;
  readonly method?: Method | undefined;
  readonly mapSize?: number | undefined;
  readonly manifest: boolean;
  readonly sha256: boolean;
}

export interface FilteredReport {
  readonly source: string;
  /** of a split set, that of its first member */
  readonly dest: string;
  readonly dests: readonly string[];
  readonly format: "elf" | "kdump";
  readonly dumpLevel: number;
  readonly compression: CodecName;
  readonly flattened: boolean;
  readonly jobs: number;
  readonly dryRun: boolean;
  readonly method: Method;
  /** bytes */
  readonly mapSize: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** bytes of all dumps */
  readonly size: number;
  readonly seconds: number;
  readonly filterSeconds: number;
  readonly peakRssBytes: number;
  readonly anonymousRssBytes: number;
  /** the least that programs could still have had */
  readonly leastAvailableBytes: number;
  readonly manifest: string | null;
  readonly pages: PageCounts;
  /** pages that have data of their own in the dumps, of an ELF file zeros in small gaps too */
  readonly storedPages: number;
  /** max_mapnr */
  readonly endPfn: number;
  /** of the crashed kernel, in bytes */
  readonly pageSize: number;
  /** pages that could not be read */
  readonly unreadable: number;
  /** the dump, or its source, is marked incomplete */
  readonly incomplete: boolean;
  readonly problems: readonly string[];
}

/** Fewer pages than this for each are packed before a worker has started. */
const PAGES_FOR_A_WORKER = 2048;

/** Writes a dump of pages. @throws VmcopyError, LibcError; Interrupted where a signal stopped it */
export async function copyFiltered(libc: Libc, job: Job, options: FilteredOptions): Promise<FilteredReport> {
  const started = performance.now();
  const { sources, split } = options;
  using memory = openMemory(libc, sources, options);
  const dests = split === 1 ? [options.dest] : (options.members ?? memberNames(options.dest, split));
  for (const source of sources) for (const dest of dests) refuseSameFile(libc, source, dest);
  const problems: string[] = [];
  const warn = (line: string) => {
    problems.push(line);
    job.warn(line);
  };
  const extremes = new MemoryExtremes();
  if (memory.incomplete) warn(`${memory.path} is incomplete itself: what it lost is lost here too`);

  const level = options.level | memory.dumpLevel;
  const budget = options.memory ?? defaultBudget(availableMemory());
  const filtered = await filterPages(libc, job, memory, { level, budget });
  for (const problem of filtered.problems) warn(problem);
  const filterSeconds = (performance.now() - started) / 1000;
  extremes.sample(performance.now());
  const { counts } = filtered;

  const reading = memory instanceof ElfMemory ? memory.reading : { method: "read" as const, mapSize: 0 };
  const { kept } = filtered;
  const ranges = split === 1 ? [undefined] : splitRanges(kept, PIECE_PFNS / 8, memory.endPfn, split);
  const written: Written[] = [];
  if (!options.dryRun) {
    using workers = startWorkers(job, memory, { ...options, ...reading }, kept.count);
    for (const [index, dest] of dests.entries()) {
      const member = { dest, split: ranges[index], options: { ...options, level } };
      written.push(
        await writeMember({ libc, job, memory, kept, counts, workers, warn, extremes, ...member }),
      );
    }
    counts.zero = total(written, "zeroPages");
  }
  const unreadable = total(written, "unreadable");
  if (unreadable > 0)
    warn(`${unreadable} pages of ${memory.path} could not be read: they are lost in the dump`);
  return {
    source: memory.path,
    dest: dests[0] as string,
    dests,
    format: options.format,
    dumpLevel: level,
    compression: options.codec,
    flattened: options.flatten,
    jobs: options.jobs,
    dryRun: options.dryRun,
    ...reading,
    bytesRead: options.dryRun ? 0 : counts.kept * memory.pageSize,
    bytesWritten: total(written, "bytesWritten"),
    size: total(written, "size"),
    seconds: (performance.now() - started) / 1000,
    filterSeconds,
    peakRssBytes: memoryUsage().peakRss,
    anonymousRssBytes: extremes.anonymous,
    leastAvailableBytes: extremes.leastAvailable,
    manifest: written[0]?.manifest ?? null,
    pages: counts,
    storedPages: total(written, "storedPages"),
    endPfn: memory.endPfn,
    pageSize: memory.pageSize,
    unreadable,
    incomplete: memory.incomplete || unreadable > 0,
    problems,
  };
}

/** The names of a split set's members: dump.1, dump.2 and so on. */
function memberNames(dest: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${dest}.${index + 1}`);
}

function total(
  written: readonly Written[],
  name: "bytesWritten" | "size" | "zeroPages" | "storedPages" | "unreadable",
): number {
  return written.reduce((sum, member) => sum + member[name], 0);
}

/** Workers where they are worth it: more than one is wanted, and there is enough to pack. */
function startWorkers(
  job: Job,
  memory: CrashMemory,
  options: FilteredOptions & { readonly method: Method; readonly mapSize: number },
  pages: number,
): Workers | undefined {
  const { jobs, format, sources, method, mapSize, codec } = options;
  const count = Math.min(jobs, Math.ceil(pages / PAGES_FOR_A_WORKER));
  if (count < 2 || format !== "kdump") return undefined;
  const { pageSize } = memory;
  return new Workers(job, count, {
    sources,
    method,
    mapSize,
    codec,
    pageSize,
    capacity: batchPages(pageSize),
  });
}
