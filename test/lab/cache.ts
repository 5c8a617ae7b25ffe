// What the lab keeps between runs, outside the source tree: unpacked kernels, initramfs images, a big vmcore.
// Everything is made under a temporary name and renamed, so what is there is whole. Run directories, which hold
// the guests' disks, carry the process id of their owner: those left by a killed process go at the next run.

import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, utimesSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

/** The lab's cache directory: `$XDG_CACHE_HOME/vmcopy/lab` or `~/.cache/vmcopy/lab`. */
export const cacheRoot = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "vmcopy", "lab");

/** A short name for what goes into something: SHA-256 of all parts, in order, with their lengths. */
export function contentKey(parts: Iterable<string | Uint8Array>): string {
  const hasher = new Bun.CryptoHasher("sha256");
  for (const part of parts) hasher.update(`${part.length}:`).update(part);
  return hasher.digest("hex").slice(0, 24);
}

/**
 * The path of `<cache>/<kind>/<name>`, made by `make` (into the path it is given) if it is not there yet.
 * Keeps only the `keep` most recently used of a kind.
 */
export async function cached(
  kind: string,
  name: string,
  make: (path: string) => Promise<void>,
  keep = 4,
): Promise<string> {
  const path = join(cacheRoot, kind, name);
  if (!existsSync(path)) {
    const unfinished = join(cacheRoot, kind, `.${process.pid}-${name}`);
    mkdirSync(dirname(unfinished), { recursive: true });
    try {
      await make(unfinished);
      // Another process may have made the same thing meanwhile: then its one stays.
      if (!existsSync(path)) renameSync(unfinished, path);
    } finally {
      rmSync(unfinished, { recursive: true, force: true });
    }
  }
  const now = new Date();
  utimesSync(path, now, now);
  prune(dirname(path), keep);
  return path;
}

function prune(directory: string, keep: number): void {
  for (const name of readdirSync(directory)) {
    const owner = /^\.(\d+)-/.exec(name)?.[1];
    if (owner && !isAlive(Number(owner))) rmSync(join(directory, name), { recursive: true, force: true });
  }
  const age = (name: string) => statSync(join(directory, name)).mtimeMs;
  const names = readdirSync(directory).filter((name) => !name.startsWith("."));
  for (const name of names.sort((a, b) => age(b) - age(a)).slice(keep)) {
    rmSync(join(directory, name), { recursive: true, force: true });
  }
}

let runs = 0;
const openRuns = new Set<string>();

/** A new empty directory for one run; it is removed by `removeRun`, or when this process ends. */
export function createRun(): string {
  const parent = join(cacheRoot, "runs");
  mkdirSync(parent, { recursive: true });
  for (const name of readdirSync(parent)) {
    if (!isAlive(Number.parseInt(name, 10))) rmSync(join(parent, name), { recursive: true, force: true });
  }
  const path = join(parent, `${process.pid}-${++runs}`);
  rmSync(path, { recursive: true, force: true });
  mkdirSync(path);
  if (openRuns.size === 0) process.on("exit", removeAllRuns);
  openRuns.add(path);
  return path;
}

/** Removes a run's directory with all that is in it. */
export function removeRun(path: string): void {
  rmSync(path, { recursive: true, force: true });
  openRuns.delete(path);
  if (openRuns.size === 0) process.off("exit", removeAllRuns);
}

function removeAllRuns(): void {
  for (const path of openRuns) removeRun(path);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
