/** A flattened stream made a file again: what `makedumpfile -R` does, checked and with a manifest. */
import type { Libc } from "../../ffi/libc.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { DumpFile } from "../dump/dump-file.ts";
import { FlattenedView, flatRecords } from "../dump/flattened-reader.ts";
import { manifestPath } from "../dump/manifest.ts";
import { openMemory } from "../dump/open.ts";
import { VmcopyError } from "../errors.ts";
import type { Job } from "../job.ts";
import { MemoryExtremes, memoryUsage } from "../memory-usage.ts";
import { FileSink, incompletePath } from "../sink/file.ts";
import { openForReading } from "../vmcore/vmcore.ts";
import { chunkSizeFor } from "../vmcore/window.ts";
import { openSink, refuseSameFile, sinkKind } from "./destination.ts";
import { commitDump, failed, removeStale } from "./ending.ts";
import { manifestSource } from "./facts.ts";
import { dumpManifest } from "./manifest-of.ts";
import type { CopyOptions, CopyReport } from "./raw.ts";

/** Bytes moved at once. */
const PIECE = 1 << 20;

/**
 * Writes each record's bytes where they belong.
 *
 * @throws VmcopyError E_NOT_VMCORE, exit code 1, where the stream was cut off or is damaged; LibcError; Interrupted
 */
export async function rearrange(libc: Libc, job: Job, options: CopyOptions): Promise<CopyReport> {
  const started = performance.now();
  const { source, dest } = options;
  refuseSameFile(libc, source, dest);
  using stream = openForReading(libc, source);
  // Looks at all records: what is damaged is known before the first byte is written.
  const view = FlattenedView.of(stream);
  if (view.truncated) {
    throw new VmcopyError(
      "E_NOT_VMCORE",
      `Cannot rearrange ${source}: it has no end record, it was cut off; what is there can still be read: vmcopy copy -d 0 ${source} <dest>`,
      1,
    );
  }
  const size = view.size();
  const kind = sinkKind(libc, dest);
  if (kind === "stream")
    throw new VmcopyError("E_USAGE", `Cannot rearrange ${source} into a stream: name a file`);
  const problems: string[] = [];
  const warn = (line: string) => {
    problems.push(line);
    job.warn(line);
  };
  const hasManifest = kind === "file" && options.manifest;
  const extremes = new MemoryExtremes();
  const sink = openSink({
    ...{ libc, kind, size, resumedAt: 0, warn },
    options: { ...options, sparse: true, resume: false },
    need: () => ({ least: stream.size() * 0.9, likely: stream.size(), basis: "the stream's size" }),
    breathe: () => job.breathe(),
    beginAnew: () => removeStale(libc, manifestPath(incompletePath(dest))),
  });
  const chunkSize = chunkSizeFor(size);
  using file = new DumpFile(libc, sink, chunkSize, hasManifest);
  using buffer = Mapping.buffer(libc, PIECE);
  let done = 0;
  try {
    job.start("rearrange", stream.size());
    try {
      for (const record of flatRecords(stream)) {
        for (let at = 0; at < record.size; at += PIECE) {
          const length = stream.pread(
            buffer.address,
            Math.min(PIECE, record.size - at),
            record.position + at,
          );
          await file.write(buffer.address, length, record.offset + at);
          done += length;
        }
        job.update(record.position + record.size);
        await job.breathe();
      }
      await file.finish(size);
      const manifest = hasManifest ? manifestOf(libc, options, file, chunkSize) : undefined;
      if (sink instanceof FileSink) commitDump(libc, sink, manifest);
    } catch (error) {
      throw failed({ libc, error, source, dest, kind, done, size, partial: undefined, resumable: false });
    } finally {
      job.end();
    }
  } finally {
    sink.close();
  }
  return {
    ...{
      source,
      dest,
      method: "read",
      mapSize: 0,
      bytesRead: stream.size(),
      bytesWritten: sink.bytesWritten,
    },
    seconds: (performance.now() - started) / 1000,
    peakRssBytes: memoryUsage().peakRss,
    anonymousRssBytes: extremes.anonymous,
    leastAvailableBytes: extremes.leastAvailable,
    manifest: hasManifest ? manifestPath(dest) : null,
    pages: { total: Math.ceil(size / libc.pageSize), zero: null },
    unreadable: [],
    problems,
  };
}

function manifestOf(libc: Libc, { source, sha256 }: CopyOptions, file: DumpFile, chunkSize: number) {
  using memory = openMemory(libc, [source]);
  const { format, dumpLevel } = memory;
  const facts = { format, dumpLevel, compression: "none", chunkSize, sha256, unreadable: [] };
  return dumpManifest(file, manifestSource(memory, libc.status(source)?.size ?? 0), facts);
}
