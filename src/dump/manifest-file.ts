/** Manifests on disk: written whole or not at all, readable by their owner alone. */
import { O_CREAT, O_EXCL, O_WRONLY } from "../../ffi/constants.ts";
import { File } from "../../ffi/file.ts";
import type { Libc } from "../../ffi/libc.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { decodeManifest, encodeManifest, type Manifest } from "./manifest.ts";

/** The largest manifest that is read: that of a dump of 64 TiB has 256 MiB. */
const LARGEST = 256 << 20;
/** Bytes handed to the kernel at once. */
const PIECE = 256 << 10;

/**
 * Writes a manifest beside its final name, syncs it and renames it, so that a reader finds the old one or the
 * new one, never a half.
 *
 * @throws LibcError
 */
export function writeManifest(libc: Libc, path: string, manifest: Manifest): void {
  const bytes = encodeManifest(manifest);
  const temporary = `${path}.new`;
  using buffer = Mapping.buffer(libc, Math.min(bytes.length, PIECE));
  // One that a killed program left may have any mode: a new file has the right one.
  if (libc.status(temporary) !== undefined) libc.unlink(temporary);
  const file = File.open(libc, temporary, O_WRONLY | O_CREAT | O_EXCL, 0o600);
  try {
    for (let at = 0; at < bytes.length; at += PIECE) {
      const piece = bytes.subarray(at, at + PIECE);
      buffer.bytes().set(piece);
      file.pwrite(buffer.address, piece.length, at);
    }
    file.sync();
    file.close();
    libc.rename(temporary, path);
  } catch (error) {
    removeQuietly(libc, file, temporary);
    throw error;
  }
}

/** Leaves no half manifest behind; the error that made it one is the one to be told. */
function removeQuietly(libc: Libc, file: File, path: string): void {
  for (const remove of [() => file.close(), () => libc.unlink(path)]) {
    try {
      remove();
    } catch {}
  }
}

/**
 * Reads a manifest.
 *
 * @returns undefined where there is none
 * @throws VmcopyError E_MANIFEST where it is damaged; LibcError
 */
export function readManifest(libc: Libc, path: string): Manifest | undefined {
  if (libc.status(path) === undefined) return undefined;
  using file = File.open(libc, path);
  const size = Math.min(file.size(), LARGEST);
  using buffer = Mapping.buffer(libc, Math.max(size, 1));
  return decodeManifest(buffer.bytes(0, file.pread(buffer.address, size, 0)), path);
}
