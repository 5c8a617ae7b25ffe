/**
 * A row of the lab: an initramfs that another project's tool made, with vmcopy in it by `vmcopy install`. A kernel crashes,
 * the capture kernel starts with that initramfs and nothing of the lab's, and what was captured is looked at on the host.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createRun, removeRun } from "./cache.ts";
import { type Capture, crashAndCapture } from "./lab.ts";
import { debianKernel, type Kernel, vmcopyPath } from "./packages.ts";
import { run } from "./run.ts";

const minutes = 60_000;

export interface ImageRow {
  /** why it cannot be run here */
  problems: readonly string[];
  /** makes the initramfs, or finds it in the cache */
  image: (kernel: Kernel) => Promise<string>;
  crashkernel: string;
  /** on the capture kernel's command line */
  settings: string;
  /** made on the disk before the crash */
  directories: readonly string[];
  /** where the captures are, on the disk */
  crashes: string;
}

/** The tests of a row. */
export function describeImage(name: string, row: ImageRow): void {
  const { problems } = row;
  if (problems.length > 0) console.error(`LAB LEFT OUT: ${problems.join("; ")}`);
  const lab = problems.length > 0 ? describe.skip : describe;
  const leftOut = problems.length > 0 ? ` (left out: ${problems.join("; ")})` : "";

  lab(`${name}${leftOut}`, () => {
    let capture: Capture;
    let scratch: string;
    let directory: string;
    let lines: string;

    beforeAll(async () => {
      scratch = createRun();
      const kernel = await debianKernel();
      const directories = row.directories.map((path) => `/out/${path}`).join(" ");
      capture = await crashAndCapture({
        memMiB: 1024,
        crashkernel: row.crashkernel,
        kernel,
        captureScript: "",
        captureInitramfs: await row.image(kernel),
        captureArguments: row.settings,
        workload: `mount /dev/vdb /out && mkdir -p ${directories} && umount /out`,
        timeoutSeconds: 400,
      });
      const crashes = join(capture.results, row.crashes);
      const [found = "", ...others] = readdirSync(crashes);
      expect(others).toEqual([]);
      directory = join(crashes, found);
      const all = capture.console.map((line) => line.replace(/^\[ *[\d.]+\] /, ""));
      lines = all.slice(all.findIndex((line) => line.includes("Kernel panic"))).join("\n");
    }, 15 * minutes);

    afterAll(() => {
      capture?.dispose();
      removeRun(scratch);
    });

    test("the whole capture, step by step, to the machine's power", () => {
      const told = [...lines.matchAll(/^\[ *\d+\.\d\d\] (\w+): /gm)].map(([, step]) => step);
      // A device was mounted for it, the root file system was there.
      const last = row.settings.includes("vmcopy.to=/dev/") ? "unmount" : "sync";
      expect(told.join(" ")).toBe(`read target log crash space dump verify name ${last} final`);
      expect(lines).toContain("reboot: Power down");
      const report = JSON.parse(readFileSync(join(directory, "capture.json"), "utf8"));
      expect(report).toMatchObject({ state: "complete", verified: true, dump: { dumpLevel: 31 } });
    });

    test("vmcopy verify on the host: whole and right", async () => {
      const verified = await run("verify the dump", [vmcopyPath, "verify", join(directory, "vmcore")]);
      expect(verified).toContain("whole and right");
    });

    test(
      "drgn opens it: who panicked",
      async () => {
        const symbols = (await capture.kernel.symbols()) ?? "";
        const program = join(scratch, "look.py");
        writeFileSync(program, "print(prog.crashed_thread().object.comm.string_().decode())\n");
        const command = ["drgn", "-q", "-c", join(directory, "vmcore"), "-s", symbols, program];
        expect(await run("open the dump with drgn", command)).toBe("init\n");
      },
      3 * minutes,
    );
  });
}
