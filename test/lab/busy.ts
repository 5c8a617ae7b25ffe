// The vmcore of a machine that was at work: input for `npm run compare` and for whoever wants real data without
// crashing a kernel each time. Made once, then taken from the cache.

import { readFileSync, renameSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { cached, contentKey, createRun, removeRun } from "./cache.ts";
import { diskOf, rawDisk } from "./disks.ts";
import type { Disk } from "./guest.ts";
import type { FileSource } from "./initramfs.ts";
import { crashAndCapture } from "./lab.ts";
import { debianKernel } from "./packages.ts";
import { run } from "./run.ts";

const MiB = 1024 * 1024;
const fileFolders = ["/usr/bin", "/usr/lib", "/usr/share"];

const workload = readFileSync(join(import.meta.dir, "busy-workload.sh"), "utf8");
const captureScript = `
  dd if=/proc/vmcore of=$(ls /dev/vd? | tail -n 1) bs=1M 2> /dev/null || exit 1
  stat -c %s /proc/vmcore > size
`;

/**
 * The path of a raw vmcore (a sparse file, mode 0600) of a busy guest with `memMiB` MiB of memory, in the cache.
 * Made by `dd`, so that nothing under test had a hand in it. About 90 seconds for 3 GiB the first time.
 */
export async function busyVmcore({ memMiB = 3072 }: { memMiB?: number } = {}): Promise<string> {
  return await cachedVmcore("busy", memMiB, workload, (directory) => busyMachine(directory, memMiB));
}

/** The same of a guest of 1 GiB that did nothing before it crashed. */
export async function idleVmcore(): Promise<string> {
  return await cachedVmcore("idle", 1024, "", async () => ({ memMiB: 1024, disks: [] }));
}

async function cachedVmcore(
  name: string,
  memMiB: number,
  work: string,
  machine: (directory: string) => Promise<{ memMiB: number; workload?: string; disks: Disk[] }>,
): Promise<string> {
  const kernel = await debianKernel();
  const key = contentKey([kernel.name, String(memMiB), work, captureScript]);
  const make = async (path: string) => {
    const directory = createRun();
    try {
      const guest = await machine(directory);
      const dump = join(directory, "dump.img");
      rawDisk(dump, memMiB * MiB);
      const capture = await crashAndCapture({
        ...guest,
        kernel,
        captureScript,
        program: null,
        disks: [...guest.disks, { path: dump }],
        resultsMiB: 16,
        timeoutSeconds: 600,
      });
      const size = Number(readFileSync(join(capture.results, "size"), "utf8"));
      capture.dispose();
      truncateSync(dump, size);
      await run("make the vmcore sparse", ["fallocate", "--dig-holes", dump]);
      await run("protect the vmcore", ["chmod", "600", dump]);
      renameSync(dump, path);
    } finally {
      removeRun(directory);
    }
  };
  // Three gigabytes the largest: one of each to use, and one to compare it with.
  return await cached("vmcores", `${name}-${memMiB}M-${key}.vmcore`, make, 3);
}

/**
 * A machine with work to do, about 60 % of its memory used, as part of what `crashAndCapture` wants; its disk of files
 * is made in `directory`.
 */
export async function busyMachine(
  directory: string,
  memMiB: number,
): Promise<{ memMiB: number; workload: string; disks: Disk[] }> {
  const path = join(directory, "files.img");
  await diskOf(path, await machineFiles((memMiB * MiB) / 5));
  return { memMiB, workload, disks: [{ path, readOnly: true }] };
}

/** Files of this machine that everyone may read, by path, up to `bytes` bytes in all. */
async function machineFiles(bytes: number): Promise<Record<string, FileSource>> {
  // Not the largest: a few compilers' libraries would be the whole disk.
  const tests = ["-type", "f", "-perm", "-444", "-size", "+4k", "-size", "-64M"];
  const list = await run("list this machine's files", [
    ...["find", ...fileFolders, "-xdev", ...tests, "-printf", "%s %p\n"],
  ]);
  const files: Record<string, FileSource> = {};
  let rest = bytes;
  for (const line of list.split("\n").filter(Boolean).sort(byPath)) {
    const [size, path] = [Number.parseInt(line, 10), line.slice(line.indexOf(" ") + 1)];
    if (size > rest) continue;
    files[path] = { from: path };
    rest -= size;
  }
  return files;
}

function byPath(a: string, b: string): number {
  return a.slice(a.indexOf(" ")) < b.slice(b.indexOf(" ")) ? -1 : 1;
}
