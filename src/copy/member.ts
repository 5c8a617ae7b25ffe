/**
 * Writes one dump of pages: opens what it goes to, hands the packed pages to the format's writer, and ends it with a
 * name and a manifest, or as an incomplete dump.
 */
import type { Libc } from "../../ffi/libc.ts";
import { batchPages, createPacker } from "../codec/packer.ts";
import { DumpFile, type DumpOutput } from "../dump/dump-file.ts";
import { ElfWriter } from "../dump/elf-writer.ts";
import { estimatePacking } from "../dump/estimate.ts";
import { FlattenedFile } from "../dump/flattened-file.ts";
import { KdumpWriter } from "../dump/kdump-writer.ts";
import { type Manifest, manifestPath } from "../dump/manifest.ts";
import { LEVEL_ZERO } from "../filter/classify.ts";
import type { PageCounts } from "../filter/counts.ts";
import { type KeptPages, PIECE_PFNS } from "../filter/kept.ts";
import type { Job } from "../job.ts";
import type { MemoryExtremes } from "../memory-usage.ts";
import { FileSink, incompletePath } from "../sink/file.ts";
import type { CrashMemory, PfnRun } from "../vmcore/memory.ts";
import { chunkSizeFor } from "../vmcore/window.ts";
import { batches } from "./batches.ts";
import { openSink, sinkKind } from "./destination.ts";
import { commitDump, failed, removeStale } from "./ending.ts";
import { manifestSource, physBaseOf, utsnameOf, virtualOf, vmcoreinfoPlace } from "./facts.ts";
import type { FilteredOptions } from "./filtered.ts";
import { dumpManifest } from "./manifest-of.ts";
import { type PackedBatch, packBatches, plainBatches } from "./packing.ts";
import type { Workers } from "./workers.ts";
import { withoutZeroPages } from "./zero-pages.ts";

export interface Member {
  readonly libc: Libc;
  readonly job: Job;
  readonly memory: CrashMemory;
  readonly kept: KeptPages;
  readonly counts: PageCounts;
  readonly options: FilteredOptions;
  /** its own name, and its share of the pages; undefined: all, and no split set */
  readonly dest: string;
  readonly split: PfnRun | undefined;
  /** undefined: packed on this thread */
  readonly workers: Workers | undefined;
  readonly warn: (line: string) => void;
  readonly extremes: MemoryExtremes;
}

export interface Written {
  readonly bytesWritten: number;
  /** bytes of the dump */
  readonly size: number;
  readonly zeroPages: number;
  readonly storedPages: number;
  readonly unreadable: number;
  readonly incomplete: boolean;
  /** its path, or null where there is none */
  readonly manifest: string | null;
}

/** What a format's writer is to the pages. */
interface PageWriter {
  begin(): Promise<void>;
  add(batch: PackedBatch): Promise<void>;
  /** @returns bytes of the dump */
  finish(): Promise<number>;
}

/** Writes the dump. @throws VmcopyError, LibcError; Interrupted */
export async function writeMember(member: Member): Promise<Written> {
  const { libc, job, memory, kept, options, dest, split, warn } = member;
  const range = split ?? { start: 0, end: memory.endPfn };
  const pages = kept.countIn(range.start, range.end);
  const mostBytes = pages * (memory.pageSize + 24);
  const kind = sinkKind(libc, dest, options.part);
  const hasManifest = (kind === "file" || kind === "part") && options.manifest;
  const chunkSize = chunkSizeFor(mostBytes);
  const data = await dataPages(member, kept);
  const partial = manifestPath(incompletePath(dest));
  const sink = openSink({
    ...{ libc, kind, size: kind === "block" ? 0 : mostBytes, resumedAt: 0, warn },
    options: { ...options, dest, sparse: true, resume: false },
    need: () => spaceNeed(member, pages),
    breathe: () => job.breathe(),
    beginAnew: () => removeStale(libc, partial),
  });
  using file = new DumpFile(libc, sink, chunkSize, hasManifest, options.mostBytes);
  const flatten = options.flatten || (kind === "stream" && options.format === "kdump");
  const output: DumpOutput = flatten ? new FlattenedFile(file) : file;
  const unreadable: number[] = [];
  let done = 0;
  try {
    job.start("copy", pages * memory.pageSize);
    try {
      const { writer, runs, zeroPages } = pageWriter(member, output, kept, data);
      await writer.begin();
      for await (const batch of packed(member, runs(range))) {
        unreadable.push(...batch.unreadable);
        await writer.add(batch);
        done += batch.pages;
        member.extremes.sample();
        job.update(done * memory.pageSize);
        await job.breathe();
      }
      // Of an ELF file zero pages are none to add.
      job.update(pages * memory.pageSize);
      await output.finish(await writer.finish());
      const isIncomplete = memory.incomplete || unreadable.length > 0;
      const manifest = hasManifest ? manifestOf(member, file, chunkSize, unreadable) : undefined;
      if (sink instanceof FileSink) commitDump(libc, sink, manifest);
      else options.part?.commit(manifest);
      return {
        bytesWritten: sink.bytesWritten,
        size: file.size,
        zeroPages: zeroPages(),
        storedPages: done,
        unreadable: unreadable.length,
        incomplete: isIncomplete,
        manifest: manifest === undefined ? null : manifestPath(dest),
      };
    } catch (error) {
      const size = pages * memory.pageSize;
      const partly = { done: done * memory.pageSize, size, partial: undefined, resumable: false };
      throw failed({ libc, error, source: memory.path, dest, kind, ...partly });
    } finally {
      job.end();
    }
  } finally {
    try {
      sink.close();
    } catch {
      // Synced by now, or an error is on its way that says more.
    }
  }
}

/** Kept pages that are not zeros, where the format has to know. */
async function dataPages({ libc, job, memory, options }: Member, kept: KeptPages): Promise<KeptPages> {
  const looks = options.format === "elf" && (options.level & LEVEL_ZERO) !== 0;
  return looks ? await withoutZeroPages(libc, job, memory, kept) : kept;
}

function pageWriter(
  member: Member,
  output: DumpOutput,
  kept: KeptPages,
  data: KeptPages,
): { writer: PageWriter; runs: (range: PfnRun) => Iterable<PfnRun>; zeroPages: () => number } {
  return member.options.format === "elf"
    ? elfWriter(member, output, kept, data)
    : kdumpWriter(member, output, kept);
}

function kdumpWriter({ libc, memory, options, split }: Member, output: DumpOutput, kept: KeptPages) {
  const writer = new KdumpWriter(output, {
    pageSize: memory.pageSize,
    ram: memory.ram,
    endPfn: memory.endPfn,
    kept,
    pieceBytes: PIECE_PFNS / 8,
    noteBytes: memory.noteBytes,
    vmcoreinfo: vmcoreinfoPlace(memory),
    cpus: memory.cpus,
    physBase: physBaseOf(memory),
    utsname: utsnameOf(libc, memory),
    crashTime: memory.info.crashTime ?? 0,
    dumpLevel: options.level,
    codec: options.codec,
    incomplete: memory.incomplete,
    split,
  });
  return {
    writer: {
      begin: () => writer.begin(),
      add: (batch: PackedBatch) => writer.add(batch.packed, lostOf(batch)),
      finish: () => writer.finish(),
    },
    runs: ({ start, end }: PfnRun) => kept.runs(start, end),
    zeroPages: () => writer.zeroPages,
  };
}

function elfWriter({ memory, dest }: Member, output: DumpOutput, kept: KeptPages, data: KeptPages) {
  const { architecture, pageSize, ram, noteBytes } = memory;
  const plan = { path: dest, architecture, pageSize, ram, noteBytes, kept, data, virtual: virtualOf(memory) };
  const writer = new ElfWriter(output, plan);
  let isWhole = !memory.incomplete;
  return {
    writer: {
      begin: () => writer.begin(output.rewritable),
      add: async (batch: PackedBatch) => {
        if (batch.unreadable.length > 0) isWhole = false;
        await writer.add(batch.packed.address, batch.pages);
      },
      finish: async () => {
        await output.sync();
        if (isWhole && output.rewritable) await writer.complete();
        return writer.size;
      },
    },
    runs: () => writer.stored(),
    zeroPages: () => kept.count - data.count,
  };
}

/** Indices of a batch's unreadable pages. */
function lostOf({ runs, unreadable }: PackedBatch): Set<number> | undefined {
  if (unreadable.length === 0) return undefined;
  const lost = new Set<number>();
  let index = 0;
  for (const { start, end } of runs) {
    for (const pfn of unreadable) if (pfn >= start && pfn < end) lost.add(index + pfn - start);
    index += end - start;
  }
  return lost;
}

/** Packs on this thread or on workers. ELF pages are not packed: they are as they are in memory. */
async function* packed(
  { libc, memory, options, workers }: Member,
  runs: Iterable<PfnRun>,
): AsyncGenerator<PackedBatch> {
  const capacity = batchPages(memory.pageSize);
  const work = batches(runs, capacity);
  if (workers !== undefined) {
    yield* workers.pack(work);
    return;
  }
  using packer = createPacker(libc, options.codec, memory.pageSize, capacity);
  yield* options.format === "elf" ? plainBatches(memory, packer, work) : packBatches(memory, packer, work);
}

/** Descriptors for sure; pages by an estimate. */
function spaceNeed({ libc, memory, kept, options }: Member, pages: number) {
  const { bytesPerPage, pages: sampled } = estimatePacking(libc, memory, kept, options.codec);
  const basis = `an estimate from ${sampled} pages`;
  return { least: pages * 24, likely: pages * (bytesPerPage + 24), basis };
}

function manifestOf(
  { libc, memory, options }: Member,
  file: DumpFile,
  chunkSize: number,
  unreadable: readonly number[],
): Manifest {
  const source = manifestSource(memory, libc.status(options.sources[0] ?? "")?.size ?? 0);
  return dumpManifest(file, source, {
    format: options.flatten ? `${options.format}-flattened` : options.format,
    dumpLevel: options.level,
    compression: options.codec,
    chunkSize,
    sha256: options.sha256,
    // In a dump of pages they have no bytes of their own.
    unreadable: unreadable.map((pfn) => ({ offset: 0, length: 0, physicalAddress: pfn * memory.pageSize })),
  });
}
