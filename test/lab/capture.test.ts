// dist/vmcopy on the real /proc/vmcore of a kernel that has crashed. One boot does all the work in the capture
// kernel; the tests look at what it left, and at what other tools make of the dump. A second boot has a crash
// kernel so small that vmcopy stays on a disk.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { createRun, removeRun } from "./cache.ts";
import { rawDisk } from "./disks.ts";
import { milestones } from "./guest.ts";
import { type Capture, crashAndCapture } from "./lab.ts";
import { labProblems } from "./packages.ts";
import { run } from "./run.ts";

const MiB = 1024 * 1024;
const memMiB = 1024;
const minutes = 60_000;
const problems = labProblems();
if (problems.length > 0) console.error(`LAB LEFT OUT: ${problems.join("; ")}`);
const lab = problems.length > 0 ? describe.skip : describe;
const reason = problems.length > 0 ? ` (left out: ${problems.join("; ")})` : "";
const script = (kind: string) =>
  `set -- ${kind}\n${readFileSync(join(import.meta.dir, "capture.sh"), "utf8")}`;

lab(`a real crash${reason}`, () => {
  let directory: string;
  let capture: Capture;
  /** What dd read from /proc/vmcore. */
  let reference: string;
  let dump: string;
  let vmcoreSize: number;
  let kernelRelease: string;

  const text = (name: string) => readFileSync(join(capture.results, name), "utf8");
  const json = (name: string) => JSON.parse(text(`${name}.json`));
  /** Ends the test with what the command said, where its exit code is not 0. */
  const succeeded = (name: string) =>
    expect({ code: text(`${name}.code`).trim(), said: text(`${name}.err`).trim() }).toMatchObject({
      code: "0",
    });

  beforeAll(async () => {
    directory = createRun();
    reference = join(directory, "dd.img");
    rawDisk(reference, memMiB * MiB);
    capture = await crashAndCapture({ memMiB, captureScript: script("all"), disks: [{ path: reference }] });
    dump = join(capture.results, "dump");
    vmcoreSize = Number(text("size"));
    kernelRelease = /boot\/vmlinuz-(.*)$/.exec(capture.kernel.image)?.[1] ?? "";
    truncateSync(reference, vmcoreSize);
  }, 5 * minutes);

  afterAll(() => {
    capture?.dispose();
    removeRun(directory);
  });

  test("every milestone is reached, in order", () => {
    const times = milestones.map((step) => capture.milestones[step] ?? Number.NaN);
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(capture.console.length).toBeGreaterThan(100);
  });

  test("vmcopy and busybox are the only programs in the initramfs", () => {
    const found = text("programs").trim().split("\n").sort();
    expect(found).toEqual(["/bin/busybox", "/bin/vmcopy", "/init"]);
  });

  test("vmcopy --version", () => {
    succeeded("version");
    expect(text("version.json")).toMatch(/^\d+\.\d+\.\d+/);
  });

  test("info: size, release, segments and CPUs are those of the crashed kernel", () => {
    succeeded("info");
    const info = json("info");
    expect(info).toMatchObject({ path: "/proc/vmcore", size: vmcoreSize, kernelRelease, cpus: 2 });
    const ram = info.segments.filter((segment: { kind: string }) => segment.kind === "ram");
    const bytes = ram.reduce((sum: number, segment: { fileSize: number }) => sum + segment.fileSize, 0);
    // All but the crash kernel's 256 MiB and the first MiB.
    expect(bytes / MiB).toBeGreaterThan(memMiB - 256 - 8);
    expect(bytes / MiB).toBeLessThanOrEqual(memMiB - 256);
  });

  test("probe: every promise of 2013 that applies is kept", () => {
    succeeded("probe");
    const promises: { patch: number; result: string }[] = json("probe").promises;
    expect(promises.map(({ patch }) => patch)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
    expect(promises.filter(({ result }) => result === "fail")).toEqual([]);
    // Seen from outside in any ELF64 vmcore; the others are inside the kernel or depend on its memory.
    const passed = promises.filter(({ result }) => result === "pass").map(({ patch }) => patch);
    expect(passed).toEqual(expect.arrayContaining([1, 2, 3, 7, 9, 10, 11, 13]));
  });

  test("probe: shows that windows across objects fail beside others, a fault of every stock kernel", () => {
    const faults: { name: string; result: string }[] = json("probe").faults;
    expect(faults).toContainEqual(expect.objectContaining({ name: "overlap", result: "present" }));
  });

  test("copy: whole, by mmap, with a manifest", () => {
    succeeded("copy");
    expect(json("copy")).toMatchObject({
      source: "/proc/vmcore",
      dest: "/out/dump",
      format: "raw",
      method: "mmap",
      bytesRead: vmcoreSize,
      problems: [],
    });
    expect(statSync(dump).size).toBe(vmcoreSize);
    expect(existsSync(`${dump}.incomplete`)).toBe(false);
    expect(existsSync(`${dump}.manifest.json`)).toBe(true);
  });

  test("copy: at most 24 MiB of anonymous memory", () => {
    expect(json("copy").anonymousRssBytes).toBeLessThan(24 * MiB);
  });

  test("the copy is byte-identical to what dd took", async () => {
    succeeded("dd");
    const [ours, theirs] = [await sha256(dump), await sha256(reference)];
    expect(ours).toBe(theirs);
    expect(readFileSync(`${dump}.manifest.json`, "utf8")).toContain(theirs);
  });

  test("verify: against the source and by the manifest", () => {
    for (const name of ["verify-source", "verify-manifest"]) {
      succeeded(name);
      expect(json(name)).toMatchObject({ ok: true, bytesCompared: vmcoreSize, mismatches: [], problems: [] });
    }
  });

  test("verify: by the manifest, on another machine", async () => {
    const vmcopy = join(import.meta.dir, "../../dist/vmcopy");
    const report = JSON.parse(await run("verify the dump", [vmcopy, "verify", "--json", dump]));
    expect(report).toMatchObject({ ok: true, bytesCompared: vmcoreSize });
  });

  test("copy to /dev/null and into a pipe that closes early", () => {
    succeeded("to-null");
    expect(json("to-null")).toMatchObject({ bytesRead: vmcoreSize, problems: [] });
    expect(text("to-pipe.json")).toBe(text("dd-head.json"));
  });

  test("bench: a row for each mode and size", () => {
    succeeded("bench");
    const rows: { mode: string; size: number; seconds: number }[] = json("bench").rows;
    const sizes = (mode: string) => rows.filter((row) => row.mode === mode).map((row) => row.size / 1024);
    const windows = [4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096];
    expect(sizes("read")).toEqual([4, 64, 1024, 4096]);
    for (const mode of ["map", "touch", "copy"]) expect(sizes(mode)).toEqual(windows);
    for (const row of rows) expect(row.seconds).toBeGreaterThan(0);
  });

  test("makedumpfile reads the copy", async () => {
    const log = join(directory, "dmesg");
    const filtered = join(directory, "filtered");
    await run("extract the log", ["makedumpfile", "--dump-dmesg", dump, log]);
    expect(readFileSync(log, "utf8")).toContain("Kernel panic - not syncing: sysrq triggered crash");
    await run("copy with makedumpfile", ["makedumpfile", "-E", "-d", "0", dump, filtered]);
    expect(statSync(filtered).size).toBeGreaterThan(vmcoreSize / 2);
  });

  test(
    "crash reads the copy",
    async () => {
      const symbols = (await capture.kernel.symbols()) ?? "";
      const commands = join(directory, "crash-commands");
      await Bun.write(commands, "sys\nlog\nbt\nquit\n");
      const report = await run("open the dump with crash", ["crash", "-s", "-i", commands, symbols, dump]);
      expect(report).toContain(`RELEASE: ${kernelRelease}`);
      expect(report).toContain('PANIC: "Kernel panic - not syncing: sysrq triggered crash"');
      expect(report).toMatch(/#\d+ .*sysrq_handle_crash/);
    },
    2 * minutes,
  );

  test(
    "drgn reads the copy: the tasks and what the panicking one was doing",
    async () => {
      const symbols = (await capture.kernel.symbols()) ?? "";
      const program = join(directory, "tasks.py");
      await Bun.write(
        program,
        `from drgn.helpers.linux.pid import for_each_task
tasks = {task.pid.value_(): task.comm.string_().decode() for task in for_each_task(prog)}
print(len(tasks), tasks[1], tasks[2])
print(prog.stack_trace(1))
`,
      );
      const report = await run("open the dump with drgn", ["drgn", "-c", dump, "-s", symbols, program]);
      expect(report).toMatch(/^\d+ init kthreadd/);
      expect(report).toContain("sysrq_handle_crash");
    },
    2 * minutes,
  );
});

lab(`a small crash kernel, vmcopy on a disk${reason}`, () => {
  test(
    "crashkernel=128M copies and verifies",
    async () => {
      const small = { memMiB: 320, crashkernel: "128M", programOn: "disk" } as const;
      const capture = await crashAndCapture({ ...small, captureScript: script("small") });
      const read = (name: string) => readFileSync(join(capture.results, name), "utf8");
      for (const name of ["copy", "verify-source", "verify-manifest"]) {
        expect(`${name} ${read(`${name}.code`)}${read(`${name}.err`)}`).toStartWith(`${name} 0`);
      }
      expect(JSON.parse(read("copy.json")).bytesRead).toBe(Number(read("size")));
      capture.dispose();
    },
    5 * minutes,
  );
});

async function sha256(path: string): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha256");
  for await (const chunk of Bun.file(path).stream()) hasher.update(chunk);
  return hasher.digest("hex");
}
