/** probe on files: their shape is checked, and what only a kernel can show is "not applicable". */
import { describe, expect, it } from "bun:test";
import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { toText } from "../../src/commands/probe-text.ts";
import { probe } from "../../src/probe/probe.ts";
import { BUN, DENO, libc, ROOT, temporaryFolder } from "../support/files.ts";
import { type Crafted, PAGE, writeCrafted, writeSampleFile } from "../support/sample.ts";

const path = temporaryFolder();
const sample = path("sample.core");
writeSampleFile(sample, { size: 8 << 20 });
const LOADS = [
  { physicalAddress: 0x1000n, size: 0x2c00 },
  { physicalAddress: 0x10_0400n, size: 0x3000 },
];

/** Patches by result. */
function results(file: string, wanted: string): number[] {
  const { promises } = probe(libc, file, { split: true });
  return promises.filter(({ result }) => result === wanted).map(({ patch }) => patch);
}

function crafted(name: string, options: Partial<Crafted>): string {
  writeCrafted(path(name), { loads: LOADS, ...options });
  return path(name);
}

function edit(file: string, change: (fd: number) => void): string {
  const fd = openSync(file, "r+");
  change(fd);
  closeSync(fd);
  return file;
}

describe("a file of the right shape", () => {
  it("keeps what a file can keep", () => {
    expect(results(sample, "pass")).toEqual([2, 3, 9, 10, 11, 12]);
    expect(results(sample, "fail")).toEqual([]);
    expect(probe(libc, sample, { split: true }).faults.map(({ result }) => result)).toEqual(
      Array(4).fill("not applicable"),
    );
  });

  it("keeps patch 5 as well where it is ELF32", () => {
    const file = crafted("elf32.core", { class: 32, machine: 3 });
    expect(results(file, "pass")).toEqual([2, 3, 5, 9, 10, 11, 12]);
  });

  it("has no ragged ends where all PT_LOADs are whole pages", () => {
    const file = crafted("whole.core", { loads: [{ physicalAddress: 0x1000n, size: 0x2000 }] });
    expect(results(file, "pass")).toEqual([2, 3, 9, 10, 11]);
  });
});

describe("a file of another shape", () => {
  it.each<[string, () => string, number[]]>([
    [
      "notes not behind the headers' page",
      () => crafted("late-notes", { change: shift(0, PAGE) }),
      [2, 9, 11],
    ],
    ["notes inside a page", () => crafted("inner-notes", { change: shift(0, 4) }), [2, 9, 10]],
    ["something behind the headers", () => edit(crafted("dirty-headers", {}), at(PAGE - 1)), [3]],
    ["something behind the notes", () => edit(crafted("dirty-notes", {}), at(2 * PAGE - 1)), [9]],
    [
      "two PT_NOTEs",
      () => crafted("two-notes", { change: ([a, ...rest]) => [a, a, ...rest] as never }),
      [9, 11],
    ],
    ["a PT_LOAD in the wrong place of its page", () => crafted("askew", { change: shift(2, -8) }), [10]],
    ["a hole between objects", () => crafted("hole", { change: shift(2, PAGE, PAGE) }), [11]],
    ["a file that is too long", () => edit(crafted("long", {}), (fd) => ftruncateSync(fd, 100 * PAGE)), [11]],
    [
      "a tail that is cut off behind its last byte",
      () => edit(crafted("cut", {}), (fd) => ftruncateSync(fd, 9 * PAGE - 0xa00)),
      [11, 12],
    ],
  ])("%s", (_name, make, failed) => {
    expect(results(make(), "fail")).toEqual(failed);
  });

  it("fails patch 5 where it is ELF32", () => {
    expect(results(crafted("askew32", { class: 32, change: shift(2, -8) }), "fail")).toEqual([5, 10]);
  });
});

describe("vmcopy probe", () => {
  const run = (command: string[]) =>
    Bun.spawnSync([...command, "src/cli.ts", "probe", "--json", sample], { cwd: ROOT });

  it("prints one JSON object, the same under Bun and Deno", () => {
    const bun = run([BUN]);
    expect(bun.exitCode).toBe(0);
    const report = JSON.parse(bun.stdout.toString());
    expect(report.source).toBe(sample);
    expect(report.kernel).toMatch(/^\d+\./);
    expect(report.promises).toHaveLength(13);
    expect(report.promises[12]).toMatchObject({ patch: 13, title: "introduce mmap_vmcore()" });
    expect(run([DENO, "run", "-A"]).stdout.toString()).toBe(bun.stdout.toString());
  });

  it("exits with 1 where a promise is broken, with 2 where there is no vmcore", () => {
    const code = (file: string) => Bun.spawnSync([BUN, "src/cli.ts", "probe", file], { cwd: ROOT }).exitCode;
    expect(code(crafted("broken", { change: shift(2, -8) }))).toBe(1);
    expect(code(path("nowhere"))).toBe(2);
  });

  it.each([60, 80, 100])("fits %i columns", (columns) => {
    const text = toText(probe(libc, sample, { split: true }), { columns, colours: false });
    expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThanOrEqual(columns);
    expect(text).toContain("not");
  });
});

/** Moves the offset of one program header, and makes its size so much less. */
function shift(index: number, bytes: number, less = 0): NonNullable<Crafted["change"]> {
  return (segments) =>
    segments.map((segment, i) =>
      i === index
        ? { ...segment, offset: Number(segment.offset) + bytes, fileSize: Number(segment.fileSize) - less }
        : segment,
    );
}

/** Writes a byte. */
function at(offset: number): (fd: number) => void {
  return (fd) => {
    writeSync(fd, new Uint8Array([1]), 0, 1, offset);
  };
}
