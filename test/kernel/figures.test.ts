/** What a guest left: read whole, or refused. */
import { afterAll, describe, expect, it } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readBench, readCopyFigures, readRows } from "../../kernel/experiment/figures.ts";
import { fastest } from "../../kernel/experiment/results.ts";
import { report, row } from "../bench/reports.ts";

const directory = mkdtempSync(join(tmpdir(), "vmcopy-figures-"));
afterAll(() => rmSync(directory, { recursive: true }));

function leave(files: Record<string, object[]>): string {
  for (const [name, objects] of Object.entries(files)) {
    writeFileSync(join(directory, name), objects.map((object) => `${JSON.stringify(object)}\n`).join(""));
  }
  return directory;
}

const COPY = { method: "mmap", mapSize: 4096, bytesRead: 8192, seconds: 2 };
const GOOD = {
  "null.jsonl": [COPY, { ...COPY, seconds: 3 }],
  "disk.jsonl": [{ ...COPY, seconds: 4 }],
  "source.jsonl": [{ ok: true, seconds: 5 }],
  "manifest.jsonl": [{ ok: true, seconds: 6 }],
};

describe("readCopyFigures", () => {
  it("reads each round", () => {
    expect(readCopyFigures(leave(GOOD))).toEqual({
      ...{ method: "mmap", mapSize: 4096, bytes: 8192 },
      ...{ null: [2, 3], disk: [4], source: [5], manifest: [6] },
    });
  });

  it.each<[string, Record<string, object[]>, RegExp]>([
    ["a difference", { "source.jsonl": [{ ok: false, seconds: 5 }] }, /not what it should be \(source\)/],
    ["no time", { "disk.jsonl": [{ method: "mmap" }] }, /a figure is missing/],
    ["no copy", { "null.jsonl": [] }, /there are none/],
  ])("refuses %s", (_, files, message) => {
    leave(GOOD);
    expect(() => readCopyFigures(leave(files))).toThrow(message);
  });

  it("refuses a step that left nothing", () => {
    leave(GOOD);
    rmSync(join(directory, "manifest.jsonl"));
    expect(() => readCopyFigures(directory)).toThrow("manifest.jsonl is missing");
  });
});

describe("readBench", () => {
  it("passes on why vmcopy could not measure", () => {
    const path = leave({ "bench.json": [{ error: { code: "E_IO", message: "no such file" } }] });
    expect(() => readBench(path, "bench")).toThrow("no such file");
  });

  it("joins small windows and large ones", () => {
    const bench = (size: number) => ({ ...report([row("map", size, 1)]), problems: [`${size}`] });
    const joined = readRows(leave({ "small.json": [bench(4096)], "large.json": [bench(8192)] }));
    expect(joined.rows.map(({ size }) => size)).toEqual([4096, 8192]);
    expect(joined.problems).toEqual(["4096", "8192"]);
  });
});

describe("fastest", () => {
  it("puts the fastest repetition in the place of the median", () => {
    const [first] = fastest(report([row("map", 4096, 2, 0.5), row("map", 8192, 2)])).rows;
    expect(first).toMatchObject({ seconds: 1, gibPerSecond: 4 });
    expect(first?.nsPerPage).toBe(row("map", 4096, 4).nsPerPage);
  });

  it("leaves what was measured once", () => {
    const once = report([row("map", 8192, 2)]);
    expect(fastest(once)).toEqual(once);
  });
});
