/** Manifests on disk: written whole or not at all, readable by their owner alone. */
import { File } from "../../ffi/file.ts";
import type { Libc } from "../../ffi/libc.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { writeWhole } from "../../ffi/whole-file.ts";
import { decodeManifest, encodeManifest, type Manifest, manifestPath } from "./manifest.ts";

/** The largest manifest that is read: that of a dump of 64 TiB has 256 MiB. */
const LARGEST = 256 << 20;

/** How kdump-utils' scripts call a dump until it is written; what they move to its name then is the dump alone. */
const KDUMP_UTILS_SUFFIX = "-incomplete";

/** Where the manifest of a dump lies: beside it, or where a script that renamed the dump left it. */
export function findManifest(libc: Libc, dump: string): string {
  const own = manifestPath(dump);
  const left = manifestPath(`${dump}${KDUMP_UTILS_SUFFIX}`);
  const isLeft = libc.status(own) === undefined && libc.status(left) !== undefined;
  return isLeft ? left : own;
}

/** Writes a manifest: whole, or not at all. @throws LibcError */
export function writeManifest(libc: Libc, path: string, manifest: Manifest): void {
  writeWhole(libc, path, encodeManifest(manifest));
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
