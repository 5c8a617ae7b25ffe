/**
 * A capture taken from a raw partition: its dump, every chunk held against its manifest while it is copied, or all that
 * is there, into a directory. What is not as it was written is told, and taken out all the same.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { S_IFDIR, S_IFMT } from "../../ffi/constants.ts";
import { isMediumError } from "../../ffi/errno.ts";
import type { File } from "../../ffi/file.ts";
import type { Libc } from "../../ffi/libc.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { writeWhole } from "../../ffi/whole-file.ts";
import { markIncomplete } from "../dump/incomplete-mark.ts";
import { LARGEST_CHUNK, type Manifest, manifestPath } from "../dump/manifest.ts";
import { noDump } from "../dump/open.ts";
import type { PartitionState } from "../dump/partition-header.ts";
import { DAMAGED, DUMP_MEMBER, MANIFEST_MEMBER, PartitionReader } from "../dump/partition-reader.ts";
import { ZeroChunk } from "../dump/zero-chunk.ts";
import { VmcopyError } from "../errors.ts";
import type { Job } from "../job.ts";
import { xxh3 } from "../kernels/xxh3.ts";
import { checkDestination, FileSink, incompletePath } from "../sink/file.ts";
import type { Sink } from "../sink/sink.ts";
import { openForReading } from "../vmcore/vmcore.ts";
import { LEAST_CHUNK } from "../vmcore/window.ts";
import { openSink, refuseSameFile, sinkKind } from "./destination.ts";
import { commitDump, failed, removeStale } from "./ending.ts";
import type { CopyOptions } from "./raw.ts";

export interface TakenReport {
  readonly source: string;
  /** the dump, or the directory */
  readonly dest: string;
  /** of the capture, as its header says */
  readonly state: PartitionState;
  /** of the dump; undefined where there is none, or no manifest to tell */
  readonly dump: Manifest["dump"] | undefined;
  /** what was written, by its path */
  readonly files: readonly string[];
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readonly seconds: number;
  /** its path, or null where there is none */
  readonly manifest: string | null;
  /** one line each: what is not as it should be */
  readonly problems: readonly string[];
}

/** What a member that is not as it was written is called. */
const DAMAGED_SUFFIX = ".damaged";

/**
 * @throws VmcopyError E_NOT_VMCORE, exit code 1, where no dump is there and `dest` is no directory; E_EXISTS; LibcError;
 *   Interrupted
 */
export async function takeOut(libc: Libc, job: Job, options: CopyOptions): Promise<TakenReport> {
  const { source, dest } = options;
  refuseSameFile(libc, source, dest);
  using file = openForReading(libc, source);
  const partition = PartitionReader.of(file);
  if (partition === undefined) throw new Error(`Cannot take a capture from ${source}: there is none`);
  const work = new TakingOut(libc, job, options, partition);
  const isDirectory = dest !== "-" && ((libc.status(dest)?.mode ?? 0) & S_IFMT) === S_IFDIR;
  if (isDirectory) await work.takeAll();
  else await work.takeDump(dest);
  return work.report();
}

class TakingOut {
  readonly #libc: Libc;
  readonly #job: Job;
  readonly #options: CopyOptions;
  readonly #partition: PartitionReader;
  readonly #started = performance.now();
  readonly #files: string[] = [];
  readonly #problems: string[] = [];
  #manifest: Manifest | undefined;
  #manifestPath: string | null = null;
  #bytesRead = 0;
  #bytesWritten = 0;

  constructor(libc: Libc, job: Job, options: CopyOptions, partition: PartitionReader) {
    this.#libc = libc;
    this.#job = job;
    this.#options = options;
    this.#partition = partition;
    for (const problem of partition.problems()) this.#problem(`${partition.path}: ${problem}`);
    try {
      const manifest = partition.manifest();
      if ((manifest?.chunkSize ?? 0) <= LARGEST_CHUNK) this.#manifest = manifest;
      else this.#problem(`its manifest has chunks of more than ${LARGEST_CHUNK} bytes: it is not used`);
    } catch (error) {
      if (!(error instanceof VmcopyError)) throw error;
      this.#problem(`${error.message}; the dump is taken out without a proof`);
    }
  }

  /** Every member, by its name. */
  async takeAll(): Promise<void> {
    const { dest, force } = this.#options;
    const { members } = this.#partition.header;
    // What is there already is known before anything is written.
    for (const { name } of members) checkDestination(this.#libc, join(dest, name), force);
    for (const member of members) {
      const { name } = member;
      if (name === DUMP_MEMBER || (name === MANIFEST_MEMBER && this.#manifest !== undefined)) continue;
      const { bytes, isRight } = this.#partition.read(member);
      const path = join(dest, isRight ? name : `${name}${DAMAGED_SUFFIX}`);
      if (!isRight) this.#problem(`${name} is not as it was written: ${DAMAGED}; it is taken out as ${path}`);
      writeWhole(this.#libc, path, bytes);
      this.#files.push(path);
      this.#bytesRead += bytes.length;
      this.#bytesWritten += bytes.length;
    }
    if (this.#partition.member(DUMP_MEMBER) !== undefined) await this.takeDump(join(dest, DUMP_MEMBER));
  }

  async takeDump(dest: string): Promise<void> {
    const libc = this.#libc;
    const dump = this.#partition.dump() ?? noDump(this.#partition);
    const size = dump.size();
    const kind = sinkKind(libc, dest);
    const sink = openSink({
      ...{ libc, kind, size, resumedAt: 0 },
      options: { ...this.#options, dest, resume: false },
      need: () => ({ least: 0, likely: size, basis: "its size" }),
      warn: (line) => this.#job.warn(line),
      breathe: () => this.#job.breathe(),
      beginAnew: () => removeStale(libc, manifestPath(incompletePath(dest))),
    });
    const before = this.#bytesRead;
    try {
      this.#job.start("take out", size);
      const sha256 = await this.#copyChunks(dump, size, sink);
      sink.finish(size);
      const manifest = this.#options.manifest ? this.#manifestWith(sha256) : undefined;
      if (sink instanceof FileSink) commitDump(libc, sink, manifest);
      this.#files.push(dest);
      if (kind === "file" && manifest !== undefined) {
        this.#manifestPath = manifestPath(dest);
        this.#files.push(this.#manifestPath);
      }
      this.#bytesWritten += sink.bytesWritten;
    } catch (error) {
      const done = this.#bytesRead - before;
      await markIncomplete(libc, sink).catch(() => {});
      const { source } = this.#options;
      throw failed({ libc, error, source, dest, kind, done, size, partial: undefined, resumable: false });
    } finally {
      this.#job.end();
      try {
        sink.close();
      } catch {
        // Synced by now, or an error is on its way that says more.
      }
    }
  }

  report(): TakenReport {
    const { source, dest } = this.#options;
    return {
      source,
      dest,
      state: this.#partition.header.state,
      dump: this.#manifest?.dump,
      files: this.#files,
      bytesRead: this.#bytesRead,
      bytesWritten: this.#bytesWritten,
      seconds: (performance.now() - this.#started) / 1000,
      manifest: this.#manifestPath,
      problems: this.#problems,
    };
  }

  /** @returns its SHA-256, where that is wanted or in the manifest */
  async #copyChunks(dump: File, size: number, sink: Sink): Promise<string | undefined> {
    const manifest = this.#manifest;
    const digests = manifest?.digests;
    const chunkSize = manifest?.chunkSize ?? LEAST_CHUNK;
    const wants = this.#options.sha256 || typeof manifest?.sha256 === "string";
    const hash = wants ? createHash("sha256") : undefined;
    using buffer = Mapping.buffer(this.#libc, chunkSize);
    using zeros = new ZeroChunk(this.#libc, chunkSize);
    let wrong = 0;
    for (let offset = 0, index = 0; offset < size; offset += chunkSize, index++) {
      const length = Math.min(chunkSize, size - offset);
      const bytes = buffer.bytes(0, length);
      bytes.fill(0, this.#read(dump, buffer.address, length, offset));
      const digest = xxh3(bytes);
      if (digests !== undefined && (index >= digests.length || digests.at(index) !== digest)) {
        if (wrong++ === 0)
          this.#problem(`the dump is not as it was written: the ${length} bytes at offset ${offset} differ`);
      }
      hash?.update(bytes);
      if (digest === zeros.digest(length)) await sink.zeros(length, offset);
      else await sink.data(buffer.address, length, offset);
      sink.settle(offset + length);
      this.#bytesRead += length;
      this.#job.update(offset + length);
      await this.#job.breathe();
    }
    if (wrong > 1) this.#problem(`and ${wrong - 1} more chunks of ${chunkSize} bytes`);
    if (manifest !== undefined && manifest.dump.size !== size)
      this.#problem(`the dump has ${size} bytes, its manifest says ${manifest.dump.size}`);
    const sha256 = hash?.digest("hex");
    if (typeof manifest?.sha256 === "string" && sha256 !== manifest.sha256)
      this.#problem("its SHA-256 is not the one in its manifest");
    return sha256;
  }

  /** @returns bytes read; what cannot be read is told, and becomes zeros */
  #read(dump: File, address: number, length: number, offset: number): number {
    try {
      return dump.pread(address, length, offset);
    } catch (error) {
      if (!isMediumError(error)) throw error;
      this.#problem(
        `${length} bytes at offset ${offset} of the dump cannot be read: ${error.text} (${error.code})`,
      );
      return 0;
    }
  }

  #manifestWith(sha256: string | undefined): Manifest | undefined {
    const manifest = this.#manifest;
    return manifest && { ...manifest, sha256: manifest.sha256 ?? sha256 ?? null };
  }

  #problem(line: string): void {
    this.#problems.push(line);
    this.#job.warn(line);
  }
}
