/** What is in an initramfs, by where its program lies. */
import type { Entry } from "./cpio.ts";
import { assembleLoader, type LoaderPlan, MOUNT_POINTS, type Source } from "./loader.ts";
import { type Module, moduleEntries } from "./modules.ts";

/**
 * plain: /init is the program; squashfs: /init mounts a squashfs that lies beside it; retained: one that lies in the
 * initrd, but is never unpacked from it; disk: one on a block device.
 */
export const LAYOUTS = ["plain", "squashfs", "retained", "disk"] as const;
export type Layout = (typeof LAYOUTS)[number];

/** What is put beside /init in any layout. */
export interface Contents {
  /** all modules, in the order in which they are loaded */
  readonly modules: readonly Module[];
  /** /etc/vmcopy.toml */
  readonly settings: Uint8Array | undefined;
}

/**
 * What keeps the runtime small; the kernel's command line and --env win. Measured on the host with `copy -d 31 -c zstd -j 1`
 * of a busy 3 GiB machine's vmcore: 15.7 MiB anonymous and 54.5 MiB resident instead of 25.1 and 68.2, in 0.74 s of a
 * processor instead of 0.69 s. The optimizing compilers are code that has to be read and data of their own, for loops that
 * run for a second; it is the last of these that slows zlib (0.80 s instead of 0.59 s) and lzo (0.37 s, 0.31 s) down. What
 * changed nothing beyond the noise: the garbage collector's settings, those of mimalloc, MALLOC_ARENA_MAX.
 */
const SMALL_RUNTIME = [
  "BUN_JSC_useDFGJIT=0",
  "BUN_JSC_useConcurrentJIT=0",
  "BUN_JSC_forceRAMSize=33554432",
  "BUN_JSC_useOMGJIT=0",
] as const;

/** What the loader is told; it loads all modules, as it cannot know which of them its disk needs. */
export interface LoaderOptions {
  readonly fileSystem: string;
  readonly environment: readonly string[];
}

const IMAGE = "vmcopy.sqsh";
const PROGRAM = "vmcopy";

/** /init alone, with what it may find beside it. */
export function plain(program: Uint8Array, contents: Contents): Entry[] {
  return [...common(contents), { path: "init", data: program, mode: 0o755 }];
}

/** The squashfs as a file beside the loader. */
export function withSquashfs(image: Uint8Array, contents: Contents, options: LoaderOptions): Entry[] {
  return [
    ...withLoader({ kind: "file", path: `/${IMAGE}` }, contents, options),
    { path: IMAGE, data: image, mode: 0o400 },
  ];
}

/**
 * The squashfs in an entry that the kernel passes over: of what is no regular file it does not read the data (do_header()
 * and do_skip() in init/initramfs.c). It comes first, so that its place is known, at the first whole sector.
 */
export function withRetained(image: Uint8Array, contents: Contents, options: LoaderOptions): Entry[] {
  const offset = 512;
  const source: Source = { kind: "retained", offset };
  return [{ path: IMAGE, skipped: image, at: offset }, ...withLoader(source, contents, options)];
}

/** The program is on a disk. */
export function onDisk(device: string, seconds: number, contents: Contents, options: LoaderOptions): Entry[] {
  return withLoader({ kind: "device", path: device, seconds }, contents, options);
}

/** To be appended to any initramfs: the program at the path that scripts find it by, and links to it. */
export function overlay(program: Uint8Array, links: readonly string[]): Entry[] {
  return [
    { path: "usr/bin/vmcopy", data: program, mode: 0o755 },
    ...links.map((path): Entry => ({ path, link: "/usr/bin/vmcopy" })),
  ];
}

function withLoader(source: Source, contents: Contents, options: LoaderOptions): Entry[] {
  const plan: LoaderPlan = {
    source,
    fileSystem: options.fileSystem,
    modules: contents.modules.map(({ file }) => `/modules/${file}`),
    program: PROGRAM,
    environment: [...options.environment, ...SMALL_RUNTIME],
  };
  return [
    ...MOUNT_POINTS.map((path): Entry => ({ path, directory: true })),
    ...common(contents),
    { path: "init", data: assembleLoader(plan), mode: 0o755 },
  ];
}

function common({ modules, settings }: Contents): Entry[] {
  return [
    ...(settings === undefined ? [] : [{ path: "etc/vmcopy.toml", data: settings, mode: 0o600 }]),
    ...(modules.length === 0 ? [] : moduleEntries(modules)),
  ];
}
