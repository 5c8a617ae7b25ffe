/**
 * Kernel modules for an initramfs: which files they are, in an order in which they can be loaded one by one. Nothing
 * but the modules themselves is read: no modules.dep, no depmod.
 */
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import type { Entry } from "./cpio.ts";
import { filter } from "./tools.ts";

/** One module: the name of its file, `.ko` at its end, and its ELF. */
export interface Module {
  readonly file: string;
  readonly data: Uint8Array;
}

/** A name has dashes or underscores, as its author liked; the kernel takes both for the same. */
const canonical = (name: string) => name.replaceAll("-", "_");

const SUFFIX = /\.ko(\.gz|\.xz|\.zst)?$/;

/** The kernel takes uncompressed modules from whoever loads them; distributions ship them compressed. */
const UNPACKERS: Record<string, (bytes: Uint8Array, path: string) => Uint8Array> = {
  "": (bytes) => bytes,
  ".gz": (bytes) => gunzipSync(bytes),
  ".xz": (bytes, path) => filter(`unpack ${path}`, ["xz", "-dc"], bytes),
  ".zst": (bytes) => zstdDecompressSync(bytes),
};

/**
 * The modules of these names with all that they depend on, in the order in which they can be loaded. A name that is no
 * module below the directory is taken to be built into the kernel.
 *
 * @param directory is searched with all that lies below it
 */
export function modulesInOrder(directory: string, names: readonly string[]): Module[] {
  const paths = new Map<string, string>();
  for (const file of readdirSync(directory, { recursive: true, encoding: "utf8" }).sort()) {
    if (SUFFIX.test(file)) paths.set(canonical(basename(file).replace(SUFFIX, "")), join(directory, file));
  }
  const modules = new Map<string, Module>();
  const visiting = new Set<string>();
  const visit = (name: string) => {
    const path = paths.get(canonical(name));
    if (path === undefined || visiting.has(path)) return;
    visiting.add(path);
    const data = unpacked(path);
    for (const other of dependencies(data)) visit(other);
    modules.set(path, { file: basename(path).replace(SUFFIX, ".ko"), data });
  };
  for (const name of names) visit(name);
  return [...modules.values()];
}

/** The files below modules/, and beside them their order. */
export function moduleEntries(modules: readonly Module[]): Entry[] {
  const order = modules.map(({ file }) => `${file}\n`).join("");
  return [
    ...modules.map(({ file, data }): Entry => ({ path: `modules/${file}`, data })),
    { path: "modules/order", data: new TextEncoder().encode(order) },
  ];
}

function unpacked(path: string): Uint8Array {
  const suffix = SUFFIX.exec(path)?.[1] ?? "";
  return (UNPACKERS[suffix] as (typeof UNPACKERS)[string])(readFileSync(path), path);
}

/** Of a module's .modinfo section, a run of NUL-terminated `key=value` strings. */
function dependencies(module: Uint8Array): string[] {
  const text = new TextDecoder("latin1").decode(module);
  return (/\0depends=([^\0]*)\0/.exec(text)?.[1] ?? "").split(",").filter(Boolean);
}
