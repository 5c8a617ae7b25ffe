/** Where a kernel's log goes: standard output or a file. Unlike what is said on a terminal, all of it has to arrive. */
import { O_CREAT, O_EXCL, O_TRUNC, O_WRONLY } from "../../ffi/constants.ts";
import { EINVAL, LibcError } from "../../ffi/errno.ts";
import { File } from "../../ffi/file.ts";
import type { Libc } from "../../ffi/libc.ts";
import { Mapping } from "../../ffi/mapping.ts";

const BUFFER = 1 << 16;
const MODE = 0o600;
/** Milliseconds between two looks whether a full pipe has room. */
const PATIENCE = 1000;

/** Writes a text to standard output. @throws LibcError */
export function toStandardOutput(libc: Libc, text: string): void {
  write(new File(libc, 1, "standard output"), text);
}

/** Writes a text to a file, its owner's alone, or to whatever a path is. @param force there may be one @throws LibcError */
export function toFile(libc: Libc, path: string, text: string, force: boolean): void {
  using file = File.open(libc, path, O_WRONLY | O_CREAT | (force ? O_TRUNC : O_EXCL), MODE);
  write(file, text);
}

function write(file: File, text: string): void {
  const bytes = new TextEncoder().encode(text);
  using buffer = Mapping.buffer(file.libc, BUFFER);
  for (let at = 0; at < bytes.length; ) {
    const piece = bytes.subarray(at, at + BUFFER);
    buffer.bytes(0, piece.length).set(piece);
    const count = file.write(buffer.address, piece.length);
    if (count === 0) file.waitUntilWritable(PATIENCE);
    at += count;
  }
  try {
    file.sync();
  } catch (error) {
    // Pipes and character devices have nothing to sync.
    if (!(error instanceof LibcError) || error.errno !== EINVAL) throw error;
  }
}
