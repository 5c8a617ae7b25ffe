/** Files that are there whole or not at all. */
import { chmodSync } from "node:fs";
import { O_CREAT, O_EXCL, O_WRONLY } from "./constants.ts";
import { File } from "./file.ts";
import type { Libc } from "./libc.ts";
import { Mapping } from "./mapping.ts";

/** Bytes handed to the kernel at once. */
const PIECE = 256 << 10;

/**
 * Writes a file beside its final name, syncs it and renames it, so that a reader finds the old one or the new one,
 * never a half. The name is durable once its directory is synced.
 *
 * @param mode its owner's alone unless told @throws LibcError; what was there before is there still
 */
export function writeWhole(libc: Libc, path: string, bytes: Uint8Array, mode = 0o600): void {
  const temporary = `${path}.new`;
  // One that a killed program left may have any mode: a new file has the right one.
  if (libc.status(temporary) !== undefined) libc.unlink(temporary);
  const file = File.open(libc, temporary, O_WRONLY | O_CREAT | O_EXCL, 0o600);
  try {
    writeBytes(file, bytes);
    if (mode !== 0o600) chmodSync(temporary, mode);
    file.sync();
    file.close();
    libc.rename(temporary, path);
  } catch (error) {
    removeQuietly(libc, file, temporary);
    throw error;
  }
}

/** Writes bytes from the file's start on. @throws LibcError */
export function writeBytes(file: File, bytes: Uint8Array): void {
  using buffer = Mapping.buffer(file.libc, Math.min(Math.max(bytes.length, 1), PIECE));
  for (let at = 0; at < bytes.length; at += PIECE) {
    const piece = bytes.subarray(at, at + PIECE);
    buffer.bytes().set(piece);
    file.pwrite(buffer.address, piece.length, at);
  }
}

/** Leaves no half file behind; the error that made it one is the one to be told. */
function removeQuietly(libc: Libc, file: File, path: string): void {
  for (const remove of [() => file.close(), () => libc.unlink(path)]) {
    try {
      remove();
    } catch {}
  }
}
