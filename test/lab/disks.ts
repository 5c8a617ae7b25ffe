// Disk images for the guests, and what a guest left on them, with no mount on the host: mke2fs fills an image from a
// directory, debugfs reads one.

import { copyFileSync, linkSync, mkdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { FileSource } from "./initramfs.ts";
import { run } from "./run.ts";

const MiB = 1024 * 1024;
// No journal: what the guest has synced is in place even if it is killed a moment later.
export const ext4 = ["mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-m", "0"];

/** Makes an empty ext4 image of `bytes` bytes (a sparse file). */
export async function emptyDisk(path: string, bytes: number): Promise<void> {
  rawDisk(path, bytes);
  await run("make an ext4 image", [...ext4, path]);
}

/** Makes a disk without a file system, all zeros, of at least `bytes` bytes (a sparse file). */
export function rawDisk(path: string, bytes: number): void {
  writeFileSync(path, "");
  truncateSync(path, Math.ceil(bytes / MiB) * MiB);
}

/** Makes an ext4 image with `files` on it, which are given by their paths on the disk. */
export async function diskOf(path: string, files: Record<string, FileSource>): Promise<void> {
  const staging = `${path}.files`;
  let bytes = 8 * MiB;
  try {
    mkdirSync(staging, { recursive: true });
    for (const [name, source] of Object.entries(files)) {
      const target = join(staging, name);
      mkdirSync(dirname(target), { recursive: true });
      // Generous, for the image is sparse: mke2fs makes one inode for each 16 KiB.
      bytes += stage(source, target) * 1.05 + 16384;
    }
    rawDisk(path, bytes);
    await run("make an ext4 image", [...ext4, "-d", staging, path]);
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

function stage(source: FileSource, target: string): number {
  if (source instanceof Uint8Array) {
    writeFileSync(target, source);
    return source.length;
  }
  try {
    linkSync(source.from, target);
  } catch {
    copyFileSync(source.from, target); // another file system
  }
  return Bun.file(source.from).size;
}

/** Copies everything on an ext4 image, or what is below some of its directories, to a new directory. */
export async function readDisk(image: string, directory: string, below: string[] = ["/"]): Promise<void> {
  for (const from of below) {
    const parent = join(directory, dirname(from));
    mkdirSync(parent, { recursive: true });
    // debugfs reports failures on standard error and still exits 0; it warns of what a plain user may not restore.
    await run("read the results", ["debugfs", "-R", `rdump ${from} ${parent}`, image]);
  }
  rmSync(join(directory, "lost+found"), { recursive: true, force: true });
}

/** Checks an ext4 image and brings its journal in, as the next mount would. @throws Error where it is past that */
export async function recoverDisk(image: string): Promise<void> {
  // 1: something was put right.
  const script = 'e2fsck -fy "$1"; [ $? -le 1 ]';
  await run("check an ext4 image", ["bash", "-c", script, "-", image]);
}
