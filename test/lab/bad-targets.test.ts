// `vmcopy capture` in a crashed kernel to disks that go wrong: what it says, with which exit code it ends, and what lies
// on the disk. One boot, one disk after the other.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { buildProblems, labKernel } from "../../kernel/build.ts";
import { badFrom, deadAfter, fill, journaledDisk, slow } from "./bad-disks.ts";
import { createRun, removeRun } from "./cache.ts";
import { readDisk, recoverDisk } from "./disks.ts";
import type { Disk } from "./guest.ts";
import { type Capture, crashAndCapture } from "./lab.ts";
import { labProblems, vmcopyPath } from "./packages.ts";
import { tasksIn } from "./tasks.ts";

const MiB = 1024 * 1024;
const minutes = 60_000;
const problems = [...labProblems(), ...buildProblems()];
const lab = problems.length > 0 ? describe.skip : describe;
const reason = problems.length > 0 ? ` (left out: ${problems.join("; ")})` : "";

/** A disk, and what capture is told beside where it is. A dump of this guest has 8 MiB at level 31, 40 at level 0. */
interface Row {
  readonly mib: number;
  readonly options?: string;
  /** bytes that are left on it */
  readonly available?: number;
  readonly with?: (disk: Disk) => Disk;
}

const ROWS = {
  "too small for the dump that was asked for": { mib: 96, available: 24 * MiB, options: "-d 0" },
  "too small for any dump": { mib: 96, available: 4 * MiB },
  "with eight blocks left": { mib: 96, available: 8 * 4096 },
  "full to the brim": { mib: 96, available: 0 },
  "that fills up meanwhile": { mib: 96, available: 24 * MiB },
  "that is read-only": { mib: 96, with: (disk) => ({ ...disk, readOnly: true }) },
  "that takes 512 KiB a second": { mib: 96, with: (disk) => slow(disk, MiB / 2) },
  "bad from its 16th MiB on": { mib: 96, with: (disk) => badFrom(disk, 16 * MiB) },
  "dead after 40 writes": { mib: 512, options: "-d 0 -c none", with: (disk) => deadAfter(disk, 40) },
} satisfies Record<string, Row>;
const MISSING = "that never appears";
type Name = keyof typeof ROWS | typeof MISSING;
const INCOMPLETE = "one.incomplete";
const WHOLE = ["capture.json", "crash.json", "dmesg.txt", "vmcore", "vmcore.manifest.json"];
const names = Object.keys(ROWS) as (keyof typeof ROWS)[];
/** /dev/vda is the lab's disk with the program, /dev/vdb the one for the results. */
const deviceOf = (name: Name) =>
  `/dev/vd${String.fromCharCode("c".charCodeAt(0) + (names as Name[]).indexOf(name))}`;

// The disk that fills up is mounted already; a file grows on it as soon as the dump is begun.
const captureInit = `#!/bin/busybox sh
export PATH=/bin:/in
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mkdir -p /in /out /mnt
mount -o ro /dev/vda /in
mount /dev/vdb /out
echo "LAB: init2"
vmcopy dmesg > /out/dmesg.txt
capture() {
  echo "LAB: capture to a disk $1"
  shift
  vmcopy capture --name one "$@"
  echo "LAB: exit code $?"
  grep vmcopy /proc/mounts
  ls -d /run/vmcopy.* /tmp/vmcopy.* 2> /dev/null
}
capture "${MISSING}" --to /dev/vdz:/crash --wait 1
${names
  .map((name) => {
    const { options = "" }: Row = ROWS[name];
    const device = deviceOf(name);
    if (name !== "that fills up meanwhile") return `capture "${name}" --to ${device}:/crash ${options}`;
    return `mount ${device} /mnt
{ until [ -e /mnt/crash/*/vmcore.incomplete ]; do sleep 0.05; done; fallocate -l 23M /mnt/other; } &
capture "${name}" --to /mnt/crash
umount /mnt`;
  })
  .join("\n")}
umount /out
poweroff -f
`;

lab(`captures to disks that go wrong${reason}`, () => {
  let directory: string;
  let crashed: Capture;
  let log: string;

  /** What was said of one: lines without times, steps (! where one failed), the exit code, mounts that were left. */
  const said = (name: Name) => {
    const all = crashed.console.map((line) => line.replace(/^\[ *[\d.]+\] /, ""));
    const rest = all.slice(all.indexOf(`LAB: capture to a disk ${name}`) + 1);
    const end = rest.findIndex((line) => line.startsWith("LAB: exit code "));
    const next = rest.findIndex((line, index) => index > end && /^LAB: capture|^reboot:/.test(line));
    const lines = rest.slice(0, end);
    const stamped = lines.flatMap((line) => {
      const [, warning, step = "", text = ""] =
        /^(warning: )?\[ *\d+\.\d\d\] ([\w-]+): (.*)/.exec(line) ?? [];
      return step === "" ? [] : [{ step: warning === undefined ? step : `${step}!`, text }];
    });
    return {
      steps: stamped.map(({ step }) => step).join(" "),
      /** of a step */
      line: (name: string) => stamped.find(({ step }) => step === name)?.text,
      lines,
      code: Number(rest[end]?.slice("LAB: exit code ".length)),
      left: rest.slice(end + 1, next).filter((line) => line.includes("vmcopy")),
    };
  };
  /** Where the files of a disk are on the host. */
  const found = (name: Name) => join(directory, deviceOf(name).slice("/dev/".length));
  const filesOf = (name: Name): Record<string, string[]> => {
    const crash = join(found(name), "crash");
    if (!existsSync(crash)) return {};
    return Object.fromEntries(
      readdirSync(crash).map((capture) => [capture, readdirSync(join(crash, capture)).sort()]),
    );
  };
  const logOf = (name: Name, capture = "one") =>
    readFileSync(join(found(name), "crash", capture, "dmesg.txt"), "utf8");
  const json = (name: Name, file: string, capture = "one") =>
    JSON.parse(readFileSync(join(found(name), "crash", capture, file), "utf8"));
  const verify = async (name: Name, file: string) => {
    const path = join(found(name), "crash", file);
    const child = Bun.spawn([vmcopyPath, "verify", path], { stdout: "pipe", stderr: "ignore" });
    return { out: await new Response(child.stdout).text(), code: await child.exited };
  };

  beforeAll(async () => {
    directory = createRun();
    const disks: Disk[] = [];
    for (const name of names) {
      const { mib, available, with: made = (disk) => disk }: Row = ROWS[name];
      const disk = await journaledDisk(`${found(name)}.img`, mib * MiB);
      if (available !== undefined) await fill(disk, available);
      disks.push(made(disk));
    }
    crashed = await crashAndCapture({
      ...{ memMiB: 512, crashkernel: "160M", kernel: await labKernel("6.12"), programOn: "disk" },
      // The kernel's own lines would come in between.
      ...{ captureScript: "", captureInit, captureArguments: "loglevel=1", disks, resultsMiB: 32 },
    });
    log = readFileSync(join(crashed.results, "dmesg.txt"), "utf8");
    for (const name of names) {
      await recoverDisk(`${found(name)}.img`);
      await readDisk(`${found(name)}.img`, found(name));
    }
  }, 6 * minutes);

  afterAll(() => {
    crashed?.dispose();
    removeRun(directory);
  });

  test("each is unmounted, whatever became of it", () => {
    const all: Name[] = [MISSING, ...names];
    for (const name of all) expect([name, said(name).left]).toEqual([name, []]);
  });

  test.each([
    [
      MISSING,
      /^Cannot mount \/dev\/vdz: there is no such device after 1 s; is its driver loaded, and \/dev a devtmpfs\?$/,
    ],
    [
      "that is read-only",
      /^Cannot mount \/dev\/vd\w: permission denied \(EACCES\); the device is read-only: name one that can be written$/,
    ],
    [
      "full to the brim",
      /^Cannot make directory \/dev\/vd\w:\/crash: no space left on device \(ENOSPC\); free some room there, or name another disk \(--to\)$/,
    ],
  ] as [Name, RegExp][])("%s: one line, exit code 2, the log on the console", (name, message) => {
    const { steps, line, lines, code } = said(name);
    expect([steps, code]).toEqual(["read target! final", 2]);
    expect(line("target!")).toMatch(message);
    for (const end of ["Kernel panic - not syncing: sysrq triggered crash", "Call Trace:"])
      expect(lines.filter((text) => text.includes(end))).toHaveLength(1);
    if (name !== MISSING) expect(filesOf(name)).toEqual({});
  });

  test.each([
    ["too small for the dump that was asked for", { compression: "zstd", reduced: true }],
    ["that takes 512 KiB a second", { dumpLevel: 31, compression: "zstd", reduced: false }],
  ] as [Name, object][])("%s: a whole dump, read back, that drgn opens", async (name, dump) => {
    const { steps, code } = said(name);
    expect([steps, code]).toEqual(["read target log crash space dump verify name unmount final", 0]);
    expect(filesOf(name)).toEqual({ one: WHOLE });
    expect(json(name, "capture.json")).toMatchObject({ state: "complete", verified: true, dump });
    expect((await verify(name, "one/vmcore")).code).toBe(0);
    const symbols = (await crashed.kernel.symbols()) ?? "";
    expect(await tasksIn(join(found(name), "crash/one/vmcore"), symbols)).toBeGreaterThan(20);
  });

  test("too small for the dump that was asked for: it says which one is taken", () => {
    const name = "too small for the dump that was asked for";
    // How small it has to be depends on what the guest did.
    const level = json(name, "capture.json").dump.dumpLevel;
    expect(level).toBeGreaterThan(0);
    expect(said(name).line("space")).toMatch(
      new RegExp(
        `^23\\.\\d MiB are free, too little for -d 0 -c zstd: the next smaller one is taken, -d ${level} -c zstd, up to `,
      ),
    );
  });

  test("slow: lines of progress keep coming, up to the end", () => {
    const { lines } = said("that takes 512 KiB a second");
    const shares = lines.flatMap((line) => /^copy: ([\d.]+) %/.exec(line)?.[1] ?? []).map(Number);
    // Packing takes 4 s, the device 16, a line comes every 5: not all of that is waited for at the end, in one sync.
    expect(shares.filter((share) => share > 10 && share < 100).length).toBeGreaterThanOrEqual(1);
  });

  test.each([
    [
      "too small for any dump",
      "read target log crash space! name unmount final",
      "space!",
      /^no dump fits: the smallest needs [\d.]+ MiB with a margin, 3\.9 MiB are free; free some, or write elsewhere \(--to\)$/,
    ],
    [
      "with eight blocks left",
      "read target log crash! record! space! name unmount final",
      "crash!",
      /^Cannot write \/dev\/vd\w:\/crash\/one\.incomplete\/crash\.json\.new: no space left on device \(ENOSPC\)$/,
    ],
    [
      "that fills up meanwhile",
      "read target log crash space dump! dump-raw! name sync final",
      "dump!",
      /^Cannot write \/mnt\/crash\/one\.incomplete\/vmcore\.incomplete: no space left on device \(ENOSPC\): .* copied .*; free up to [\d.]+ MiB there; /,
    ],
  ] as [Name, string, string, RegExp][])(
    "%s: the log, and no part of a dump",
    (name, steps, step, message) => {
      const ended = said(name);
      expect([ended.steps, ended.code]).toEqual([steps, 1]);
      expect(ended.line(step)).toMatch(message);
      // Of blocks that are left, the log has what it needs; who finds it without capture.json knows it has no dump.
      const others = name === "with eight blocks left" ? [] : ["capture.json", "crash.json"];
      expect(filesOf(name)).toEqual({ one: [...others, "dmesg.txt"] });
      if (others.length > 0)
        expect(json(name, "capture.json")).toMatchObject({ state: "log-only", dump: null });
      expect(logOf(name)).toBe(log);
    },
  );

  test("bad from its 16th MiB on: the log, and a part of a dump that says so", async () => {
    const name = "bad from its 16th MiB on";
    const { steps, line, code } = said(name);
    expect([steps, code]).toEqual(["read target log crash space dump! name unmount final", 1]);
    expect(line("dump!")).toMatch(
      /^Cannot (sync|write through) \/dev\/vd\w:\/crash\/one\.incomplete\/vmcore\.incomplete: input\/output error \(EIO\): .* copied .*; the disk fails: name another one \(--to\)$/,
    );
    expect(filesOf(name)).toEqual({ one: ["capture.json", "crash.json", "dmesg.txt", "vmcore.incomplete"] });
    expect(logOf(name)).toBe(log);
    expect(json(name, "crash.json").message).toBe("sysrq triggered crash");
    expect(json(name, "capture.json")).toMatchObject({ state: "log-only", dump: null });
    const { code: verified, out } = await verify(name, "one/vmcore.incomplete");
    expect([verified, out]).toEqual([1, expect.stringContaining("it is incomplete")]);
  });

  test("dead after 40 writes: the log, under a name that says incomplete", async () => {
    const name = "dead after 40 writes";
    const { steps, line, code } = said(name);
    expect([steps, code]).toEqual(["read target log crash space dump! record! name! unmount final", 1]);
    expect(line("dump!")).toMatch(
      /^Cannot (sync|write through) \/dev\/vd\w:\/crash\/one\.incomplete\/vmcore\.incomplete: input\/output error \(EIO\): .* copied .*; the disk fails: name another one \(--to\)$/,
    );
    expect(line("name!")).toMatch(/\/crash\/one\.incomplete: input\/output error \(EIO\)$/);
    // What was synced before it died; of the dump there may be a part, or not even its name.
    expect(Object.keys(filesOf(name))).toEqual([INCOMPLETE]);
    const { [INCOMPLETE]: files = [] } = filesOf(name);
    expect(files.filter((file) => file !== "vmcore.incomplete")).toEqual(WHOLE.slice(0, 3));
    expect(logOf(name, INCOMPLETE)).toBe(log);
    expect(json(name, "crash.json", INCOMPLETE).message).toBe("sysrq triggered crash");
    expect(json(name, "capture.json", INCOMPLETE)).toMatchObject({ state: "running", dump: null });
    if (files.includes("vmcore.incomplete"))
      expect((await verify(name, `${INCOMPLETE}/vmcore.incomplete`)).code).toBeGreaterThan(0);
  });
});
