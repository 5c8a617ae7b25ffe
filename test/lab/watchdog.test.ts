// A watchdog of the machine's (Intel 6300ESB, by qemu) while `vmcopy capture` works in a crashed kernel: it does not fire
// while a slow disk is written for longer than it waits, and it does once vmcopy is stopped.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { buildProblems, labKernel } from "../../kernel/build.ts";
import { journaledDisk, slow } from "./bad-disks.ts";
import { createRun, removeRun } from "./cache.ts";
import { readDisk, recoverDisk } from "./disks.ts";
import { type GuestRun, runGuest } from "./guest.ts";
import { prepare } from "./lab.ts";
import { Monitor, type MonitorEvent, monitorDevice } from "./monitor.ts";
import { labProblems } from "./packages.ts";

const MiB = 1024 * 1024;
const minutes = 60_000;
const problems = [...labProblems(), ...buildProblems()];
const lab = problems.length > 0 ? describe.skip : describe;
const reason = problems.length > 0 ? ` (left out: ${problems.join("; ")})` : "";

/** A dump that is not packed has 25 MiB or more. */
const SECONDS = 10;
const BYTES_PER_SECOND = MiB;
// The second capture is stopped half-way.
const captureInit = `#!/bin/busybox sh
export PATH=/bin:/in
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mkdir -p /in /mnt
mount -o ro /dev/vda /in
mount /dev/vdc /mnt
echo "LAB: init2"
vmcopy capture --to /mnt/crash --name fed --watchdog /dev/watchdog -c none
echo "LAB: exit code $?"
vmcopy capture --to /mnt/crash --name stopped --watchdog /dev/watchdog -c none &
until [ -e /mnt/crash/stopped.incomplete/vmcore.incomplete ]; do sleep 0.1; done
sleep 1
kill -STOP $!
echo "LAB: stopped"
sleep 100
echo "LAB: failed: the watchdog did not fire"
poweroff -f
`;

lab(`a watchdog${reason}`, () => {
  let directory: string;
  let run: GuestRun;
  let lines: string[];
  const events: MonitorEvent[] = [];
  const captureOf = (name: string) => {
    const path = join(directory, "files/crash", name);
    return {
      files: readdirSync(path).sort(),
      record: JSON.parse(readFileSync(join(path, "capture.json"), "utf8")),
    };
  };

  beforeAll(async () => {
    directory = createRun();
    const disk = await journaledDisk(join(directory, "disk"), 128 * MiB);
    const monitor = join(directory, "monitor");
    const { machine } = await prepare(
      {
        ...{ memMiB: 512, crashkernel: "160M", kernel: await labKernel("6.12"), programOn: "disk" },
        ...{ captureScript: "", captureInit, captureArguments: `i6300esb.heartbeat=${SECONDS} loglevel=3` },
        ...{ disks: [slow(disk, BYTES_PER_SECOND)], resultsMiB: 8 },
        devices: ["-device", "i6300esb", "-action", "watchdog=reset", ...monitorDevice(monitor)],
      },
      directory,
    );
    run = await runGuest(machine, 240, async (step) => {
      if (step === "init1") await Monitor.open(monitor, (event) => events.push(event));
    });
    lines = run.console.map((line) => line.replace(/^\[ *[\d.]+\] /, ""));
    await recoverDisk(disk.path);
    await readDisk(disk.path, join(directory, "files"));
  }, 5 * minutes);

  afterAll(() => removeRun(directory));

  test("is fed while a slow disk is written, for longer than it waits, and stopped", () => {
    const said = lines.flatMap((line) => /\] watchdog: (.*)/.exec(line)?.[1] ?? []);
    const fed = `/dev/watchdog is fed while this works; it resets the machine after ${SECONDS} s without`;
    expect(said).toEqual([fed, "stopped", fed]);
    expect(lines).toContain("LAB: exit code 0");
    const { record } = captureOf("fed");
    expect(record).toMatchObject({ state: "complete", verified: true });
    expect(record.dump.seconds).toBeGreaterThan(1.5 * SECONDS);
    // What the kernel says where one is closed without being told to stop.
    expect(lines.join("\n")).not.toContain("watchdog did not stop");
  });

  test("resets the machine once vmcopy is stopped; what it had saved is there", () => {
    expect(lines.slice(lines.indexOf("LAB: stopped") + 1)).toEqual([]);
    expect(lines).toContain("LAB: stopped");
    expect(events.filter(({ event }) => ["WATCHDOG", "SHUTDOWN"].includes(event))).toMatchObject([
      { event: "WATCHDOG", data: { action: "reset" } },
      { event: "SHUTDOWN", data: { guest: true, reason: "guest-reset" } },
    ]);
    const { files, record } = captureOf("stopped.incomplete");
    expect(files.slice(0, 3)).toEqual(["capture.json", "crash.json", "dmesg.txt"]);
    expect(record.state).toBe("running");
    const text = (name: string) => readFileSync(join(directory, "files/crash", name, "dmesg.txt"), "utf8");
    expect(text("stopped.incomplete")).toBe(text("fed"));
  });
});
