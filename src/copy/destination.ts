/** Opens what a dump is written to: a file, a block device or a stream. */
import { S_IFBLK, S_IFDIR, S_IFMT, S_IFREG } from "../../ffi/constants.ts";
import { LibcError } from "../../ffi/errno.ts";
import type { Libc } from "../../ffi/libc.ts";
import type { Manifest } from "../dump/manifest.ts";
import { VmcopyError } from "../errors.ts";
import { BlockSink } from "../sink/block.ts";
import { FileSink, incompletePath } from "../sink/file.ts";
import type { Sink, SinkKind } from "../sink/sink.ts";
import { StreamSink } from "../sink/stream.ts";
import { formatSize } from "../units.ts";
import { isSpaceError } from "./ending.ts";
import { checkSpace, type SpaceNeed } from "./space.ts";

/** A place for a dump that has no path of its own: a part of something larger. */
export interface Part {
  open(): Sink;
  /** The dump is whole and durable. @param manifest undefined where none was wanted @throws LibcError */
  commit(manifest: Manifest | undefined): void;
}

export interface DestinationOptions {
  /** a path, or "-" for standard output */
  readonly dest: string;
  readonly sparse: boolean;
  readonly direct: boolean;
  readonly force: boolean;
  readonly resume: boolean;
  /** a dump that by an estimate may not fit is refused, not only warned of: there is a smaller one to try */
  readonly mustFit?: boolean | undefined;
  /** where the dump goes instead of to `dest`, which is what to call it then */
  readonly part?: Part | undefined;
}

/** What kind of thing a dump goes to; a path that does not exist is to become a file. @throws LibcError */
export function sinkKind(libc: Libc, dest: string, part?: Part): SinkKind {
  if (part !== undefined) return "part";
  if (dest === "-") return "stream";
  const type = (libc.status(dest)?.mode ?? S_IFREG) & S_IFMT;
  if (type === S_IFBLK) return "block";
  // A directory is refused by the file sink, which knows what to say.
  return type === S_IFREG || type === S_IFDIR ? "file" : "stream";
}

/** What opening a sink needs to know, and what it may have to do meanwhile. */
export interface Opening {
  readonly libc: Libc;
  readonly kind: SinkKind;
  /** bytes the dump has; the least it may have, where that is not known yet */
  readonly size: number;
  /** what of the file system it takes, asked only where space is short of `size` or that is not known */
  readonly need: () => SpaceNeed;
  readonly options: DestinationOptions;
  /** bytes of an incomplete dump that are there and right */
  readonly resumedAt: number;
  readonly warn: (line: string) => void;
  /** lets signals in while a pipe is full */
  readonly breathe: () => Promise<void>;
  /** called before an incomplete dump that is there is given up */
  readonly beginAnew: () => void;
}

/** Opens the sink, once it is known that the dump fits. @throws VmcopyError E_NO_SPACE, E_EXISTS; LibcError */
export function openSink(opening: Opening): Sink {
  const { libc, kind, size, options, resumedAt, warn, breathe, beginAnew } = opening;
  if (options.part !== undefined) return options.part.open();
  if (kind === "stream") {
    return options.dest === "-"
      ? StreamSink.standardOutput(libc, breathe)
      : StreamSink.open(libc, options.dest, breathe);
  }
  if (kind === "block") return BlockSink.open(libc, options.dest, size, options.direct, options.force);
  const resumes = options.resume && libc.status(incompletePath(options.dest)) !== undefined;
  const sink = FileSink.open(libc, options.dest, {
    sparse: options.sparse,
    direct: options.direct,
    force: options.force,
    resumeAt: resumes ? resumedAt : undefined,
  });
  try {
    const space = sink.space();
    if (space.available < size - resumedAt) {
      const warning = checkSpace(options.dest, opening.need(), space);
      if (warning !== undefined && options.mustFit === true) throw new VmcopyError("E_NO_SPACE", warning);
      if (warning !== undefined) warn(warning);
    }
    if (!resumes) beginAnew();
    if (sink.begin().directRefused) {
      warn(`${options.dest} is on a file system without O_DIRECT: written through the page cache`);
    }
    if (!options.sparse) reserve(sink, options.dest, size, resumedAt);
    return sink;
  } catch (error) {
    // Nothing of the dump is in it yet, unless it was there before.
    if (!sink.existed) libc.unlink(incompletePath(options.dest));
    sink.close();
    throw error;
  }
}

/** @throws VmcopyError E_NO_SPACE where the file system has not so much, or a quota allows less; LibcError */
function reserve(sink: FileSink, dest: string, size: number, resumedAt: number): void {
  const { available } = sink.space();
  try {
    sink.reserve(size);
  } catch (error) {
    if (!(error instanceof LibcError) || !isSpaceError(error)) throw error;
    const figures = `the dump needs ${formatSize(size - resumedAt)} more, ${formatSize(available)} (${available} bytes) are free`;
    throw new VmcopyError(
      "E_NO_SPACE",
      `Cannot write ${dest}: ${figures}, and ${error.text} (${error.code}); write elsewhere, or leave zeros out (--sparse)`,
      undefined,
      { cause: error },
    );
  }
}

/** @throws VmcopyError E_USAGE where source and dest, or what dest is written as, are one file */
export function refuseSameFile(libc: Libc, source: string, dest: string): void {
  if (dest === "-") return;
  const identity = libc.status(source)?.identity;
  for (const path of [dest, incompletePath(dest)]) {
    if (identity === undefined || libc.status(path)?.identity !== identity) continue;
    const what =
      path === dest ? "they are the same file" : `it would be written as ${path}, the source itself`;
    throw new VmcopyError("E_USAGE", `Cannot copy ${source} to ${dest}: ${what}; name another file`);
  }
}
