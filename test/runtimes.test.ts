/** Bun and Deno agree: the same bytes, the same manifest, the same JSON and messages, the same exit codes. */
import { beforeAll, describe, expect, it } from "bun:test";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "./support/files.ts";
import { type Result, type Runtime, run } from "./support/runtimes.ts";
import { buildVmcore, PAGE } from "./support/vmcores.ts";

const path = temporaryFolder();
const RUNTIMES = ["bun", "deno"] as const;
const SAMPLE = path("sample");
const SMALL = path("small");

/** What differs from run to run: times, memory, and what follows from them. */
const MEASURED = new Set([
  "seconds",
  "bytesPerSecond",
  "peakRssBytes",
  "anonymousRssBytes",
  "gibPerSecond",
  "nsPerPage",
  "pageTableBytes",
  "spread",
  "samples",
]);

function withoutMeasures(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutMeasures);
  if (typeof value !== "object" || value === null) return value;
  const kept = Object.entries(value).filter(([name]) => !MEASURED.has(name));
  return Object.fromEntries(kept.map(([name, inner]) => [name, withoutMeasures(inner)]));
}

/** Runs one command line under both; a file it writes is named by its runtime. */
async function both(args: (runtime: Runtime) => readonly string[]): Promise<Record<Runtime, Result>> {
  const [bun, deno] = await Promise.all(RUNTIMES.map((runtime) => run(runtime, args(runtime), 40)));
  return { bun: bun as Result, deno: deno as Result };
}

/** Both outputs as JSON, without measures, and with the runtime's name taken out of paths. */
function comparable({ stdout }: Result, runtime: Runtime): unknown {
  return withoutMeasures(JSON.parse(stdout.replaceAll(`by-${runtime}`, "by-either")));
}

beforeAll(async () => {
  const { exitCode, stderr } = await run("bun", ["sample", "--size", "24M", "--seed", "5", "-q", SAMPLE]);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  writeFileSync(
    SMALL,
    buildVmcore({ loads: [{ offset: 5, length: 9 * PAGE }], class: 32, littleEndian: false }).bytes,
  );
});

it("sample: the same bytes", async () => {
  const { exitCode } = await run("deno", [
    "sample",
    "--size",
    "24M",
    "--seed",
    "5",
    "-q",
    path("by-deno.sample"),
  ]);
  expect(exitCode).toBe(0);
  expect(Buffer.compare(readFileSync(path("by-deno.sample")), readFileSync(SAMPLE))).toBe(0);
});

describe.each([
  ["by default", []],
  ["mapped 1 MiB at a time, with SHA-256", ["--map-size", "1M", "--sha256"]],
  ["read, not sparse", ["--read", "--no-sparse"]],
  ["direct", ["--direct"]],
])("copy %s", (name, options) => {
  const dest = (runtime: Runtime) => path(`${name} by-${runtime}`);

  it("gives the same bytes, manifest and report, and both verify both", async () => {
    const copies = await both((runtime) => ["copy", "--json", "-q", ...options, SAMPLE, dest(runtime)]);
    expect([copies.bun.exitCode, copies.deno.exitCode]).toEqual([0, 0]);
    expect(comparable(copies.deno, "deno")).toEqual(comparable(copies.bun, "bun"));
    const source = readFileSync(SAMPLE);
    for (const runtime of RUNTIMES) {
      expect(Buffer.compare(readFileSync(dest(runtime)), source)).toBe(0);
      expect(statSync(dest(runtime)).mode & 0o777).toBe(0o600);
    }
    const manifest = (runtime: Runtime) => JSON.parse(readFileSync(`${dest(runtime)}.manifest.json`, "utf8"));
    expect(manifest("deno")).toEqual(manifest("bun"));
    // Each reads what the other wrote.
    for (const more of [[], [SAMPLE]]) {
      const other = { bun: "deno", deno: "bun" } as const;
      const verified = await both((runtime) => ["verify", "--json", "-q", dest(other[runtime]), ...more]);
      expect([verified.bun.exitCode, verified.deno.exitCode]).toEqual([0, 0]);
      expect(comparable(verified.deno, "bun")).toEqual(comparable(verified.bun, "deno"));
      expect(JSON.parse(verified.bun.stdout)).toMatchObject({ ok: true, bytesCompared: source.length });
    }
  });
});

it("verify: the same mismatches in a damaged dump", async () => {
  const bytes = readFileSync(SAMPLE);
  for (const at of [3, 5_000_000, bytes.length - 1]) bytes[at] = (bytes[at] ?? 0) ^ 0x10;
  writeFileSync(path("damaged"), bytes);
  const { bun, deno } = await both(() => ["verify", "--json", "-q", path("damaged"), SAMPLE]);
  expect([bun.exitCode, deno.exitCode]).toEqual([1, 1]);
  expect(comparable(deno, "deno")).toEqual(comparable(bun, "bun"));
  expect(JSON.parse(bun.stdout).mismatches).toHaveLength(3);
});

describe.each([
  ["a sample", SAMPLE],
  ["ELF32, big-endian", SMALL],
])("of %s", (_, source) => {
  it.each(["info", "probe"])("%s: the same JSON and the same text", async (verb) => {
    const json = await both(() => [verb, "--json", source]);
    expect(json.deno.exitCode).toBe(json.bun.exitCode);
    // Each runtime has a zstd of its own: its pages are about as small.
    const sizes = /"bytes":(\d+)/g;
    const [deno, bun] = [json.deno, json.bun].map((result) => {
      const found = [...result.stdout.matchAll(sizes)].map(([, bytes]) => Number(bytes));
      return { found, result: { ...result, stdout: result.stdout.replaceAll(sizes, '"bytes":0') } };
    });
    expect(deno?.found.length).toBe(bun?.found.length as number);
    for (const [index, bytes] of (deno?.found ?? []).entries()) {
      expect(Math.abs(bytes / (bun?.found[index] ?? 0) - 1)).toBeLessThan(0.02);
    }
    expect(comparable(deno?.result as Result, "deno")).toEqual(comparable(bun?.result as Result, "bun"));
    const text = await both(() => [verb, source]);
    // Times are in the text too, and estimates, padded to columns.
    const timeless = ({ stdout }: Result) =>
      stdout.replace(/ *(\d+ min )?\d+([.,]\d+)? (ns|us|µs|ms|s|KiB|MiB|GiB)\b/g, " #");
    expect(timeless(text.deno)).toBe(timeless(text.bun));
    expect(text.bun.stdout.length).toBeGreaterThan(100);
  });
});

it("capture: the same steps, and a dump that the other one verifies", async () => {
  const to = (runtime: Runtime) => path(`captures by-${runtime}`);
  const found = await both((runtime) => [
    "capture",
    "--json",
    "--source",
    SAMPLE,
    "--to",
    to(runtime),
    "--name",
    "one",
  ]);
  expect([found.bun.exitCode, found.deno.exitCode]).toEqual([0, 0]);
  const [bun, deno] = RUNTIMES.map((runtime) => {
    const { steps, crash, state, settings } = JSON.parse(
      found[runtime].stdout.replaceAll(`by-${runtime}`, ""),
    );
    return {
      steps: steps.map(({ name, ok }: { name: string; ok: boolean }) => [name, ok]),
      crash,
      state,
      settings,
    };
  });
  expect(deno).toEqual(bun);
  expect(bun).toMatchObject({ state: "complete", crash: { message: "sysrq triggered crash" } });
  const verified = await both((runtime) => [
    "verify",
    "-q",
    join(to(runtime === "bun" ? "deno" : "bun"), "one/vmcore"),
  ]);
  expect([verified.bun.exitCode, verified.deno.exitCode]).toEqual([0, 0]);
});

it("bench: the same rows", async () => {
  const sizes = ["--map-sizes", "64K..4M", "--read-sizes", "8K,64K"];
  const args = ["bench", "--json", "-q", "--bytes", "4M", "--repeat", "1", ...sizes, SAMPLE];
  const { bun, deno } = await both(() => args);
  expect([bun.exitCode, deno.exitCode]).toEqual([0, 0]);
  const rows = ({ stdout }: Result) =>
    JSON.parse(stdout).rows.map(({ mode, size }: { mode: string; size: number }) => `${mode} ${size}`);
  expect(rows(deno)).toEqual(rows(bun));
  expect(new Set(rows(bun).map((row: string) => row.split(" ")[0]))).toEqual(
    new Set(["read", "map", "touch", "copy"]),
  );
  expect(rows(bun).filter((row: string) => row.startsWith("read"))).toEqual(["read 8192", "read 65536"]);
  for (const { stdout } of [bun, deno]) {
    const last = JSON.parse(stdout).rows.find(
      ({ mode, size }: { mode: string; size: number }) => mode === "touch" && size === 4 << 20,
    );
    // Of a file, 8 bytes a page; and the tables above these, and what else is mapped meanwhile.
    expect(last.pageTableGrowth).toBeWithin(last.pageTableBytes, last.pageTableBytes + (64 << 10));
  }
});

describe("errors: the same code and words", () => {
  it.each<[string, (runtime: Runtime) => string[]]>([
    ["a missing source", (runtime) => ["copy", path("missing"), path(`by-${runtime}.e`)]],
    ["no vmcore", (runtime) => ["copy", import.meta.path, path(`by-${runtime}.e`)]],
    ["a directory as dest", () => ["copy", SAMPLE, path(".")]],
    ["a folder that is not there", (runtime) => ["copy", SAMPLE, path(`by-${runtime}/none`)]],
    ["a dump that is there", () => ["copy", SAMPLE, SMALL]],
    ["the source as dest", () => ["copy", "--force", SAMPLE, SAMPLE]],
    ["a wrong option", () => ["copy", "--spare", SAMPLE, path("e")]],
    ["a wrong size", () => ["copy", "--map-size", "5000", SAMPLE, path("e")]],
    ["no manifest", () => ["verify", SAMPLE]],
    ["info of a text", () => ["info", import.meta.path]],
    ["no paths", () => ["verify"]],
  ])("%s", async (_, args) => {
    const { bun, deno } = await both((runtime) => [...args(runtime), "--json"]);
    expect([bun.exitCode, deno.exitCode]).toEqual([2, 2]);
    expect(comparable(deno, "deno")).toEqual(comparable(bun, "bun"));
    expect(deno.stderr.replaceAll("by-deno", "by-either")).toBe(bun.stderr.replaceAll("by-bun", "by-either"));
    expect(bun.stderr).toMatch(/^vmcopy: [^\n]+\n$/);
    expect(existsSync(path("e"))).toBeFalse();
  });
});
