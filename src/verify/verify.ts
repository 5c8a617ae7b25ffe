/** `vmcopy verify`: whether a dump is what it should be, by its manifest or by its source. */
import { S_IFBLK, S_IFMT } from "../../ffi/constants.ts";
import { LibcError } from "../../ffi/errno.ts";
import type { File } from "../../ffi/file.ts";
import { FaultGuard } from "../../ffi/guard.ts";
import type { Libc } from "../../ffi/libc.ts";
import { manifestPath } from "../dump/manifest.ts";
import { findManifest, readManifest } from "../dump/manifest-file.ts";
import { kindOfDump, openMemory } from "../dump/open.ts";
import { MANIFEST_MEMBER, PartitionReader } from "../dump/partition-reader.ts";
import { VmcopyError } from "../errors.ts";
import type { Job } from "../job.ts";
import { incompletePath } from "../sink/file.ts";
import { isFiltered } from "../vmcore/elf-memory.ts";
import { PhysicalMap } from "../vmcore/layout.ts";
import { readingOf } from "../vmcore/map-size.ts";
import { openForReading, Vmcore } from "../vmcore/vmcore.ts";
import { type Method, WindowReader } from "../vmcore/window.ts";
import { verifyByManifest } from "./by-manifest.ts";
import { verifyByPages } from "./by-pages.ts";
import { verifyMembers } from "./by-partition.ts";
import { verifyBySource } from "./by-source.ts";
import { verifyByStructure } from "./by-structure.ts";
import { Findings, type Mismatch } from "./findings.ts";

/** The level of a dump that does not say its own. */
const EVERYTHING = 31;

export interface VerifyOptions {
  /** its path, or that of a raw partition with a capture */
  readonly dump: string;
  /** undefined: by manifest */
  readonly source?: string | undefined;
  /** the other members of a split set */
  readonly members: readonly string[];
  readonly method?: Method | undefined;
  /** bytes of a window; undefined: measured */
  readonly mapSize?: number | undefined;
  /** the capture on the raw partition is at work */
  readonly unfinished?: boolean | undefined;
}

export interface VerifyReport {
  readonly dump: string;
  readonly source: string | null;
  /** the manifest that was used */
  readonly manifest: string | null;
  /** what it was held against: its manifest, its source, or itself */
  readonly method: "manifest" | "source" | "structure";
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
  const { findings, bytesCompared, method, manifest } = await verifyBy(libc, job, options);
  return {
    dump: options.dump,
    source: options.source ?? null,
    manifest: manifest ?? null,
    method,
    ok: findings.ok,
    bytesCompared,
    seconds: (performance.now() - started) / 1000,
    mismatches: findings.mismatches,
    mismatchCount: findings.count,
    mismatchedBytes: findings.bytes,
    problems: findings.problems,
  };
}

interface Found {
  readonly findings: Findings;
  readonly bytesCompared: number;
  readonly method: VerifyReport["method"];
  /** the manifest that was used */
  readonly manifest?: string;
}

async function verifyBy(libc: Libc, job: Job, options: VerifyOptions): Promise<Found> {
  using file = openDump(libc, options.dump);
  const partition = PartitionReader.of(file);
  if (partition === undefined) return await verifyFile(libc, job, options, file);
  return await verifyPartition(libc, job, options, partition);
}

/** The dump on it, and the rest of it beside. */
async function verifyPartition(
  libc: Libc,
  job: Job,
  options: VerifyOptions,
  partition: PartitionReader,
): Promise<Found> {
  const dump = partition.dump();
  const found: Found =
    dump === undefined
      ? { findings: new Findings(new PhysicalMap([])), bytesCompared: 0, method: "manifest" }
      : await verifyFile(libc, job, options, dump, partition);
  const bytesCompared = verifyMembers(partition, options.unfinished === true, found.findings);
  return { ...found, bytesCompared: found.bytesCompared + bytesCompared };
}

async function verifyFile(
  libc: Libc,
  job: Job,
  options: VerifyOptions,
  dump: File,
  partition?: PartitionReader,
): Promise<Found> {
  const isPages = options.members.length > 0 || isDumpOfPages(dump);
  const manifestFile = findManifest(libc, options.dump);
  const readIts = () => (partition === undefined ? readManifest(libc, manifestFile) : partition.manifest());
  if (options.source !== undefined && !isPages) {
    const isDevice = (dump.status().mode & S_IFMT) === S_IFBLK;
    const found = await againstSource(libc, job, dump, dump.size(), isDevice, options.source, options);
    return { ...found, method: "source" as const };
  }
  const manifest = options.source === undefined ? readIts() : undefined;
  if (manifest !== undefined) {
    const found = await verifyByManifest(job, dump, dump.size(), manifest);
    const itsName = partition === undefined ? manifestFile : `${MANIFEST_MEMBER} on ${options.dump}`;
    return { ...found, method: "manifest" as const, manifest: itsName };
  }
  if (!isPages) throw noManifest(options.dump);
  using memory = openMemory(libc, [options.dump, ...options.members]);
  if (options.source === undefined) {
    return { ...(await verifyByStructure(libc, job, memory)), method: "structure" as const };
  }
  using source = openMemory(libc, [options.source], options);
  // A kdump-compressed dump says what was left out; of an ELF dump the manifest does, or all may be missing.
  const level = memory.format === "kdump" ? memory.dumpLevel : (readIts()?.dump.dumpLevel ?? EVERYTHING);
  const found = await verifyByPages(libc, job, memory, source, level);
  return { ...found, method: "source" as const };
}

/** Whether a dump has pages of its own choice: anything but a raw copy. */
function isDumpOfPages(file: File): boolean {
  const kind = kindOfDump(file);
  if (kind !== "elf") return kind !== "unknown";
  try {
    return isFiltered(Vmcore.of(file).headers);
  } catch (error) {
    // A damaged raw copy is found out by its manifest or its source.
    if (error instanceof VmcopyError) return false;
    throw error;
  }
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

function noManifest(dump: string): VmcopyError {
  const path = manifestPath(dump);
  return new VmcopyError(
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
