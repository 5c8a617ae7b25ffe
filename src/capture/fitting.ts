/**
 * Which dump fits: the one that was asked for, or the next smaller one. Smaller is first the better codec, which
 * loses nothing, then a higher dump level. Estimates are of a sample of the pages; a margin is left, for a disk that
 * is full to the brim may be the one that the machine boots from.
 */
import type { Libc } from "../../ffi/libc.ts";
import type { CodecName } from "../codec/packed.ts";
import { estimatePacking } from "../dump/estimate.ts";
import { openMemory } from "../dump/open.ts";
import { defaultBudget, filterPages } from "../filter/filter.ts";
import type { Job } from "../job.ts";
import { availableMemory } from "../memory-usage.ts";
import { ElfMemory } from "../vmcore/elf-memory.ts";
import type { Reading } from "../vmcore/elf-page-reader.ts";
import { countRuns } from "../vmcore/pfn-runs.ts";

/** What a dump is to have. */
export interface DumpChoice {
  readonly level: number;
  readonly codec: CodecName;
}

/** Levels that people use, from little left out to all: zeros, free pages, user data, page cache. */
const LEVELS = [1, 17, 25, 31];
const BEST_CODEC: CodecName = "zstd";
/** Descriptors: bytes a page. */
const DESCRIPTOR = 24;
/** Bytes that are left free: manifest, capture.json, and whoever else writes there. */
const LEFT_FREE = 4 << 20;
/** A sample may be wrong by so much. */
const MARGIN = 1.1;

/** The dump that is wanted, then smaller and smaller ones; a level leaves out all that the one before did. */
export function ladder({ level, codec }: DumpChoice): DumpChoice[] {
  const levels = [level, ...LEVELS.map((more) => level | more)];
  const codecs = codec === BEST_CODEC ? [codec] : [codec, BEST_CODEC];
  return [...new Set(levels)].flatMap((each) => codecs.map((name) => ({ level: each, codec: name })));
}

export interface Fit {
  /** the first that fits and the smaller ones behind it; empty where none does */
  readonly choices: readonly DumpChoice[];
  /** bytes that the first of them takes at the most, or is estimated to; of the smallest where none fits */
  readonly bytes: number;
  /** how to read the source: measured once */
  readonly reading: Partial<Reading>;
}

/** Bytes that have to be free for a dump of so many. */
export function roomFor(bytes: number): number {
  return Math.ceil(bytes * MARGIN) + LEFT_FREE;
}

/** @param available bytes @throws VmcopyError, LibcError where the source cannot be read; Interrupted */
export async function fitDump(
  libc: Libc,
  job: Job,
  source: string,
  wanted: DumpChoice,
  available: number,
): Promise<Fit> {
  using memory = openMemory(libc, [source]);
  const reading = memory instanceof ElfMemory ? memory.reading : {};
  const choices = ladder(wanted);
  // Two bitmaps of one bit a page.
  const headers = memory.endPfn / 4 + memory.noteBytes.length + 4 * memory.pageSize;
  const unpacked = (pages: number) => headers + pages * (memory.pageSize + DESCRIPTOR);
  // Where there is room for all of memory, nobody has to look at it twice.
  const all = unpacked(countRuns(memory.ram));
  if (roomFor(all) <= available) return { choices, bytes: all, reading };
  const budget = defaultBudget(availableMemory());
  let bytes = 0;
  let filtered: Awaited<ReturnType<typeof filterPages>> | undefined;
  let level: number | undefined;
  for (const [index, choice] of choices.entries()) {
    if (filtered === undefined || level !== choice.level) {
      level = choice.level;
      filtered = await filterPages(libc, job, memory, { level: choice.level | memory.dumpLevel, budget });
    }
    const { kept } = filtered;
    const atMost = unpacked(kept.count);
    if (roomFor(atMost) <= available) return { choices: choices.slice(index), bytes: atMost, reading };
    const { bytesPerPage } = estimatePacking(libc, memory, kept, choice.codec);
    bytes = Math.round(headers + kept.count * (bytesPerPage + DESCRIPTOR));
    if (roomFor(bytes) <= available) return { choices: choices.slice(index), bytes, reading };
  }
  return { choices: [], bytes, reading };
}
