// The power is cut at any moment of a capture. What is on the disk then is either a capture, whole, or recognisably none;
// what was reported as done is there. A crashed machine is frozen before two captures, the second of which makes the first
// go, and thawed: once with a disk that logs each write, from which any number of cuts are made, each with what a disk's
// cache may lose; and some times for the plug to be pulled.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildProblems, labKernel } from "../../kernel/build.ts";
import { Random } from "../support/random.ts";
import { journaledDisk } from "./bad-disks.ts";
import { createRun, removeRun } from "./cache.ts";
import { readDisk, recoverDisk } from "./disks.ts";
import { freeze, thaw } from "./frozen.ts";
import type { Disk, Machine } from "./guest.ts";
import { prepare } from "./lab.ts";
import { labProblems, vmcopyPath } from "./packages.ts";
import { tasksIn } from "./tasks.ts";
import { loggedDisk, WriteLog } from "./write-log.ts";

const MiB = 1024 * 1024;
const minutes = 60_000;
const problems = [...labProblems(), ...buildProblems()];
const lab = problems.length > 0 ? describe.skip : describe;
const reason = problems.length > 0 ? ` (left out: ${problems.join("; ")})` : "";

const CUTS = 48;
const KILLS = 3;
const WHOLE = ["capture.json", "crash.json", "dmesg.txt", "vmcore", "vmcore.manifest.json"];
const PARTS = ["vmcore.incomplete", "vmcore.incomplete.manifest.json"];

const captureInit = `#!/bin/busybox sh
export PATH=/bin:/in
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mkdir -p /in
mount -o ro /dev/vda /in
echo "LAB: ready"
read -r go < /dev/console
vmcopy capture --to /dev/vdc:/crash --name old -c lzo
echo "LAB: second"
vmcopy capture --to /dev/vdc:/crash --name new -c lzo --keep 1
poweroff -f
`;

lab(`power cuts${reason}`, () => {
  let directory: string;
  let machine: Machine;
  let before: Uint8Array;
  let log: WriteLog;
  let text: string;
  /** Milliseconds of a run, from its first line on. */
  let whole = 0;
  /** What was told, as old:log or new:name, with how many entries the log had then. */
  const told: [what: string, entries: number][] = [];
  const seen = new Set<string>();
  const at = (name: string) => join(directory, name);

  /** Thaws the machine with a disk, and says what it tells as it does. */
  async function run(disk: Disk, onTold: (what: string, kill: () => void) => void): Promise<string[]> {
    const guest = thaw({ ...machine, disks: [...machine.disks.slice(0, 2), disk] }, at("frozen"));
    const timer = setTimeout(() => guest.kill(), 2 * minutes);
    // What is typed while it thaws is lost.
    const typing = setInterval(() => guest.type("go"), 500);
    const lines: string[] = [];
    let capture = "old";
    try {
      for await (const line of guest.console) {
        clearInterval(typing);
        lines.push(line);
        if (line === "LAB: second") capture = "new";
        const step = /^\[ *\d+\.\d\d\] ([\w-]+): /.exec(line)?.[1];
        if (step !== undefined) onTold(`${capture}:${step}`, () => guest.kill());
      }
    } finally {
      clearInterval(typing);
      clearTimeout(timer);
      await guest.kill();
    }
    return lines;
  }

  beforeAll(async () => {
    directory = createRun();
    const { path } = await journaledDisk(at("disk"), 64 * MiB);
    before = new Uint8Array(readFileSync(path));
    const prepared = await prepare(
      {
        ...{ memMiB: 384, crashkernel: "128M", kernel: await labKernel("6.12"), programOn: "disk" },
        ...{
          captureScript: "",
          captureInit,
          captureArguments: "loglevel=1",
          resultsMiB: 8,
          disks: [{ path }],
        },
      },
      directory,
    );
    machine = prepared.machine;
    await freeze(machine, at("frozen"), "LAB: ready");
    copyFileSync(path, at("logged"));
    log = new WriteLog(at("log"));
    let started = 0;
    const lines = await run(loggedDisk({ path: at("logged") }, at("log"), 256 * MiB), (what) => {
      if (started === 0) started = performance.now();
      // A write that has not ended may leave a hole before one that has: a moment closes it.
      Bun.sleepSync(20);
      told.push([what, log.read()]);
    });
    whole = performance.now() - started;
    log.read();
    expect(lines.at(-1)).toBe("reboot: Power down");
    expect(log.isWhole).toBe(true);
    await readDisk(at("logged"), at("last"));
    text = readFileSync(at("last/crash/new/dmesg.txt"), "utf8");
    expect(text).toContain("Kernel panic - not syncing: sysrq triggered crash");
    const symbols = (await prepared.kernel.symbols()) ?? "";
    expect(await tasksIn(at("last/crash/new/vmcore"), symbols)).toBeGreaterThan(20);
  }, 6 * minutes);

  afterAll(() => removeRun(directory));

  /** Holds what is on a disk after a cut against what was told before it. */
  async function check(image: string, told: ReadonlySet<string>): Promise<void> {
    await recoverDisk(image);
    const root = `${image}.files`;
    rmSync(root, { recursive: true, force: true });
    await readDisk(image, root);
    const crash = join(root, "crash");
    const found = existsSync(crash) ? readdirSync(crash).sort() : [];
    const isThere = { old: found.includes("old"), new: found.includes("new") };
    seen.add(found.join(" "));
    for (const name of found) {
      const directory = join(crash, name);
      const files = readdirSync(directory).sort();
      const holds = (file: string) => files.includes(file);
      const json = (file: string) => JSON.parse(readFileSync(join(directory, file), "utf8"));
      // What is there of small files is whole, whatever their directory is called.
      if (holds("dmesg.txt"))
        expect([name, readFileSync(join(directory, "dmesg.txt"), "utf8") === text]).toEqual([name, true]);
      if (holds("crash.json")) expect(json("crash.json").message).toBe("sysrq triggered crash");
      if (holds("capture.json")) expect(json("capture.json").format).toBe("vmcopy-capture");
      if (name === "old" || name === "new") {
        // The record is written once more when all is done, beside the old one.
        expect([name, files.filter((file) => file !== "capture.json.new")]).toEqual([name, WHOLE]);
        expect(json("capture.json")).toMatchObject({ state: "complete", verified: true });
        expect(await verified(join(directory, "vmcore"))).toBe(0);
        continue;
      }
      expect([name, ["old.incomplete", "new.incomplete"].includes(name)]).toEqual([name, true]);
      const known = [...WHOLE, ...PARTS].flatMap((file) => [file, `${file}.new`]);
      expect([name, files.filter((file) => !known.includes(file))]).toEqual([name, []]);
      if (holds("vmcore.manifest.json")) expect(await verified(join(directory, "vmcore"))).toBe(0);
      // Of an old capture that goes for the new one, anything may be there still.
      if (name === "old.incomplete" && isThere.new) continue;
      const order = ["dmesg.txt", "crash.json", "capture.json", ...PARTS.slice(0, 1)];
      if (holds("vmcore")) order[3] = "vmcore";
      expect([name, order.filter((file) => holds(file))]).toEqual([
        name,
        order.slice(0, order.findLastIndex((file) => holds(file)) + 1),
      ]);
    }

    const place = (name: "old" | "new") => join(crash, isThere[name] ? name : `${name}.incomplete`);
    const isGoing = isThere.new && !isThere.old;
    for (const name of isGoing ? (["new"] as const) : (["old", "new"] as const)) {
      const holds = (file: string) => existsSync(join(place(name), file));
      if (told.has(`${name}:log`)) expect([name, holds("dmesg.txt")]).toEqual([name, true]);
      if (told.has(`${name}:crash`)) expect([name, holds("crash.json")]).toEqual([name, true]);
      if (told.has(`${name}:dump`))
        expect([name, await verified(join(place(name), "vmcore"))]).toEqual([name, 0]);
      if (told.has(`${name}:name`)) expect([name, isThere[name]]).toEqual([name, true]);
    }
    // It makes way for one that is whole, and is gone once that was said.
    if (told.has("old:name")) expect(isThere.old || isThere.new).toBe(true);
    if (told.has("new:keep")) expect(found).toEqual(["new"]);
  }

  /** The exit code of vmcopy verify. */
  async function verified(dump: string): Promise<number> {
    return await Bun.spawn([vmcopyPath, "verify", "-q", dump], { stdout: "ignore", stderr: "ignore" }).exited;
  }

  test.each(Array.from({ length: CUTS }, (_, seed) => [seed]))(
    "cut %i",
    async (seed) => {
      const random = new Random(seed);
      // One in each part of the time, as the disk counts it.
      const count = Math.floor(((seed + random.below(1000) / 1000) * log.entries.length) / CUTS);
      writeFileSync(at("cut"), log.cut(before, count, random));
      const toldByThen = told.filter(([, entries]) => entries <= count).map(([what]) => what);
      await check(at("cut"), new Set(toldByThen));
    },
    minutes,
  );

  test("cuts were made at many places", () => {
    for (const place of ["old.incomplete", "old", "new.incomplete old", "new"])
      expect([...seen]).toContain(place);
  });

  test.each(Array.from({ length: KILLS }, (_, round) => [round]))(
    "the plug is pulled, %i",
    async (round) => {
      const random = new Random(1000 + round);
      const moment = ((round + random.below(1000) / 1000) * whole) / KILLS;
      writeFileSync(at("killed"), before);
      const told = new Set<string>();
      let timer: Timer | undefined;
      await run({ path: at("killed") }, (what, kill) => {
        timer ??= setTimeout(kill, moment);
        told.add(what);
      });
      clearTimeout(timer);
      await check(at("killed"), told);
    },
    3 * minutes,
  );
});
