/** Opens what a dump is written to: a file, a block device or a stream. */
import { S_IFBLK, S_IFDIR, S_IFMT, S_IFREG } from "../../ffi/constants.ts";
import type { Libc } from "../../ffi/libc.ts";
import { VmcopyError } from "../errors.ts";
import { BlockSink } from "../sink/block.ts";
import { FileSink, incompletePath } from "../sink/file.ts";
import type { Sink } from "../sink/sink.ts";
import { StreamSink } from "../sink/stream.ts";
import type { Vmcore } from "../vmcore/vmcore.ts";
import { checkSpace, spaceNeed } from "./space.ts";

export interface DestinationOptions {
  /** a path, or "-" for standard output */
  readonly dest: string;
  readonly sparse: boolean;
  readonly direct: boolean;
  readonly force: boolean;
  readonly resume: boolean;
}

export type SinkKind = "file" | "block" | "stream";

/** What kind of thing `dest` is; a path that does not exist is to become a file. @throws LibcError */
export function sinkKind(libc: Libc, dest: string): SinkKind {
  if (dest === "-") return "stream";
  const type = (libc.status(dest)?.mode ?? S_IFREG) & S_IFMT;
  if (type === S_IFBLK) return "block";
  // A directory is refused by the file sink, which knows what to say.
  return type === S_IFREG || type === S_IFDIR ? "file" : "stream";
}

/**
 * Opens the sink, once it is known that the dump fits.
 *
 * @param resumedAt bytes of an incomplete dump that are there and right
 * @throws VmcopyError E_NO_SPACE, E_EXISTS; LibcError
 */
export function openSink(
  libc: Libc,
  kind: SinkKind,
  vmcore: Vmcore,
  options: DestinationOptions,
  resumedAt: number,
  warn: (line: string) => void,
): Sink {
  if (kind === "stream") {
    return options.dest === "-" ? StreamSink.standardOutput(libc) : StreamSink.open(libc, options.dest);
  }
  if (kind === "block") return BlockSink.open(libc, options.dest, vmcore.size, options.direct);
  const resumes = options.resume && libc.status(incompletePath(options.dest)) !== undefined;
  const sink = FileSink.open(libc, options.dest, {
    sparse: options.sparse,
    direct: options.direct,
    force: options.force,
    resumeAt:
      options.resume && libc.status(incompletePath(options.dest)) !== undefined ? resumedAt : undefined,
  });
  try {
    const available = sink.available();
    if (available < vmcore.size - resumedAt) {
      const warning = checkSpace(options.dest, spaceNeed(vmcore, resumedAt, options.sparse), available);
      if (warning !== undefined) warn(warning);
    }
    if (!options.sparse) sink.reserve(vmcore.size);
    if (sink.directRefused)
      warn(`${options.dest} is on a file system without O_DIRECT: written through the page cache`);
    return sink;
  } catch (error) {
    sink.close();
    // Nothing of the dump is in it yet, unless it is being resumed.
    if (!resumes) libc.unlink(incompletePath(options.dest));
    throw error;
  }
}

/** @throws VmcopyError E_USAGE where source and dest are one file */
export function refuseSameFile(libc: Libc, vmcore: Vmcore, dest: string): void {
  if (dest === "-") return;
  const there = libc.status(dest);
  if (there !== undefined && there.identity === vmcore.file.status().identity) {
    throw new VmcopyError("E_USAGE", `Cannot copy ${vmcore.path} to ${dest}: they are the same file`);
  }
}
