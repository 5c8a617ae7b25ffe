// What the pages of a kernel are that has not crashed: /proc/kcore, by `vmcopy info` and by makedumpfile's --mem-usage,
// vmcopy's and makedumpfile's own.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createRun, removeRun } from "./cache.ts";
import { emptyDisk, readDisk } from "./disks.ts";
import { runGuest } from "./guest.ts";
import { baseEntries, fileEntries, moduleOrder, withLibraries, writeInitramfs } from "./initramfs.ts";
import { debianKernel, labProblems, vmcopyPath } from "./packages.ts";

const MiB = 1024 * 1024;
const problems = labProblems();
if (problems.length > 0) console.error(`LAB LEFT OUT: ${problems.join("; ")}`);
const lab = problems.length > 0 ? describe.skip : describe;
const reason = problems.length > 0 ? ` (left out: ${problems.join("; ")})` : "";

const init = `#!/bin/busybox sh
export PATH=/bin NO_COLOR=1
mount -t devtmpfs dev /dev; mount -t proc proc /proc; mount -t sysfs sys /sys
while read -r module; do insmod "/modules/$module"; done < /modules/order
mount /dev/vda /out
vmcopy info --json /proc/kcore > /out/info.json
vmcopy info --no-pages /proc/kcore > /out/info
vmcopy makedumpfile --mem-usage /proc/kcore > /out/ours 2> /out/ours.progress; echo $? > /out/ours.code
makedumpfile --mem-usage /proc/kcore > /out/theirs 2> /out/theirs.progress; echo $? > /out/theirs.code
umount /out
poweroff -f
`;

lab(`a kernel that runs${reason}`, () => {
  let directory: string;
  const left = (name: string) => readFileSync(join(directory, "out", name), "utf8");
  const lines = (name: string) =>
    left(name)
      .replaceAll(/^.*not supported.*\n|^.*incomplete.*\n/gm, "")
      .trim()
      .split("\n");
  /** The first number of the line that begins so. */
  const count = (name: string, word: string) =>
    Number(/\d+/.exec(lines(name).find((line) => line.startsWith(word)) ?? "")?.[0]);

  beforeAll(async () => {
    directory = createRun();
    const kernel = await debianKernel();
    const initrd = join(directory, "initrd");
    await writeInitramfs(initrd, [
      ...(await baseEntries(join(import.meta.dir, "init-capture.sh"), moduleOrder(kernel.modules))),
      ...(await withLibraries("makedumpfile", "bin/makedumpfile")),
      ...fileEntries({ "bin/init": new TextEncoder().encode(init), "bin/vmcopy": { from: vmcopyPath } }),
    ]);
    const disk = join(directory, "out.img");
    await emptyDisk(disk, 16 * MiB);
    // makedumpfile looks at no kernel that reserves nothing for a crash.
    const commandLine =
      "console=ttyS0,115200 panic=1 random.trust_cpu=on no_timer_check nokaslr crashkernel=64M rdinit=/bin/init";
    const doneLine = /reboot: Power down/;
    const machine = {
      memMiB: 512,
      cpus: 1,
      kernel: kernel.image,
      initrd,
      commandLine,
      disks: [{ path: disk }],
    };
    const guest = await runGuest({ ...machine, doneLine }, 300);
    expect(guest.failure).toBeNull();
    await readDisk(disk, join(directory, "out"));
  }, 330_000);

  afterAll(() => removeRun(directory));

  test("info says that it runs, and what its pages are", () => {
    const { pages } = JSON.parse(left("info.json"));
    expect(pages).toMatchObject({ unknown: 0, problems: [] });
    const { cache, cachePrivate, user, free, kept, hwpoison, offline, total } = pages;
    expect(cache + cachePrivate + user + free + kept + hwpoison + offline).toBe(total);
    expect(pages.estimate.levels.map(({ level }: { level: number }) => level)).toEqual([0, 1, 17, 25, 31]);
    expect(left("info")).toMatch(/the running kernel's memory \(procfs\)\n(?:.*\n)*.*crashed +not yet\n/);
  });

  test("--mem-usage has makedumpfile's lines", () => {
    expect([left("ours.code"), left("theirs.code")]).toEqual(["0\n", "0\n"]);
    const shape = (name: string) => lines(name).map((line) => line.replace(/\d+ */, "N "));
    expect(shape("ours")).toEqual(shape("theirs"));
    expect(shape("ours").length).toBeGreaterThan(10);
  });

  test("and its counts, but for what the two themselves change in a kernel that runs", () => {
    expect(count("ours", "page size")).toBe(count("theirs", "page size"));
    const total = count("theirs", "Total pages");
    for (const word of ["Total pages", "NON_PRI_CACHE", "PRI_CACHE", "USER", "FREE", "KERN_DATA"]) {
      const apart = Math.abs(count("ours", word) - count("theirs", word)) / total;
      expect([word, apart < 0.1, count("ours", word), count("theirs", word)]).toEqual([
        word,
        true,
        expect.any(Number),
        expect.any(Number),
      ]);
    }
  });
});
