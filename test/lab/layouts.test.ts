// A crash kernel of little memory with nothing in user space but vmcopy: it lies in a squashfs, in the initramfs or on a
// disk, and a loader of 3 KiB is /init. Sizes and crashkernel= are those of the README's table.

import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { withSquashfs } from "../../src/initramfs/layouts.ts";
import { crashAndCapture } from "./lab.ts";
import { captureIn, type ImageOptions, layoutImage } from "./layouts.ts";
import { debianKernel, labProblems, vmcopyPath } from "./packages.ts";
import { findProgram, run } from "./run.ts";

const MiB = 1024 * 1024;
const minutes = 60_000;
const problems = labProblems();
if (findProgram("mksquashfs") === null)
  problems.push("mksquashfs is missing: apt-get install squashfs-tools");
if (problems.length > 0) console.error(`LAB LEFT OUT: ${problems.join("; ")}`);
const reason = problems.length > 0 ? ` (left out: ${problems.join("; ")})` : "";

const ROWS: [what: string, crashkernel: string, options: ImageOptions, mostBytes: number][] = [
  ["in the initramfs", "160M", { layout: "squashfs" }, 43e6],
  ["on a disk", "96M", { layout: "disk", codec: "zstd", block: 128 }, 1e6],
];

test.skipIf(problems.length > 0).each(ROWS)(
  `a squashfs %s: a verified capture with crashkernel=%s${reason}`,
  async (_, crashkernel, options, mostBytes) => {
    const image = await layoutImage(await debianKernel(), options);
    expect(image.size).toBeLessThan(mostBytes);
    // A disk that has the program's pages read again and again, or a codec that is slow under emulation: a while.
    const capture = await crashAndCapture({ ...image.crash, memMiB: 1024, crashkernel, timeoutSeconds: 500 });
    try {
      const directory = captureIn(capture.results);
      expect(readdirSync(directory).sort()).toEqual([
        "capture.json",
        "crash.json",
        "dmesg.txt",
        "vmcore",
        "vmcore.manifest.json",
      ]);
      const record = JSON.parse(readFileSync(join(directory, "capture.json"), "utf8"));
      expect(record).toMatchObject({
        state: "complete",
        verified: true,
        dump: { dumpLevel: 31, compression: "zstd" },
      });
      expect(record.dump.anonymousRssBytes).toBeGreaterThan(4 * MiB);
      expect(record.dump.anonymousRssBytes).toBeLessThan(48 * MiB);
      expect(record.dump.leastAvailableBytes).toBeGreaterThan(0);
      const report = await run("verify the dump", [vmcopyPath, "verify", join(directory, "vmcore")]);
      expect(report).toContain("whole and right");
    } finally {
      capture.dispose();
    }
  },
  15 * minutes,
);

test.skipIf(problems.length > 0)(
  `a loader that cannot go on says so in a line and restarts the machine${reason}`,
  async () => {
    // The kernel has no loop device built in, and gets no module for it.
    const broken = { file: "broken.ko", data: new Uint8Array(100) };
    const entries = withSquashfs(
      new Uint8Array(512),
      { modules: [broken], settings: undefined },
      { fileSystem: "squashfs", environment: [] },
    );
    const capture = await crashAndCapture({ memMiB: 640, program: null, captureInitramfs: entries });
    const said = capture.console.map((line) => line.replace(/^\[ *[\d.]+\] /, ""));
    capture.dispose();
    expect(said.filter((line) => line.startsWith("vmcopy: "))).toEqual([
      "vmcopy: cannot load the module /modules/broken.ko: error 8; going on without it",
      "vmcopy: cannot open /dev/loop-control: error 2; is loop in this kernel? The machine restarts in 10 s",
    ]);
    expect(said.join("\n")).toMatch(/reboot: Restarting system/);
    expect(said.join("\n")).not.toContain("Attempted to kill init");
  },
  5 * minutes,
);
