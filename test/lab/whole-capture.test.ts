// `vmcopy capture` as the whole of a capture kernel's work: a kernel crashes, /init does no more than load drivers and
// start it, the machine powers itself off, and the host finds everything on the disk.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { createRun, removeRun } from "./cache.ts";
import { type Capture, crashAndCapture } from "./lab.ts";
import { debianKernel, labProblems, vmcopyPath } from "./packages.ts";
import { run } from "./run.ts";

const minutes = 60_000;
const problems = labProblems();
if (problems.length > 0) console.error(`LAB LEFT OUT: ${problems.join("; ")}`);
const lab = problems.length > 0 ? describe.skip : describe;

/** A capture without KVM takes 14 s, and pauses for 2. */
const WATCHDOG_SECONDS = 10;
// No file system is mounted but what a program cannot do without.
const captureInit = `#!/bin/busybox sh
export PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
while read -r module; do insmod "/modules/$module"; done < /modules/order
insmod /modules/watchdog.ko; insmod /modules/softdog.ko soft_margin=${WATCHDOG_SECONDS}
echo "LAB: init2"
mount -t sysfs sys /sys
vmcopy capture --to PARTLABEL=crash-raw:/crash --final none
vmcopy capture --to /dev/vdb:/crash --final poweroff --watchdog /dev/watchdog
echo "LAB: failed: vmcopy came back, exit code $?"
poweroff -f
`;
const captureArguments =
  'vmcopy.level=25 vmcopy.compress=zlib vmcopy.name="%HOST of %RELEASE" vmcopy.final=reboot vmcopy.levle=1';

lab(
  `vmcopy capture in a capture kernel${problems.length > 0 ? ` (left out: ${problems.join("; ")})` : ""}`,
  () => {
    let capture: Capture;
    let scratch: string;
    let directory: string;
    /** of the capture that cannot be, and of the other */
    let first: string[];
    let lines: string[];
    const json = (name: string) => JSON.parse(readFileSync(join(directory, name), "utf8"));

    beforeAll(async () => {
      scratch = createRun();
      const kernel = await debianKernel();
      const files = Object.fromEntries(
        ["watchdog.ko", "softdog.ko"].map((name) => {
          const [path = ""] = new Bun.Glob(`**/watchdog/${name}`).scanSync(kernel.modules as string);
          return [`modules/${name}`, { from: join(kernel.modules as string, path) }];
        }),
      );
      const partitions = join(scratch, "gpt.img");
      const table = "label: gpt\\nsize=2M, name=other\\nsize=4M, name=crash-raw\\n";
      await run("make partitions", [
        "bash",
        "-c",
        `truncate -s 16M ${partitions}; printf '${table}' | sfdisk -q ${partitions}`,
      ]);
      const crash = {
        ...{ memMiB: 640, kernel, files, disks: [{ path: partitions }] },
        ...{ captureScript: "", captureInit, captureArguments },
      };
      capture = await crashAndCapture(crash);
      const crashes = join(capture.results, "crash");
      const [name = "", ...others] = readdirSync(crashes);
      expect(others).toEqual([]);
      directory = join(crashes, name);
      const from = capture.console.findIndex((line) => line.includes("LAB: init2"));
      const all = capture.console.slice(from).map((line) => line.replace(/^\[ *[\d.]+\] /, ""));
      const warnings = all.map((line) => line.startsWith("warning: vmcopy."));
      const second = warnings.lastIndexOf(true);
      first = all.slice(0, second);
      lines = all.slice(second);
    }, 5 * minutes);

    afterAll(() => {
      capture?.dispose();
      removeRun(scratch);
    });

    test("every step is on the console, the last is the machine's power", () => {
      const told = lines.flatMap((line) => /^\[ *\d+\.\d\d\] (\w+): /.exec(line)?.[1] ?? []);
      expect(told.join(" ")).toBe(
        "watchdog read target log crash space dump verify name unmount watchdog final",
      );
      // The program's own option wins over the kernel's.
      expect(lines.findIndex((line) => /\] final: poweroff$/.test(line))).toBeGreaterThan(0);
      expect(capture.milestones.done).toBeGreaterThan(capture.milestones.init2 ?? Number.NaN);
    });

    test("a device is found by its partition's name", () => {
      expect(first).toContainEqual(
        expect.stringMatching(
          /target: Cannot mount \/dev\/vdc2: it holds no file system that this kernel knows;/,
        ),
      );
    });

    test("a watchdog is fed while it works, and stopped", () => {
      const said = `/dev/watchdog is fed while this works; it resets the machine after ${WATCHDOG_SECONDS} s without`;
      expect(
        lines.filter((line) => line.includes("watchdog: ")).map((line) => line.replace(/^\[ *[\d.]+\] /, "")),
      ).toEqual([`watchdog: ${said}`, "watchdog: stopped"]);
      // What the kernel says where one is closed without being told to stop, or not fed.
      expect(lines.join("\n")).not.toMatch(/did not stop|Initiating system reboot/);
    });

    test("settings come from the kernel's command line, a mistake there costs a line", () => {
      const release = json("crash.json").release;
      expect(directory).toEndWith(`/crash/localhost_of_${release}`);
      expect(json("capture.json")).toMatchObject({
        state: "complete",
        verified: true,
        dump: { dumpLevel: 25, compression: "zlib" },
      });
      expect(lines).toContainEqual(
        "warning: vmcopy.levle on the kernel's command line: there is no such setting; it is passed over",
      );
    });

    test("the files, for their owner alone", () => {
      const names = ["capture.json", "crash.json", "dmesg.txt", "vmcore", "vmcore.manifest.json"];
      expect(readdirSync(directory).sort()).toEqual(names);
      for (const name of names)
        expect([name, statSync(join(directory, name)).mode & 0o77]).toEqual([name, 0]);
    });

    test("vmcopy verify on the host: whole and right", async () => {
      expect(await run("verify the dump", [vmcopyPath, "verify", join(directory, "vmcore")])).toContain(
        "whole and right",
      );
    });

    test("dmesg.txt is what makedumpfile takes from the dump", async () => {
      const log = join(scratch, "dmesg");
      await run("extract the log", ["makedumpfile", "--dump-dmesg", join(directory, "vmcore"), log]);
      expect(readFileSync(join(directory, "dmesg.txt"), "utf8")).toBe(readFileSync(log, "utf8"));
    });

    test("crash.json tells the crash", () => {
      expect(json("crash.json")).toMatchObject({
        message: "sysrq triggered crash",
        task: { comm: "init", pid: 1 },
        machine: "x86_64",
        cpus: 2,
      });
      expect(json("crash.json").stack).toContainEqual(expect.stringMatching(/^sysrq_handle_crash\+0x/));
      // The clock of an emulated machine is this one's.
      expect(Math.abs(Date.parse(json("crash.json").crashTime) - Date.now())).toBeLessThan(10 * minutes);
    });
  },
);
