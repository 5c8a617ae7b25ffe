// `vmcopy capture` to raw partitions: a kernel crashes, its capture kernel mounts no file system, and the host takes the
// dump from the disk. Then a second disk, and the power goes as soon as the log was told of.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createRun, removeRun } from "./cache.ts";
import { rawDisk } from "./disks.ts";
import { runGuest } from "./guest.ts";
import { prepare } from "./lab.ts";
import { Monitor, monitorDevice } from "./monitor.ts";
import { debianKernel, type Kernel, labProblems, vmcopyPath } from "./packages.ts";
import { run } from "./run.ts";

const MiB = 1024 * 1024;
const minutes = 60_000;
const problems = labProblems();
if (problems.length > 0) console.error(`LAB LEFT OUT: ${problems.join("; ")}`);
const lab = problems.length > 0 ? describe.skip : describe;

// zlib, as Debian's makedumpfile has no zstd. The second capture is stopped where it stands, so that the power goes in the middle of it on a slow machine too.
const captureInit = `#!/bin/busybox sh
export PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
while read -r module; do insmod "/modules/$module"; done < /modules/order
echo "LAB: init2"
vmcopy capture --to /dev/vdc --compress zlib || echo "LAB: failed: exit code $?"
vmcopy capture --to /dev/vdd 2>&1 | while read -r line; do
  echo "$line"
  case "$line" in *"] log: "*) kill -STOP $(pidof vmcopy); echo "LAB: cut";; esac
done
echo "LAB: failed: the second capture came to its end"
poweroff -f
`;

lab(
  `vmcopy capture to raw partitions${problems.length > 0 ? ` (left out: ${problems.join("; ")})` : ""}`,
  () => {
    let directory: string;
    let kernel: Kernel;
    let whole: string;
    let cut: string;
    let dump: string;
    let told: string[];

    beforeAll(async () => {
      directory = createRun();
      kernel = await debianKernel();
      [whole, cut, dump] = [
        join(directory, "whole.img"),
        join(directory, "cut.img"),
        join(directory, "dump"),
      ];
      for (const disk of [whole, cut]) rawDisk(disk, 512 * MiB);
      const socket = join(directory, "monitor");
      const crash = {
        ...{ memMiB: 640, kernel, captureScript: "", captureInit, resultsMiB: 16 },
        disks: [{ path: whole }, { path: cut }],
        devices: monitorDevice(socket),
      };
      const { machine } = await prepare(crash, directory);
      const { console: lines } = await runGuest(machine, 240, undefined, (line) => {
        // A killed qemu answers no more.
        if (line === "LAB: cut") Monitor.open(socket).then((monitor) => monitor.run("quit").catch(() => {}));
      });
      told = lines.flatMap((line) => /\] (\[ *\d+\.\d\d\] .*|LAB: (?:cut|failed.*))$/.exec(line)?.[1] ?? []);
    }, 5 * minutes);

    afterAll(() => removeRun(directory));

    test("every step is on the console, up to the cut", () => {
      const steps = told.map((line) => /\] (\w+): |LAB: (\w+)/.exec(line)?.slice(1).find(Boolean));
      const all = "read target log crash space dump verify mark sync final";
      expect(steps.join(" ")).toMatch(new RegExp(`^${all} read target log cut( crash| space| dump)*$`));
      expect(told[1]).toMatch(/target: \/dev\/vdc: raw partition, 512 MiB$/);
    });

    test("vmcopy copy takes the dump from the disk, vmcopy verify proves it", async () => {
      await run("take the dump out", [vmcopyPath, "copy", whole, dump]);
      const said = await run("verify the dump", [vmcopyPath, "verify", dump]);
      expect(said).toContain("whole and right");
      expect(await run("verify the disk", [vmcopyPath, "verify", whole])).toContain("whole and right");
    });

    test(
      "crash opens it",
      async () => {
        const symbols = (await kernel.symbols()) ?? "";
        const commands = join(directory, "crash-commands");
        await Bun.write(commands, "sys\nbt\nquit\n");
        const report = await run("open the dump with crash", ["crash", "-s", "-i", commands, symbols, dump]);
        expect(report).toContain('PANIC: "Kernel panic - not syncing: sysrq triggered crash"');
        expect(report).toMatch(/#\d+ .*sysrq_handle_crash/);
      },
      2 * minutes,
    );

    test("all members, the log what makedumpfile takes from the dump", async () => {
      const members = join(directory, "members");
      mkdirSync(members);
      await run("take all out", [vmcopyPath, "copy", whole, members]);
      const names = ["capture.json", "crash.json", "dmesg.txt", "vmcore", "vmcore.manifest.json"];
      expect(readdirSync(members).sort()).toEqual(names);
      const log = join(directory, "dmesg");
      await run("extract the log", ["makedumpfile", "--dump-dmesg", dump, log]);
      expect(readFileSync(join(members, "dmesg.txt"), "utf8")).toBe(readFileSync(log, "utf8"));
      const record = JSON.parse(readFileSync(join(members, "capture.json"), "utf8"));
      expect(record).toMatchObject({ state: "complete", verified: true, directory: "/dev/vdc" });
    });

    test("after the cut: the log is there, and the capture says that it is incomplete", async () => {
      const rest = join(directory, "rest");
      mkdirSync(rest);
      const taken = run("take out what is there", [vmcopyPath, "copy", cut, rest]);
      await expect(taken).rejects.toThrow(
        /the capture on it is incomplete, it was cut off or failed; it has/,
      );
      expect(existsSync(join(rest, "vmcore"))).toBe(false);
      // The same crash.
      const log = readFileSync(join(directory, "members", "dmesg.txt"), "utf8");
      expect(readFileSync(join(rest, "dmesg.txt"), "utf8")).toBe(log);
      const verified = run("verify it", [vmcopyPath, "verify", cut]);
      await expect(verified).rejects.toThrow(/the capture on it is incomplete.*exit code 1/s);
    });
  },
);
