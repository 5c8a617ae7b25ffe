// The kernel series on real /proc/vmcores: stock, without mmap, and ours. Each kernel crashes and is its own capture
// kernel; what a program sees there (windows/) and what vmcopy finds is compared between them. One version for each
// run: 6.12 unless VMCOPY_LAB_VERSION says another.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { buildProblems, labKernel, patchesOf, type Series, sourceTree } from "../../kernel/build.ts";
import { createRun, removeRun } from "./cache.ts";
import { type Capture, type Crash, crashAndCapture } from "./lab.ts";
import { labProblems } from "./packages.ts";
import { run } from "./run.ts";
import { compileWindows, testedVersion as version } from "./windows.ts";

const minutes = 60_000;
const series: Series[] = ["stock", "no-mmap", "ours"];
const hasHugeWindows = version !== "6.1";
const problems = [...labProblems(), ...buildProblems()];
const lab = problems.length > 0 ? describe.skip : describe;
const reason = problems.length > 0 ? ` (left out: ${problems.join("; ")})` : "";

/** Two pieces of memory that do not end at pages are taken out: 5 PT_LOADs, 4 ragged ends. */
const RAGGED: Partial<Crash> = {
  memMiB: 640,
  crashkernel: "256M",
  commandLine: "memmap=0x100a00$0x2000200 memmap=0x200400$0x6000e00",
};
/** Every instruction takes a nanosecond: no clock of a busy machine decides what is slow. */
const COUNTED: Partial<Crash> = { cpus: 1, devices: ["-icount", "shift=0,sleep=off"], timeoutSeconds: 600 };
/** A device that gives memory and takes some back: its driver tells the capture kernel which pages are none. */
const VETOED: Partial<Crash> = {
  devices: [
    ...["-m", "384,maxmem=2G", "-object", "memory-backend-ram,id=more,size=256M"],
    ...["-device", "virtio-mem-pci,memdev=more,requested-size=100M"],
  ],
};

/** What a kernel says of itself when something is wrong with it. */
const SPLAT =
  /WARNING|BUG|Oops|Call Trace|INFO: |possible .* lock|suspicious|sleeping function|sanity check|[Bb]ad page|memtype/;

lab(`the kernel series on ${version}${reason}`, () => {
  let directory: string;
  const captures = {} as Record<Series, Capture>;
  const probes = {} as Record<Series, Capture>;
  const crash = (kernel: Awaited<ReturnType<typeof labKernel>>, script: string, more: Partial<Crash> = {}) =>
    crashAndCapture({
      memMiB: 640,
      crashkernel: "256M",
      kernel,
      captureScript: `mount -t debugfs debug /sys/kernel/debug\n${script}`,
      files: { "bin/windows": { from: join(directory, "windows") } },
      resultsMiB: 64,
      timeoutSeconds: 400,
      ...more,
    });
  const text = (capture: Capture, name: string) => readFileSync(join(capture.results, name), "utf8");
  const lines = (name: Series) => text(captures[name], "windows").trim().split("\n");
  const values = (name: Series, what: string) =>
    lines(name)
      .filter((line) => line.startsWith(`${what}: `))
      .map((line) => line.slice(what.length + 2));
  const fault = (name: Series, what: string) => {
    const { faults } = JSON.parse(text(probes[name], "probe"));
    return faults.find((row: { name: string }) => row.name === what).result;
  };
  /** Of the capture kernel: the first one's panic is a splat of its own. */
  const splats = ({ console }: Capture) =>
    console
      .slice(console.findLastIndex((line) => line.includes("Linux version")))
      .filter((line) => SPLAT.test(line));

  beforeAll(async () => {
    directory = createRun();
    await compileWindows(directory);
    for (const name of series) {
      const kernel = await labKernel(version, name);
      const work = name === "no-mmap" ? "bytes" : "tables bytes windows ways";
      captures[name] = await crash(kernel, script(work), RAGGED);
      const cost = name === "no-mmap" ? "" : "windows cost > /out/cost || exit 2\n";
      probes[name] = await crash(kernel, `${cost}vmcopy probe --json > /out/probe; [ $? -le 1 ]`, COUNTED);
    }
  }, 25 * minutes);

  afterAll(() => {
    for (const capture of [...Object.values(captures), ...Object.values(probes)]) capture.dispose();
    removeRun(directory);
  });

  test.each(series)("%s: a vmcore of several PT_LOADs with ragged ends", (name) => {
    expect(values(name, "loads")).toEqual(["5"]);
    expect(values(name, "ragged ends")).toEqual(["4"]);
    expect(lines(name).at(-1)).toBe("done: ok");
  });

  test.each(series)("%s: read gives the same bytes in pieces of any size", (name) => {
    const digests = lines(name).filter((line) => line.startsWith("digest read "));
    expect(digests.length).toBe(3);
    expect(new Set(digests.map((line) => line.split(": ")[1])).size).toBe(1);
  });

  test.each(["stock", "ours"] as const)("%s: windows show what read gives, at every border too", (name) => {
    const [bytes = ""] = values(name, "digest read 4096");
    expect(bytes).toMatch(/^[0-9a-f]{16}$/);
    for (const size of [5 * 4096, 4 << 20, 64 << 20, 0])
      expect([size, ...values(name, `digest windows ${size}`)]).toEqual([size, bytes]);
    expect(values(name, "borders")).toEqual(["ok"]);
    expect(values(name, "borders different")).toEqual(["0"]);
    expect(values(name, "borders refused")).toEqual(["0"]);
    expect(lines(name).filter((line) => line.includes("DIFFERENT"))).toEqual([]);
  });

  test.each(series)("%s: vmcopy copies by what there is, and every way gives dd's bytes", (name) => {
    const sums = text(captures[name], "sums").trim().split("\n");
    expect(sums.length).toBe(3);
    expect(new Set(sums).size).toBe(1);
    const { method, problems } = JSON.parse(text(captures[name], "copy"));
    expect({ method, problems }).toEqual({ method: name === "no-mmap" ? "read" : "mmap", problems: [] });
  });

  test("without mmap there is nothing to probe but read", () => {
    const { promises } = JSON.parse(text(probes["no-mmap"], "probe"));
    expect(promises[12]).toMatchObject({ result: "fail", seen: "mmap fails (EIO)" });
    for (const name of ["overlap", "spanning", "read", "split"])
      expect([name, fault("no-mmap", name)]).toEqual([name, "not applicable"]);
  });

  test("stock: the faults that are known, and no other", () => {
    const found = ["overlap", "read", "split"].map((name) => [name, fault("stock", name)]);
    expect(found).toEqual([
      ["overlap", "present"],
      ["read", "present"],
      ["split", "present"],
    ]);
    // Emulation does not show that uncached memory is slow. The page tables show that it is uncached.
    expect(values("stock", "attributes inside")).toEqual(["cached pte"]);
    expect(values("stock", "attributes across the border")).toEqual(["uncached pte"]);
    expect(values("stock", "attributes whole file")).toEqual(["uncached pte"]);
  });

  test("ours: none of them", () => {
    for (const name of ["overlap", "spanning", "read", "split"])
      expect([name, fault("ours", name)]).toEqual([name, "absent"]);
    const { promises } = JSON.parse(text(probes.ours, "probe"));
    expect(promises.filter(({ result }: { result: string }) => result === "fail")).toEqual([]);
    expect(values("ours", "attributes across the border")).toEqual([
      hasHugeWindows ? "cached pte pmd" : "cached pte",
    ]);
    expect(values("ours", "attributes whole file")).toEqual(["cached pte"]);
  });

  test("ours: a window is one entry for each 2 MiB, where the kernel can have such", () => {
    expect(values("ours", "attributes inside")).toEqual([hasHugeWindows ? "cached pmd" : "cached pte"]);
    const [stock = 0, ours = 0] = (["stock", "ours"] as const).map((name) => {
      const found = lines(name).find((line) => line.startsWith("page tables of "));
      return Number(found?.split(": ")[1]);
    });
    expect(stock).toBeGreaterThan(300);
    if (hasHugeWindows) expect(ours).toBeLessThanOrEqual(stock / 10);
  });

  test("ours: what the README has of instructions a page", () => {
    const [stock, ours] = (["stock", "ours"] as const).map((name) => text(probes[name], "cost"));
    console.log(`instructions a page, ${version}\nstock\n${stock}ours\n${ours}`);
    const times = (pattern: string, own = 0) => {
      const [before, after] = [stock, ours].map((cost) =>
        Number(new RegExp(`^cost ${pattern} ([\\d.]+)`, "m").exec(cost ?? "")?.[1]),
      );
      return ((before ?? Number.NaN) - own) / ((after ?? Number.NaN) - own);
    };
    expect(times("across the border, 4 MiB: map")).toBeGreaterThan(2.5);
    expect(times("whole file: map")).toBeGreaterThan(2.5);
    // Copying is an instruction a byte; it is the rest that is saved.
    expect(times("read 1024 KiB:", 4096)).toBeGreaterThan(20);
    const anyWindow = [
      "4 KiB",
      "64 KiB",
      "2 MiB",
      "4 MiB",
      "64 MiB",
      "4 MiB not aligned",
      "64 MiB not aligned",
    ];
    for (const size of anyWindow) {
      for (const what of ["map", "map .*map and touch"])
        expect([size, what, times(`inside, ${size}: ${what}`) > 0.98]).toEqual([size, what, true]);
    }
    if (!hasHugeWindows) return;
    expect(times("inside, 64 MiB: map")).toBeGreaterThan(20);
    expect(times("inside, 64 MiB: map .*map and touch")).toBeGreaterThan(1.5);
  });

  test("splitting, protecting, moving, forking, writing and refusing are as on stock", () => {
    const before =
      /^(whole|after|touching|mprotect|moved|grow|fork|O_DIRECT|touched|write|written|across|behind)/;
    const more = /^(read behind|writable|executable|dontneed|populate|still|at a fixed)/;
    const ways = (name: Series) => lines(name).filter((line) => before.test(line) || more.test(line));
    expect(ways("ours").length).toBeGreaterThan(40);
    expect(ways("ours")).toEqual(ways("stock"));
    expect(values("ours", "O_DIRECT after a touch")).toEqual(["EFAULT"]);
    expect(values("ours", "fork")).toEqual(["same", "same"]);
    expect(values("ours", "across the end")).toEqual(["EINVAL"]);
    // The one thing that is not: bytes that were copied before a fault are no longer lost.
    expect(values("stock", "read into half a buffer")).toEqual(["-1 EFAULT"]);
    expect(values("ours", "read into half a buffer")).toEqual(["4096 ok"]);
  });

  test("ours: the kernel has nothing to say", () => {
    expect(splats(captures.ours)).toEqual([]);
    expect(splats(probes.ours)).toEqual([]);
    // That the pattern finds something is seen on stock, which loses reservations of memory types.
    expect(splats(captures.stock).length).toBeGreaterThan(0);
  });

  test(
    "ours: a window of 1 GiB can be split, protected, moved and forked as any other",
    async () => {
      const machine = { memMiB: 3072, program: null };
      const kernel = await labKernel(version, "ours");
      const capture = await crash(kernel, "windows gigantic > /out/windows", machine);
      const found = text(capture, "windows").trim().split("\n");
      expect(found).toContain(`attributes 1 GiB: cached ${hasHugeWindows ? "pmd" : "pte"}`);
      expect(found.at(-1)).toBe("done: ok");
      expect(found.filter((line) => line.includes("same")).length).toBe(5);
      expect(found.filter((line) => line.includes("DIFFERENT"))).toEqual([]);
      expect(splats(capture)).toEqual([]);
      capture.dispose();
    },
    5 * minutes,
  );

  test(
    "ours: each patch builds and boots on those before it",
    async () => {
      const steps = patchesOf(version, "ours").length;
      expect(steps).toBeGreaterThanOrEqual(3);
      for (let first = 1; first < steps; first++) {
        const kernel = await labKernel(version, "ours", "lab", first);
        const capture = await crash(kernel, "windows bytes windows > /out/windows", { program: null });
        const found = text(capture, "windows").trim().split("\n");
        expect(found.at(-1)).toBe("done: ok");
        const digests = found.filter((line) => line.startsWith("digest "));
        expect([digests.length, new Set(digests.map((line) => line.split(": ")[1])).size]).toEqual([7, 1]);
        expect([first, found.filter((line) => line.includes("DIFFERENT")), splats(capture)]).toEqual([
          first,
          [],
          [],
        ]);
        capture.dispose();
      }
    },
    15 * minutes,
  );

  test.each([
    ["", {}],
    [", beside a driver that vetoes pages", VETOED],
  ] as [string, Partial<Crash>][])(
    "ours: nothing shows under lockdep and the kernel's own checks%s",
    async (_, more) => {
      const kernel = await labKernel(version, "ours", "debug");
      const work = "windows tables borders ways bytes > /out/windows";
      const machine = { memMiB: 384, crashkernel: "160M", program: null, timeoutSeconds: 900 };
      const capture = await crash(kernel, work, { ...machine, ...more });
      const found = text(capture, "windows").trim().split("\n");
      expect(found.at(-1)).toBe("done: ok");
      expect(found.filter((line) => line.includes("DIFFERENT"))).toEqual([]);
      expect(splats(capture)).toEqual([]);
      // That checks were on, and that the driver was there or not: it lets no entry be huge.
      expect(capture.console.join("\n")).toContain("RCU lockdep checking is enabled");
      const vetoes = more === VETOED;
      const driver = capture.console.filter((line) => line.includes("virtio_mem"));
      expect(driver.some((line) => line.includes("disabled in kdump kernel"))).toBe(vetoes);
      const inside = found.find((line) => line.startsWith("attributes inside: "));
      expect(inside).toBe(`attributes inside: cached ${hasHugeWindows && !vetoes ? "pmd" : "pte"}`);
      capture.dispose();
    },
    25 * minutes,
  );

  test.each(patchesOf(version, "ours").map((path) => path.split("/").at(-1) ?? ""))(
    "checkpatch passes %s",
    async (name) => {
      const path = patchesOf(version, "ours").find((path) => path.endsWith(name)) ?? "";
      // Signing off is the submitter's. By its name, a file that git knows would be taken for a source.
      const check = 'perl "$1" --no-tree --ignore MISSING_SIGN_OFF - < "$2"';
      const script = join(await sourceTree(version), "scripts/checkpatch.pl");
      const report = await run("check the patch", ["bash", "-c", check, "-", script, path]);
      expect(report).toMatch(/^total: 0 errors, 0 warnings/m);
    },
  );
});

function script(work: string): string {
  return `
    windows ${work} > /out/windows || exit 1
    sum() { sha256sum | cut -d ' ' -f 1 >> /out/sums; }
    dd if=/proc/vmcore bs=1M 2> /dev/null | sum
    vmcopy copy -q /proc/vmcore - | sum
    vmcopy copy -q --read /proc/vmcore - | sum
    vmcopy copy --json /proc/vmcore /dev/null > /out/copy
  `;
}
