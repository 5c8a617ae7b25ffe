/** Dumps of pages, end to end on a sample: every format and codec, sets, streams, refiltering, and disks that fill up. */
import { afterEach, beforeAll, describe, expect, it } from "bun:test";
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import type { Libc } from "../../ffi/libc.ts";
import type { CodecName } from "../../src/codec/packed.ts";
import { copyFiltered, type FilteredOptions } from "../../src/copy/filtered.ts";
import { openMemory } from "../../src/dump/open.ts";
import { verifyDump } from "../../src/verify/verify.ts";
import { failure, testJob } from "../support/engines.ts";
import { injected, libc, temporaryFolder } from "../support/files.ts";
import { failAfterBytes, failAtOffset, failNth } from "../support/inject.ts";
import { commandLine, shell, shellLine, vmcopy } from "../support/program.ts";
import { writeSampleFile } from "../support/sample.ts";

const path = temporaryFolder();
const source = path("sample");
const dest = path("dump");
const CODECS: CodecName[] = ["none", "zlib", "lzo", "snappy", "zstd"];

beforeAll(() => {
  writeSampleFile(source, { size: 24 << 20, seed: 11 });
});

afterEach(async () => {
  await shell(`rm -f ${dest}*`);
});

async function dump(options: Partial<FilteredOptions> = {}, through: Libc = libc) {
  return await copyFiltered(through, testJob(), {
    ...{
      sources: [source],
      dest,
      format: "kdump",
      level: 1,
      codec: "lzo",
      flatten: false,
      jobs: 1,
      split: 1,
    },
    ...{ dryRun: false, memory: undefined, direct: false, manifest: true, sha256: false, force: false },
    ...options,
  });
}

const verify = (file: string, against?: string) =>
  verifyDump(libc, testJob(), { dump: file, members: [], source: against });

describe.each(CODECS)("kdump-compressed, %s", (codec) => {
  it.each([1, 2])("is whole by manifest, by itself and by its source, made on %d threads", async (jobs) => {
    const report = await dump({ codec, jobs, sha256: true });
    expect(report.problems.every((line) => line.includes("struct pages"))).toBe(true);
    expect(report.pages.zero).toBeGreaterThan(500);
    expect(report.size).toBe(statSync(dest).size);
    expect(statSync(dest).mode & 0o777).toBe(0o600);
    expect(existsSync(`${dest}.incomplete`)).toBe(false);
    for (const [file, against, method] of [
      [dest, undefined, "manifest"],
      [dest, source, "source"],
    ] as const) {
      const found = await verify(file, against);
      expect([found.ok, found.method, found.problems]).toEqual([true, method, []]);
    }
    rmSync(`${dest}.manifest.json`);
    const alone = await verify(dest);
    expect([alone.ok, alone.method, alone.problems]).toEqual([true, "structure", []]);
  });
});

it("is the same, whatever the number of threads, the way of reading and the budget", async () => {
  await dump({ codec: "zstd" });
  const right = readFileSync(dest);
  const others: Partial<FilteredOptions>[] = [
    { jobs: 3 },
    { method: "mmap", mapSize: 1 << 20 },
    { method: "mmap", mapSize: 64 << 10, jobs: 2 },
    ...[64 << 10, 100_000, 1 << 20, 32 << 20].map((memory) => ({ memory })),
    { direct: true },
  ];
  for (const options of others) {
    await dump({ codec: "zstd", force: true, ...options });
    expect([options, Buffer.compare(readFileSync(dest), right)]).toEqual([options, 0]);
  }
}, 120_000);

describe("filtered ELF", () => {
  it.each([0, 1])("level %d holds what its source does", async (level) => {
    const report = await dump({ format: "elf", codec: "none", level });
    expect(report.pages.zero === 0).toBe(level === 0);
    const found = await verify(dest, source);
    expect([found.ok, found.problems]).toEqual([true, []]);
    using memory = openMemory(libc, [dest]);
    using original = openMemory(libc, [source]);
    expect(memory.ram).toEqual(original.ram);
    expect(memory.incomplete).toBe(false);
    expect((await vmcopy("info", "--json", dest)).code).toBe(0);
  });

  it("goes into a pipe as it goes into a file", async () => {
    await dump({ format: "elf", codec: "none" });
    const { code, err } = await shell(
      `${shellLine("copy", "-q", "-f", "elf", "-d", "1", source, "-")} | dd of=${dest}.piped 2>/dev/null; exit \${PIPESTATUS[0]}`,
    );
    expect([code, err.includes("Cannot")]).toEqual([0, false]);
    // All but the mark, which only a file has to be rid of.
    expect(Buffer.compare(readFileSync(`${dest}.piped`), readFileSync(dest))).toBe(0);
  });
});

describe("flattened", () => {
  it("is rearranged to what would have been written at once, by vmcopy and by makedumpfile", async () => {
    await dump();
    const right = readFileSync(dest);
    await dump({ dest: `${dest}.flat`, flatten: true });
    expect((await verify(`${dest}.flat`)).method).toBe("manifest");
    expect((await vmcopy("copy", "-q", `${dest}.flat`, `${dest}.again`)).code).toBe(0);
    expect(Buffer.compare(readFileSync(`${dest}.again`), right)).toBe(0);
    expect((await verify(`${dest}.again`)).ok).toBe(true);
    await shell(`makedumpfile -R ${dest}.R < ${dest}.flat`);
    expect(Buffer.compare(readFileSync(`${dest}.R`), right)).toBe(0);
    const piped = await shell(
      `${shellLine("copy", "-q", "-d", "1", "-c", "lzo", source, "-")} | cmp - ${dest}.flat`,
    );
    expect(piped.code).toBe(0);
  });

  it("is read as it is, and one that was cut off is told", async () => {
    await dump({ dest: `${dest}.flat`, flatten: true, manifest: false });
    expect((await verify(`${dest}.flat`, source)).ok).toBe(true);
    const bytes = readFileSync(`${dest}.flat`);
    writeFileSync(`${dest}.cut`, bytes.subarray(0, bytes.length - 20));
    const found = await verify(`${dest}.cut`);
    expect(found.ok).toBe(false);
    expect(found.problems[0]).toContain("incomplete");
    const refused = await vmcopy("copy", `${dest}.cut`, `${dest}.x`);
    expect([refused.code, refused.err]).toEqual([1, expect.stringContaining("no end record")]);
  });
});

describe("a split set", () => {
  it("has all pages once, is read whole, and is put together", async () => {
    const report = await dump({ split: 3 });
    expect(report.dests).toEqual([1, 2, 3].map((member) => `${dest}.${member}`));
    const sizes = report.dests.map((file) => statSync(file).size);
    expect(Math.min(...sizes) * 3).toBeGreaterThan(Math.max(...sizes));
    using set = openMemory(libc, [...report.dests].reverse());
    using original = openMemory(libc, [source]);
    expect([...set.stored(0, set.endPfn)].reduce((sum, { start, end }) => sum + end - start, 0)).toBe(
      report.pages.kept,
    );
    expect(set.ram).toEqual(original.ram);
    const members = report.dests.slice(1);
    const found = await verifyDump(libc, testJob(), { dump: report.dests[0] as string, members, source });
    expect([found.ok, found.problems]).toEqual([true, []]);
    const { code } = await vmcopy(
      "copy",
      "-q",
      "-j",
      "2",
      "--reassemble",
      "-c",
      "lzo",
      ...report.dests,
      dest,
    );
    expect(code).toBe(0);
    const whole = await verify(dest, source);
    expect([whole.ok, whole.problems]).toEqual([true, []]);
    await shell(`makedumpfile --reassemble ${report.dests.join(" ")} ${dest}.theirs`);
    expect((await verify(`${dest}.theirs`, source)).ok).toBe(true);
  }, 120_000);
});

it("refilters and recompresses: raw, ELF, kdump and flattened sources give the same pages", async () => {
  await dump({ codec: "zstd", manifest: false });
  const right = readFileSync(dest);
  await dump({ dest: `${dest}.elf`, format: "elf", codec: "none" });
  await dump({ dest: `${dest}.flat`, flatten: true, codec: "snappy" });
  for (const from of [dest, `${dest}.flat`]) {
    await dump({ sources: [from], dest: `${dest}.new`, codec: "zstd", force: true, manifest: false });
    expect(Buffer.compare(readFileSync(`${dest}.new`), right)).toBe(0);
  }
  await dump({ sources: [`${dest}.elf`], dest: `${dest}.new`, codec: "zstd", force: true });
  expect((await verify(`${dest}.new`, source)).ok).toBe(true);
  await dump({ sources: [dest], dest: `${dest}.back`, format: "elf", codec: "none", level: 0 });
  expect((await verify(`${dest}.back`, source)).ok).toBe(true);
}, 120_000);

it("what differs is found by the source: a page, and one that is missing", async () => {
  await dump({ codec: "none", manifest: false });
  const bytes = readFileSync(dest);
  bytes[bytes.length - 5000] = (bytes[bytes.length - 5000] as number) ^ 1;
  writeFileSync(dest, bytes);
  const found = await verify(dest, source);
  expect([found.ok, found.mismatchCount, found.mismatchedBytes]).toEqual([false, 1, 4096]);
  const other = path("other");
  writeSampleFile(other, { size: 24 << 20, seed: 12 });
  expect((await verify(dest, other)).ok).toBe(false);
});

describe("a disk that fills up", () => {
  it("at any of ten places leaves a dump that says that it is incomplete", async () => {
    const { size } = await dump({ manifest: false });
    rmSync(dest);
    for (let tenth = 0; tenth < 10; tenth++) {
      const rules = { pwrite: failAfterBytes(Math.floor((size * (tenth + 0.5)) / 10), "ENOSPC") };
      const error = await failure(dump({ force: true }, injected(rules)));
      expect([tenth, error.code]).toEqual([tenth, "E_NO_SPACE"]);
      expect(error.message).toContain(`what there is lies in ${dest}.incomplete, marked incomplete`);
      const found = await verify(`${dest}.incomplete`);
      expect([tenth, found.ok, found.problems[0]]).toEqual([
        tenth,
        false,
        expect.stringContaining("incomplete"),
      ]);
      expect(existsSync(dest)).toBe(false);
    }
  }, 120_000);

  it.each([
    ["a failed sync", { fsync: failNth(1, "EIO") }],
    ["a failed last sync", { fsync: failNth(2, "EIO") }],
    ["a failed rename", { rename: failNth(1, "EACCES") }],
  ] as const)("%s: one line, and no dump under its name", async (_, rules) => {
    const error = await failure(dump({}, injected(rules)));
    expect(error.code).toBe("E_IO");
    expect(error.message).not.toContain("\n");
    expect(existsSync(dest)).toBe(false);
  });
});

it("pages that cannot be read are lost, told, and the dump is marked", async () => {
  const rules = { pread: failAtOffset(9 << 20, "EIO", 4096) };
  const report = await dump({ codec: "zstd" }, injected(rules));
  expect([report.unreadable, report.incomplete]).toEqual([1, true]);
  expect(report.problems.join()).toContain("could not be read");
  const found = await verify(dest);
  expect(found.ok).toBe(false);
  expect(found.problems.join()).toContain("is lost");
  rmSync(`${dest}.manifest.json`);
  const alone = await verify(dest);
  expect(alone.problems.join()).toContain("was lost when the dump was written");
});

it("a kernel without file locks is no other writer", async () => {
  const rules = { flock: failNth(1, "ENOSYS") };
  expect((await dump({}, injected(rules))).incomplete).toBe(false);
  expect((await verify(dest)).ok).toBe(true);
  const taken = await failure(dump({ force: true }, injected({ flock: failNth(1, "EAGAIN") })));
  expect(taken.message).toContain("another vmcopy is writing it");
});

describe("wrong options", () => {
  it.each([
    [["-d", "32"], "a whole number from 0 to 31"],
    [["-d", "31", "-f", "raw"], "a raw dump has all pages"],
    [["-c", "lzo", "-f", "elf"], "ELF has no compressed pages"],
    [["-d", "31", "--resume"], "only a raw copy can be gone on with"],
    [["-c", "lz4"], "Allowed choices are"],
    [["--split", "1"], "a whole number from 2"],
    [["-d", "31", "--memory", "1K"], "from 64 KiB to 32 MiB"],
    [["--reassemble"], "name the members"],
  ])("%j: says what is wrong", async (args, message) => {
    const { code, err } = await vmcopy("copy", ...args, source, dest);
    expect([code, err]).toEqual([2, expect.stringContaining(message)]);
    expect(existsSync(`${dest}.incomplete`)).toBe(false);
  });

  it("a kdump-compressed source wants to be told what to make of it", async () => {
    await dump();
    const { code, err } = await vmcopy("copy", dest, `${dest}.2`);
    expect([code, err]).toEqual([2, expect.stringContaining("is a kdump-compressed dump")]);
  });
});

it("Ctrl-C in the middle ends workers and all, and leaves a marked dump", async () => {
  const big = path("big");
  writeSampleFile(big, { size: 256 << 20, seed: 2 });
  const child = Bun.spawn(commandLine("copy", "-c", "zstd", "-d", "1", "-j", "2", big, dest), {
    stdout: "pipe",
    stderr: "pipe",
  });
  while (!existsSync(`${dest}.incomplete`) || statSync(`${dest}.incomplete`).size < 4 << 20)
    await Bun.sleep(5);
  child.kill("SIGINT");
  expect(await child.exited).toBe(130);
  const said = await new Response(child.stderr).text();
  expect(said).toContain("Stopped by SIGINT");
  expect((await verify(`${dest}.incomplete`)).problems[0]).toContain("incomplete");
}, 60_000);
