/** Every kind of damage to a dump is found, by its manifest and by its source, and said to be where it is. */
import { beforeAll, beforeEach, describe, expect, it } from "bun:test";
import {
  copyFileSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { chunkSizeFor } from "../../src/vmcore/window.ts";
import { copy, failure, flip, verify } from "../support/engines.ts";
import { injected, temporaryFolder } from "../support/files.ts";
import { failAtOffset } from "../support/inject.ts";
import { possible, shell, vmcopy } from "../support/program.ts";
import { PLAIN } from "../support/shapes.ts";
import { buildVmcore, PAGE } from "../support/vmcores.ts";

const path = temporaryFolder();
const MIB = 1 << 20;
const CHUNK = chunkSizeFor(0);
const source = path("source");
const { bytes, dataAt, notesAt } = buildVmcore({ ...PLAIN, zeroPage: (page) => page % 7 === 0, tail: 500 });
const size = bytes.length;
const whole = path("whole");
const dump = path("dump");
const physical = (offset: number) => 0x100000 + offset - dataAt;

beforeAll(async () => {
  writeFileSync(source, bytes);
  await copy({ source, dest: whole });
});

beforeEach(() => {
  copyFileSync(whole, dump);
  copyFileSync(`${whole}.manifest.json`, `${dump}.manifest.json`);
});

interface Place {
  readonly offset: number;
  readonly length: number;
  readonly physicalAddress: number | null;
}
const place = (offset: number, length: number, physicalAddress: number | null): Place => ({
  offset,
  length,
  physicalAddress,
});
/** The chunks that a manifest can tell. */
const chunk = (index: number, count = 1) =>
  place(
    index * CHUNK,
    Math.min(size, (index + count) * CHUNK) - index * CHUNK,
    index === 0 ? null : physical(index * CHUNK),
  );
/** The chunk a byte lies in. */
const chunkAt = (offset: number) => chunk(Math.floor(offset / CHUNK));
const inData = dataAt + 5 * MIB + 1000;

/** A damage, what the manifest tells of it and what the source does. */
const DAMAGES: [string, () => void, Place[], Place[]][] = [
  ["the first byte", () => flip(dump, 0), [chunk(0)], [place(0, 1, null)]],
  ["a bit of the ELF header", () => flip(dump, 40, 128), [chunk(0)], [place(40, 1, null)]],
  ["a bit of the notes", () => flip(dump, notesAt + 30), [chunk(0)], [place(notesAt + 30, 1, null)]],
  ["a bit of the data", () => flip(dump, inData), [chunkAt(inData)], [place(inData, 1, physical(inData))]],
  ["the last byte", () => flip(dump, size - 1), [chunkAt(size - 1)], [place(size - 1, 1, null)]],
  [
    "two bytes of two pages",
    () => [flip(dump, inData), flip(dump, inData + PAGE + 5)],
    [chunkAt(inData)],
    [place(inData, 1, physical(inData)), place(inData + PAGE + 5, 1, physical(inData + PAGE + 5))],
  ],
  [
    "bytes at both sides of a page border, one stretch",
    () => [flip(dump, CHUNK + 2 * PAGE - 1), flip(dump, CHUNK + 2 * PAGE)],
    [chunk(1)],
    [place(CHUNK + 2 * PAGE - 1, 2, physical(CHUNK + 2 * PAGE - 1))],
  ],
  [
    "bytes at both sides of a chunk border",
    () => [flip(dump, 2 * CHUNK - 1), flip(dump, 2 * CHUNK)],
    [chunk(1, 2)],
    [place(2 * CHUNK - 1, 2, physical(2 * CHUNK - 1))],
  ],
  [
    "its last byte missing",
    () => truncateSync(dump, size - 1),
    [chunkAt(size - 1)],
    [place(size - 1, 1, null)],
  ],
  [
    "its last page and more missing",
    () => truncateSync(dump, size - 500 - PAGE),
    [chunkAt(size - 1)],
    [place(size - 500 - PAGE, 500 + PAGE, physical(size - 500 - PAGE))],
  ],
  ["all of it missing", () => truncateSync(dump, 0), [place(0, size, null)], [place(0, size, null)]],
  [
    "a byte too many",
    () => writeFileSync(dump, "x", { flag: "a" }),
    [place(size, 1, null)],
    [place(size, 1, null)],
  ],
  [
    "a hole too many",
    () => truncateSync(dump, size + MIB),
    [place(size, MIB, null)],
    [place(size, MIB, null)],
  ],
];

describe.each(DAMAGES)("%s", (_what, damage, byManifest, bySource) => {
  it("is found by the manifest", async () => {
    damage();
    const report = await verify(dump);
    expect(report.ok).toBe(false);
    const cut = statSync(dump).size < size;
    const found = report.mismatches;
    if (cut) {
      // A chunk that is cut differs up to where it ends, and is missing from there: together the same stretch.
      expect(found.map(({ offset, length }) => [offset, length])).toEqual(
        byManifest.map(({ offset, length }) => [offset, length]),
      );
      expect(report.problems.join()).toMatch(/its end is missing: \d+ bytes from offset \d+/);
    } else {
      expect(found).toEqual(byManifest);
    }
    expect(report.mismatchedBytes).toBe(byManifest.reduce((sum, { length }) => sum + length, 0));
  });

  it.each(["read", "mmap"] as const)("is found by the source, by %s, to the byte", async (method) => {
    damage();
    const report = await verify(dump, { source, method, mapSize: 64 * MIB });
    expect(report.ok).toBe(false);
    expect(report.mismatches).toEqual(bySource);
    expect(report.mismatchCount).toBe(bySource.length);
  });

  it("ends the program with exit code 1", async () => {
    damage();
    const { code, out, err } = await vmcopy("verify", dump, "--json");
    expect([code, err]).toEqual([1, ""]);
    expect(JSON.parse(out)).toMatchObject({ dump, source: null, ok: false });
  });
});

describe("verify", () => {
  it("finds chunks that were swapped", async () => {
    const fd = openSync(dump, "r+");
    const [one, two] = [Buffer.alloc(CHUNK), Buffer.alloc(CHUNK)];
    readSync(fd, one, 0, CHUNK, CHUNK);
    readSync(fd, two, 0, CHUNK, 2 * CHUNK);
    writeSync(fd, two, 0, CHUNK, CHUNK);
    writeSync(fd, one, 0, CHUNK, 2 * CHUNK);
    expect((await verify(dump)).mismatches).toEqual([chunk(1, 2)]);
    expect((await verify(dump, { source })).ok).toBe(false);
  });

  const canPunch = possible(`f=$(mktemp) && fallocate -l 1M $f && fallocate -p -o 0 -l 64K $f && rm $f`);
  it.skipIf(!canPunch)("finds a hole that was punched into it", async () => {
    await shell(`fallocate -p -o ${CHUNK} -l ${CHUNK} ${dump}`);
    expect((await verify(dump)).mismatches).toEqual([chunk(1)]);
    expect((await verify(dump, { source })).mismatchedBytes).toBeGreaterThan(0.7 * CHUNK);
  });

  it("finds what the disk does not give back", async () => {
    const bad = injected({ pread: failAtOffset(inData, "EIO") });
    const report = await verify(dump, {}, bad);
    const found = chunkAt(inData);
    expect(report.mismatches).toEqual([found]);
    expect(report.problems).toEqual([
      `${CHUNK} bytes at offset ${found.offset} cannot be read back: input/output error (EIO)`,
    ]);
  });

  it("keeps a thousand mismatches, and counts the others", async () => {
    for (let page = 0; page < 2500; page += 2) flip(dump, dataAt + page * PAGE + 7);
    const report = await verify(dump, { source });
    expect(report.mismatches).toHaveLength(1000);
    expect([report.mismatchCount, report.mismatchedBytes]).toEqual([1250, 1250]);
    expect(report.mismatches[999]).toEqual(
      place(dataAt + 1998 * PAGE + 7, 1, physical(dataAt + 1998 * PAGE + 7)),
    );
    const { out } = await vmcopy("verify", dump, source);
    expect(out).toContain("differing: 1,250 bytes in 1,250 places");
    expect(out.split("\n").length).toBeLessThan(20);
  });

  it("finds the dump of another crash", async () => {
    writeFileSync(path("other"), buildVmcore({ ...PLAIN, seed: 5, tail: 500 }).bytes);
    const report = await verify(dump, { source: path("other") });
    expect(report.ok).toBe(false);
    expect(report.mismatches.length).toBeLessThanOrEqual(1000);
  });
});

describe("verify without what it needs", () => {
  it("says what to do where there is no manifest", async () => {
    rmSync(`${dump}.manifest.json`);
    const { code, err } = await vmcopy("verify", dump);
    expect(code).toBe(2);
    expect(err).toMatch(
      /^vmcopy: verify: Cannot verify .*: there is no .*manifest\.json; .*vmcopy verify .* <source>\n$/,
    );
    expect((await vmcopy("verify", dump, source)).code).toBe(0);
  });

  it("says that a copy did not end where only an incomplete dump is there", async () => {
    const dest = path("never");
    const broken = injected({ pwrite: failAtOffset(9 * MIB, "EIO") });
    await failure(copy({ source, dest }, broken));
    const absent = await vmcopy("verify", dest);
    expect(absent.code).toBe(2);
    expect(absent.err).toMatch(/never\.incomplete is there: its copy did not end/);
    const incomplete = await vmcopy("verify", `${dest}.incomplete`);
    expect(incomplete.code).toBe(1);
    expect(incomplete.out).toMatch(
      /it is incomplete: its manifest covers \d+ of \d+ bytes, the copy did not end/,
    );
  });

  it.each([
    [["nothing"], /Cannot open nothing: no such file or directory \(ENOENT\)/],
    [[], /missing required argument|usage/],
    [["a", "b", "c"], /usage/],
    [[dump, "/dev/null"], /neither a file nor a block device/],
  ])("%p", async (args, message) => {
    const { code, err, out } = await vmcopy("verify", ...args);
    expect([code, out]).toEqual([2, ""]);
    expect(err).toMatch(message);
  });

  it("leaves the dump's manifest as it was", () => {
    expect(readFileSync(`${whole}.manifest.json`).equals(readFileSync(`${dump}.manifest.json`))).toBe(true);
  });
});
