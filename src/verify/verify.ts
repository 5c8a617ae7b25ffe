/** `vmcopy verify`: whether a dump is what it should be, by its manifest or by its source. */
import { S_IFBLK, S_IFMT } from "../../ffi/constants.ts";
import { LibcError } from "../../ffi/errno.ts";
import type { File } from "../../ffi/file.ts";
import { FaultGuard } from "../../ffi/guard.ts";
import type { Libc } from "../../ffi/libc.ts";
import { manifestPath } from "../dump/manifest.ts";
import { readManifest } from "../dump/manifest-file.ts";
import { VmcopyError } from "../errors.ts";
import type { Job } from "../job.ts";
import { incompletePath } from "../sink/file.ts";
import { readingOf } from "../vmcore/map-size.ts";
import { openForReading, Vmcore } from "../vmcore/vmcore.ts";
import { type Method, WindowReader } from "../vmcore/window.ts";
import { verifyByManifest } from "./by-manifest.ts";
import { verifyBySource } from "./by-source.ts";
import type { Mismatch } from "./findings.ts";

export interface VerifyOptions {
  readonly dump: string;
  /** undefined: by manifest */
  readonly source?: string | undefined;
  readonly method?: Method | undefined;
  /** bytes of a window; undefined: measured */
  readonly mapSize?: number | undefined;
}

export interface VerifyReport {
  readonly dump: string;
  readonly source: string | null;
  /** the manifest that was used */
  readonly manifest: string | null;
  readonly ok: boolean;
  readonly bytesCompared: number;
  readonly seconds: number;
  /** the first thousand stretches that differ */
  readonly mismatches: readonly Mismatch[];
  readonly mismatchCount: number;
  readonly mismatchedBytes: number;
  readonly problems: readonly string[];
}

/** @throws VmcopyError where it cannot be told; LibcError; Interrupted */
export async function verifyDump(libc: Libc, job: Job, options: VerifyOptions): Promise<VerifyReport> {
  const started = performance.now();
  using dump = openDump(libc, options.dump);
  const size = dump.size();
  const isDevice = (dump.status().mode & S_IFMT) === S_IFBLK;
  const manifest = options.source === undefined ? manifestPath(options.dump) : null;
  const { findings, bytesCompared } =
    options.source === undefined
      ? await verifyByManifest(job, dump, size, requireManifest(libc, options.dump))
      : await againstSource(libc, job, dump, size, isDevice, options.source, options);
  return {
    dump: options.dump,
    source: options.source ?? null,
    manifest,
    ok: findings.ok,
    bytesCompared,
    seconds: (performance.now() - started) / 1000,
    mismatches: findings.mismatches,
    mismatchCount: findings.count,
    mismatchedBytes: findings.bytes,
    problems: findings.problems,
  };
}

function openDump(libc: Libc, path: string): File {
  try {
    return openForReading(libc, path);
  } catch (error) {
    if (!(error instanceof LibcError)) throw error;
    const incomplete = incompletePath(path);
    const isIncomplete = error.code === "ENOENT" && libc.status(incomplete) !== undefined;
    const advice = isIncomplete
      ? `; ${incomplete} is there: its copy did not end, go on with it by copy --resume`
      : "";
    throw new VmcopyError("E_IO", `${error.message}${advice}`, undefined, { cause: error });
  }
}

function requireManifest(libc: Libc, dump: string) {
  const path = manifestPath(dump);
  const manifest = readManifest(libc, path);
  if (manifest !== undefined) return manifest;
  throw new VmcopyError(
    "E_MANIFEST",
    `Cannot verify ${dump}: there is no ${path}; with its source it can be compared: vmcopy verify ${dump} <source>`,
  );
}

async function againstSource(
  libc: Libc,
  job: Job,
  dump: File,
  size: number,
  isDevice: boolean,
  source: string,
  options: VerifyOptions,
) {
  using vmcore = Vmcore.open(libc, source);
  const { method, mapSize } = readingOf(vmcore, options);
  using guard = new FaultGuard(libc);
  using reader = new WindowReader(vmcore, method, mapSize, guard);
  return await verifyBySource(job, dump, size, reader, isDevice);
}
