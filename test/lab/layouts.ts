// Initramfs images that are complete, by where the program lies in them, for crashes in the lab. Compressing takes a
// minute or two, so images are kept in the cache by what went into them.

import { mkdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { buildInitramfs, type InitramfsOptions } from "../../src/initramfs/build.ts";
import { cached, contentKey } from "./cache.ts";
import { drivers } from "./initramfs.ts";
import type { Crash } from "./lab.ts";
import { type Kernel, vmcopyPath } from "./packages.ts";

/** What shapes an image. */
export type ImageOptions = Partial<Pick<InitramfsOptions, "layout" | "codec" | "block" | "env">> & {
  /** how the file ends: .cpio, .cpio.zst, .cpio.xz */
  suffix?: string;
};

export interface LayoutImage {
  /** the initramfs, and for the disk layout the image there */
  initramfs: string;
  disk: string | undefined;
  /** bytes of the initramfs */
  size: number;
  /** what a crash needs to use it */
  crash: Partial<Crash>;
}

/** In the order in which the lab's guests get their disks, the first that no other crash uses. */
const DISK = "/dev/vdc";

/** The settings of every capture here: on the kernel's command line, for whoever is started. */
const SETTINGS = "vmcopy.to=/dev/vdb:/crash vmcopy.name=one vmcopy.final=poweroff";

/** Builds an image for a kernel, unless the cache has it. */
export async function layoutImage(kernel: Kernel, options: ImageOptions = {}): Promise<LayoutImage> {
  const { layout = "squashfs", codec = "xz", block = 1024, env = [], suffix = ".cpio" } = options;
  const words = JSON.stringify([layout, codec, block, env, suffix, drivers]);
  const sources = ["build", "compress", "cpio", "layouts", "loader", "loader-calls", "modules", "squashfs"];
  const key = contentKey([
    readFileSync(vmcopyPath),
    kernel.name,
    words,
    ...sources.map((name) => readFileSync(join(import.meta.dir, `../../src/initramfs/${name}.ts`), "utf8")),
  ]);
  const directory = await cached(
    "layouts",
    `${layout}-${key}`,
    async (path) => {
      mkdirSync(path);
      buildInitramfs({
        to: join(path, `initramfs${suffix}`),
        layout,
        codec,
        block,
        env,
        overlay: false,
        link: [],
        drivers,
        fileSystem: "squashfs",
        wait: 30,
        program: vmcopyPath,
        ...(kernel.modules === null ? {} : { modules: kernel.modules }),
        ...(layout === "disk" ? { device: DISK, image: join(path, "disk") } : {}),
      });
    },
    12,
  );
  const initramfs = join(directory, `initramfs${suffix}`);
  const disk = layout === "disk" ? join(directory, "disk") : undefined;
  const retained = layout === "retained" ? "retain_initrd " : "";
  return {
    initramfs,
    disk,
    size: statSync(initramfs).size,
    crash: {
      kernel,
      program: null,
      captureInitramfs: initramfs,
      captureArguments: `${retained}${SETTINGS}`,
      ...(disk === undefined ? {} : { disks: [{ path: disk, readOnly: true }] }),
    },
  };
}

/** Where a capture with these settings is, in the results of a crash. */
export function captureIn(results: string): string {
  return join(results, "crash", "one");
}
