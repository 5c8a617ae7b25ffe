/**
 * `vmcopy copy` for raw dumps: opens source and sink, runs the copy, and leaves behind either a whole dump with
 * its manifest or an incomplete one that says so.
 */
import { LibcError } from "../../ffi/errno.ts";
import { FaultGuard } from "../../ffi/guard.ts";
import type { Libc } from "../../ffi/libc.ts";
import { manifestPath, type UnreadableRange } from "../dump/manifest.ts";
import { writeManifest } from "../dump/manifest-file.ts";
import { Interrupted, VmcopyError } from "../errors.ts";
import type { Job } from "../job.ts";
import { AnonymousPeak, availableMemory, memoryUsage } from "../memory-usage.ts";
import { FileSink, incompletePath } from "../sink/file.ts";
import { formatSize } from "../units.ts";
import { defaultMethod, measuredMapSize } from "../vmcore/map-size.ts";
import { Vmcore } from "../vmcore/vmcore.ts";
import { CHUNK, type Method, WindowReader } from "../vmcore/window.ts";
import { type DestinationOptions, openSink, refuseSameFile, type SinkKind, sinkKind } from "./destination.ts";
import { copyWindows } from "./engine.ts";
import { manifestMaker, unreadableRanges } from "./manifest-of.ts";
import { resumeState } from "./resume.ts";
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
  /** its path, or null where there is none */
  readonly manifest: string | null;
  readonly pages: { readonly total: number; readonly zero: number };
  readonly unreadable: readonly UnreadableRange[];
  /** one line each: what is not as it should be */
  readonly problems: readonly string[];
}

/** A partial manifest is written this often, in milliseconds, and never for more than a part of the time. */
const CHECKPOINT = 2000;
const CHECKPOINT_SHARE = 20;

/** Copies a vmcore byte for byte. @throws VmcopyError, LibcError; Interrupted where a signal stopped it */
export async function copyVmcore(libc: Libc, job: Job, options: CopyOptions): Promise<CopyReport> {
  const started = performance.now();
  using vmcore = Vmcore.open(libc, options.source);
  refuseSameFile(libc, vmcore, options.dest);
  const method = vmcore.headers.elfClass === 32 ? "read" : (options.method ?? defaultMethod(vmcore));
  const mapSize = options.mapSize ?? (method === "mmap" ? measuredMapSize(vmcore, availableMemory()) : CHUNK);
  const problems: string[] = [];
  const warn = (line: string) => {
    problems.push(line);
    job.warn(line);
  };

  const state = new CopyState(options.sha256);
  const kind = sinkKind(libc, options.dest);
  if (options.resume) {
    if (kind !== "file") {
      throw new VmcopyError("E_USAGE", `Cannot resume ${options.dest}: only a copy to a file can be resumed`);
    }
    job.warn(await resumeState(libc, job, vmcore, options.dest, state));
  }
  const resumedAt = state.offset;
  const makeManifest = kind === "file" && options.manifest ? manifestMaker(vmcore) : undefined;
  const partial = manifestPath(incompletePath(options.dest));
  const anonymous = new AnonymousPeak();
  using guard = new FaultGuard(libc);
  using reader = new WindowReader(vmcore, method, mapSize, guard);
  const sink = openSink(libc, kind, vmcore, options, resumedAt, warn);
  try {
    let checkpoint = performance.now() + CHECKPOINT;
    const settled = () => {
      const now = performance.now();
      anonymous.sample(now);
      if (makeManifest === undefined || now < checkpoint) return;
      writeManifest(libc, partial, makeManifest(state, false));
      const took = performance.now() - now;
      checkpoint = now + Math.max(CHECKPOINT, took * CHECKPOINT_SHARE);
    };
    job.start("copy", vmcore.size, resumedAt);
    try {
      await copyWindows(job, reader, sink, state, settled);
      sink.finish(vmcore.size);
    } catch (error) {
      const kept = () =>
        keepIncomplete(libc, options.dest, kind, () => {
          if (makeManifest !== undefined) writeManifest(libc, partial, makeManifest(state, false));
        });
      throw incompleteError(error, options, state.offset, vmcore.size, kept());
    } finally {
      job.end();
    }
    if (sink instanceof FileSink) {
      if (makeManifest !== undefined) writeManifest(libc, partial, makeManifest(state, true));
      sink.commit();
      if (makeManifest !== undefined) libc.rename(partial, manifestPath(options.dest));
      else removeStaleManifests(libc, options.dest);
      sink.syncDirectory();
    }
  } finally {
    sink.close();
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
    anonymousRssBytes: anonymous.value,
    manifest: makeManifest === undefined ? null : manifestPath(options.dest),
    pages: { total: Math.ceil(vmcore.size / libc.pageSize), zero: state.zeroPages },
    unreadable,
    problems,
  };
}

/** Says what a failed run leaves behind; the manifest of it is written if that can be done. */
function keepIncomplete(libc: Libc, dest: string, kind: SinkKind, writePartial: () => void): string {
  if (kind === "stream") return "";
  if (kind === "block") return `; ${dest} holds an incomplete dump, marked by an empty first page`;
  try {
    writePartial();
  } catch {
    // A full disk may have no room for it either; an older one may be there.
    if (libc.status(manifestPath(incompletePath(dest))) === undefined) {
      return `; what there is lies in ${incompletePath(dest)}, without a manifest`;
    }
  }
  return `; what there is lies in ${incompletePath(dest)}: go on with it by --resume`;
}

function incompleteError(
  error: unknown,
  options: CopyOptions,
  done: number,
  size: number,
  kept: string,
): unknown {
  const progress = `${formatSize(done)} of ${formatSize(size)} copied (${done} of ${size} bytes)`;
  if (error instanceof Interrupted) {
    error.message = `Stopped by ${error.signal}: ${progress}${kept}`;
    return error;
  }
  if (error instanceof LibcError || error instanceof VmcopyError) {
    const code = error instanceof VmcopyError ? error.code : error.code === "ENOSPC" ? "E_NO_SPACE" : "E_IO";
    const exitCode = error instanceof VmcopyError ? error.exitCode : undefined;
    const advice = code === "E_NO_SPACE" ? `; free at least ${formatSize(size - done)} there` : "";
    return new VmcopyError(code, `${error.message}: ${progress}${advice}${kept}`, exitCode, { cause: error });
  }
  return new Error(`Cannot copy ${options.source}: ${progress}${kept}`, { cause: error });
}

/** A manifest of a dump that was replaced, or of this one while it was incomplete, would speak of other bytes. */
function removeStaleManifests(libc: Libc, dest: string): void {
  for (const path of [manifestPath(dest), manifestPath(incompletePath(dest))]) {
    if (libc.status(path) !== undefined) libc.unlink(path);
  }
}
