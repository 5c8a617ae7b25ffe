// Builds the lab's two initramfs images. The first kernel's holds kexec with its libraries beside busybox; the
// capture kernel's holds busybox and the program under test, nothing else that runs.

import { readFileSync, writeFileSync } from "node:fs";
import { cpio, type Entry } from "../../src/initramfs/cpio.ts";
import { type Module, moduleEntries, modulesInOrder } from "../../src/initramfs/modules.ts";
import { findProgram, run } from "./run.ts";

/** What a guest sees as a file: bytes, or the path of a file of the host. */
export type FileSource = Uint8Array | { from: string };

/** Drivers both kernels need; a name that is no module of the kernel is taken to be built in. */
export const drivers = ["virtio_pci", "virtio_blk", "crc32c_generic", "ext4"];

/** The drivers' modules in the order in which insmod can load them. */
export function moduleOrder(directory: string | null): Module[] {
  return directory === null ? [] : modulesInOrder(directory, drivers);
}

/** Entries both images share: busybox under each of its names, the modules with their order, an init script. */
export async function baseEntries(init: string, modules: Module[]): Promise<Entry[]> {
  const busybox = need("busybox");
  const applets = (await run("list busybox's programs", [busybox, "--list"])).split("\n").filter(Boolean);
  return [
    ...["dev", "proc", "sys", "tmp", "in", "out"].map((path): Entry => ({ path, directory: true })),
    { path: "init", data: readFileSync(init), mode: 0o755 },
    { path: "bin/busybox", data: readFileSync(busybox), mode: 0o755 },
    ...applets
      .filter((name) => name !== "busybox")
      .map((name): Entry => ({ path: `bin/${name}`, link: "busybox" })),
    ...moduleEntries(modules),
  ];
}

/** A program with the shared libraries it loads, each at the path it has on the host. */
export async function withLibraries(program: string, path: string): Promise<Entry[]> {
  const file = need(program);
  const libraries = (await run(`find the libraries of ${program}`, ["ldd", file])).matchAll(/(\/\S+) \(0x/g);
  return [
    { path, data: readFileSync(file), mode: 0o755 },
    ...[...libraries].map(
      ([, library = ""]): Entry => ({ path: library, data: readFileSync(library), mode: 0o755 }),
    ),
  ];
}

/** Entries for files given by the caller; those under bin/ are made executable. */
export function fileEntries(files: Record<string, FileSource>): Entry[] {
  return Object.entries(files).map(([path, source]) => ({
    path,
    data: source instanceof Uint8Array ? source : readFileSync(source.from),
    mode: /^\/?bin\//.test(path) ? 0o755 : 0o644,
  }));
}

/**
 * Writes the compressed image of `entries`. zstd at level 1 takes 0.2 s for vmcopy's 100 MB, so nothing is cached;
 * higher levels gain the guest nothing, and without compression the image would not fit beside its content in 256M.
 */
export async function writeInitramfs(path: string, entries: Entry[]): Promise<void> {
  writeFileSync(path, await Bun.zstdCompress(cpio(entries), { level: 1 }));
}

function need(program: string): string {
  const path = findProgram(program);
  if (!path) throw new Error(`Cannot build the initramfs: the program is missing (${program})`);
  return path;
}
