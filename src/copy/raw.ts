/**
 * `vmcopy copy` for raw dumps: opens source and sink, runs the copy, and leaves behind either a whole dump with
 * its manifest or an incomplete one that says so.
 */
import { FaultGuard } from "../../ffi/guard.ts";
import type { Libc } from "../../ffi/libc.ts";
import { manifestPath, type UnreadableRange } from "../dump/manifest.ts";
import { writeManifest } from "../dump/manifest-file.ts";
import { VmcopyError } from "../errors.ts";
import type { Job } from "../job.ts";
import { MemoryExtremes, memoryUsage } from "../memory-usage.ts";
import { FileSink, incompletePath } from "../sink/file.ts";
import type { Sink } from "../sink/sink.ts";
import { readingOf } from "../vmcore/map-size.ts";
import { Vmcore } from "../vmcore/vmcore.ts";
import { chunkSizeFor, type Method, WindowReader } from "../vmcore/window.ts";
import { type DestinationOptions, openSink, refuseSameFile, sinkKind } from "./destination.ts";
import { commitDump, failed, removeStale } from "./ending.ts";
import { copyWindows } from "./engine.ts";
import { manifestMaker, unreadableRanges } from "./manifest-of.ts";
import { resumeState } from "./resume.ts";
import { spaceNeed } from "./space.ts";
import { CopyState } from "./state.ts";

export interface CopyOptions extends DestinationOptions {
  readonly source: string;
  /** undefined: whichever suits the source */
  readonly method?: Method | undefined;
  /** bytes of a window; undefined: measured */
  readonly mapSize?: number | undefined;
  readonly manifest: boolean;
  readonly sha256: boolean;
}

export interface CopyReport {
  readonly source: string;
  readonly dest: string;
  readonly method: Method;
  /** bytes */
  readonly mapSize: number;
  readonly bytesRead: number;
  /** bytes written to the sink, holes left out */
  readonly bytesWritten: number;
  readonly seconds: number;
  readonly peakRssBytes: number;
  readonly anonymousRssBytes: number;
  /** the least that programs could still have had */
  readonly leastAvailableBytes: number;
  /** its path, or null where there is none */
  readonly manifest: string | null;
  /** zero: null where nobody looked for zero pages */
  readonly pages: { readonly total: number; readonly zero: number | null };
  readonly unreadable: readonly UnreadableRange[];
  /** one line each: what is not as it should be */
  readonly problems: readonly string[];
}

/** A partial manifest is written this often, in milliseconds, and never for more than a part of the time. */
const CHECKPOINT = 2000;
const CHECKPOINT_SHARE = 20;

/** Copies a vmcore byte for byte. @throws VmcopyError, LibcError; Interrupted where a signal stopped it */
export async function copyRaw(libc: Libc, job: Job, options: CopyOptions): Promise<CopyReport> {
  const started = performance.now();
  using vmcore = Vmcore.open(libc, options.source);
  refuseSameFile(libc, vmcore.path, options.dest);
  const { method, mapSize } = readingOf(vmcore, options);
  const problems: string[] = [];
  const warn = (line: string) => {
    problems.push(line);
    job.warn(line);
  };

  const kind = sinkKind(libc, options.dest, options.part);
  const hasManifest = (kind === "file" || kind === "part") && options.manifest;
  const state = new CopyState(chunkSizeFor(vmcore.size), hasManifest, hasManifest && options.sha256);
  if (options.resume) {
    if (kind !== "file") {
      throw new VmcopyError("E_USAGE", `Cannot resume ${options.dest}: only a copy to a file can be resumed`);
    }
    job.inform(await resumeState(libc, job, vmcore, options.dest, options.force, state));
  }
  const resumedAt = state.offset;
  const makeManifest = hasManifest ? manifestMaker(vmcore) : undefined;
  const partial = manifestPath(incompletePath(options.dest));
  const extremes = new MemoryExtremes();
  using guard = new FaultGuard(libc);
  using reader = new WindowReader(vmcore, method, mapSize, guard);
  const sink = openSink({
    ...{ libc, kind, size: vmcore.size, options, resumedAt, warn },
    need: () => spaceNeed(vmcore, resumedAt, options.sparse),
    breathe: () => job.breathe(),
    beginAnew: () => removeStale(libc, partial),
  });
  try {
    let checkpoint = performance.now() + CHECKPOINT;
    let checkpoints = true;
    const settled = () => {
      const now = performance.now();
      extremes.sample(now);
      if (makeManifest === undefined || kind !== "file" || now < checkpoint) return;
      try {
        writeManifest(libc, partial, makeManifest(state, false));
      } catch (error) {
        // The dump itself may still get through.
        if (checkpoints)
          warn(`${(error as Error).message}: should this copy be cut off, --resume repeats more of it`);
        checkpoints = false;
      }
      const took = performance.now() - now;
      checkpoint = now + Math.max(CHECKPOINT, took * CHECKPOINT_SHARE);
    };
    job.start("copy", vmcore.size, resumedAt);
    try {
      // At once, so that what cannot be written (its name is longer than the dump's) is known now.
      if (resumedAt === 0 && makeManifest !== undefined && kind === "file")
        writeManifest(libc, partial, makeManifest(state, false));
      await copyWindows(job, reader, sink, state, settled);
      sink.finish(vmcore.size);
      if (sink instanceof FileSink) commitDump(libc, sink, makeManifest?.(state, true));
      else options.part?.commit(makeManifest?.(state, true));
    } catch (error) {
      const { source, dest } = options;
      const done = { done: state.offset, size: vmcore.size, partial: makeManifest?.(state, false) };
      throw failed({ libc, error, source, dest, kind, resumable: true, ...done });
    } finally {
      job.end();
    }
  } finally {
    closeQuietly(sink);
  }

  if (reader.counts.fallback > 0) {
    warn(`${reader.counts.fallback} windows of ${vmcore.path} could not be mapped and were read instead`);
  }
  const unreadable = unreadableRanges(vmcore, state);
  for (const { offset, length, physicalAddress } of unreadable) {
    const where = physicalAddress === null ? "" : ` (physical address 0x${physicalAddress.toString(16)})`;
    warn(
      `${length} bytes at offset ${offset}${where} could not be read from ${vmcore.path}: they are zeros in the dump`,
    );
  }
  return {
    source: vmcore.path,
    dest: options.dest,
    method,
    mapSize,
    bytesRead: vmcore.size - resumedAt,
    bytesWritten: sink.bytesWritten,
    seconds: (performance.now() - started) / 1000,
    peakRssBytes: memoryUsage().peakRss,
    anonymousRssBytes: extremes.anonymous,
    leastAvailableBytes: extremes.leastAvailable,
    manifest: makeManifest === undefined ? null : manifestPath(options.dest),
    pages: {
      total: Math.ceil(vmcore.size / libc.pageSize),
      zero: kind === "stream" ? null : state.zeroPages,
    },
    unreadable,
    problems,
  };
}

/** What it wrote is synced by now, or an error is on its way that says more than one of close(2) would. */
function closeQuietly(sink: Sink): void {
  try {
    sink.close();
  } catch {}
}
