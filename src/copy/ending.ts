/** How a copy ends: well, with a name and a manifest that proves it, or not, with what there is and how to go on. */
import { LibcError } from "../../ffi/errno.ts";
import type { Libc } from "../../ffi/libc.ts";
import { type Manifest, manifestPath } from "../dump/manifest.ts";
import { writeManifest } from "../dump/manifest-file.ts";
import { Interrupted, VmcopyError } from "../errors.ts";
import { type FileSink, incompletePath } from "../sink/file.ts";
import type { SinkKind } from "../sink/sink.ts";
import { formatSize } from "../units.ts";

/**
 * Gives a dump that is whole and synced its name, then its manifest. Until the first rename a failure leaves an
 * incomplete dump; one after it, a dump that `--resume` gives its manifest.
 *
 * @param manifest undefined where none is wanted
 * @throws VmcopyError, LibcError
 */
export function commitDump(libc: Libc, sink: FileSink, manifest: Manifest | undefined): void {
  const partial = manifestPath(incompletePath(sink.path));
  if (manifest !== undefined) writeManifest(libc, partial, manifest);
  sink.commit();
  try {
    if (manifest !== undefined) libc.rename(partial, manifestPath(sink.path));
    else removeStale(libc, manifestPath(sink.path), partial);
    sink.syncDirectory();
  } catch (error) {
    if (!(error instanceof LibcError)) throw error;
    throw new CommittedError(
      "E_IO",
      `${error.message}; the dump is whole and has its name, ${sink.path}, but not all of its directory is safe: finish it by --resume`,
      undefined,
      { cause: error },
    );
  }
}

/** The dump has its name already: there is no incomplete one to speak of. */
class CommittedError extends VmcopyError {}

/** Removes manifests that speak of other bytes than are, or will be, there. @throws LibcError */
export function removeStale(libc: Libc, ...paths: string[]): void {
  for (const path of paths) if (libc.status(path) !== undefined) libc.unlink(path);
}

export interface Failure {
  readonly libc: Libc;
  readonly error: unknown;
  readonly source: string;
  readonly dest: string;
  readonly kind: SinkKind;
  /** bytes copied, and to be copied */
  readonly done: number;
  readonly size: number;
  /** of what is there so far; undefined where none is wanted */
  readonly partial: Manifest | undefined;
  /** a raw copy can be gone on with; a dump of pages says of itself that it is incomplete, and can be read */
  readonly resumable: boolean;
}

/** Keeps what a failed copy has, and gives the error that says how far it came, what is left and what to do. */
export function failed(failure: Failure): unknown {
  const { error, source, done, size } = failure;
  if (error instanceof CommittedError) return error;
  const progress = `${formatSize(done)} of ${formatSize(size)} copied (${done} of ${size} bytes)`;
  const kept = keepIncomplete(failure);
  if (error instanceof Interrupted) {
    error.message = `Stopped by ${error.signal}: ${progress}${kept}`;
    return error;
  }
  if (error instanceof LibcError || error instanceof VmcopyError) {
    const code = error instanceof VmcopyError ? error.code : isSpaceError(error) ? "E_NO_SPACE" : "E_IO";
    const exitCode = error instanceof VmcopyError ? error.exitCode : undefined;
    // A limit that was given is none that room on the disk helps with.
    const advice =
      code === "E_NO_SPACE" && error instanceof LibcError
        ? `; free up to ${formatSize(size - done)} there`
        : "";
    return new VmcopyError(code, `${error.message}: ${progress}${advice}${kept}`, exitCode, { cause: error });
  }
  return new Error(`Cannot copy ${source}: ${(error as Error).message}: ${progress}${kept}`, {
    cause: error,
  });
}

/** A full disk, or a quota that is used up. */
export function isSpaceError(error: LibcError): boolean {
  return error.code === "ENOSPC" || error.code === "EDQUOT";
}

function keepIncomplete({ libc, dest, kind, partial, resumable }: Failure): string {
  // Whoever owns the whole says what is left of it.
  if (kind === "stream" || kind === "part") return "";
  if (kind === "block") return `; ${dest} holds an incomplete dump, marked by an empty first page`;
  const path = incompletePath(dest);
  if (!resumable) return `; what there is lies in ${path}, marked incomplete: crash opens it as such`;
  const without = `; what there is lies in ${path}, without a manifest: --resume begins anew`;
  if (partial === undefined) return without;
  try {
    writeManifest(libc, manifestPath(path), partial);
  } catch {
    // A full disk may have no room for it either; an older one may be there.
    try {
      if (libc.status(manifestPath(path)) === undefined) return without;
    } catch {
      return without;
    }
  }
  return `; what there is lies in ${path}: go on with it by --resume`;
}
