/** Reading where something fails: mmap of one window, pread of one page, a file that becomes shorter. */
import { describe, expect, it } from "bun:test";
import { truncateSync } from "node:fs";
import { FaultGuard } from "../../ffi/guard.ts";
import { joinExtents, WindowReader } from "../../src/vmcore/window.ts";
import { injected, libc, temporaryFolder } from "../support/files.ts";
import {
  chain,
  failAtOffset,
  interruptEvery,
  type Rule,
  type Rules,
  record,
  shortWrites,
} from "../support/inject.ts";
import { openBytes, readWindows } from "../support/open.ts";
import { property } from "../support/random.ts";
import { buildVmcore, PAGE } from "../support/vmcores.ts";

const path = temporaryFolder();
const MIB = 1 << 20;
/** A multiple of what is read at once. */
const CHUNK = 4 * MIB;
const built = buildVmcore({
  loads: [
    { offset: 0, length: 10 * MIB },
    { offset: 10 * MIB, length: 4 * MIB + 100 },
  ],
});
const { bytes, dataAt } = built;

const open = (rules: Rules) => openBytes(injected(rules), path("vmcore"), bytes);

/** Fails the Nth mapping of a file; libc's own memory is left alone. */
function failFileMapping(nth: number | "all", errno: string): Rule {
  let count = 0;
  return (call, real) => {
    if (call.args[4] === -1) return real(...call.args);
    count++;
    return nth === "all" || count === nth ? call.fail(errno) : real(...call.args);
  };
}

/** The file's bytes with zeros in these extents. */
function withZeros(extents: readonly { offset: number; length: number }[]): Uint8Array {
  const zeroed = bytes.slice();
  for (const { offset, length } of extents) zeroed.fill(0, offset, offset + length);
  return zeroed;
}

describe("mmap that fails", () => {
  const windows = () => {
    using vmcore = open({});
    return readWindows(vmcore, "mmap", MIB).counts.mapped;
  };

  it.each(["EAGAIN", "EINVAL", "ENODEV", "EFAULT", "ENOMEM", "EPERM"])(
    "%s: that window is read instead, the others are mapped",
    (errno) => {
      const total = windows();
      expect(total).toBeGreaterThan(10);
      for (const nth of [1, 2, 7, total]) {
        using vmcore = open({ mmap: failFileMapping(nth, errno) });
        const { bytes: read, unreadable, counts } = readWindows(vmcore, "mmap", MIB);
        expect(Buffer.compare(read, bytes)).toBe(0);
        expect(unreadable).toEqual([]);
        expect(counts).toEqual({ mapped: total - 1, fallback: 1 });
      }
    },
  );

  it.each([PAGE * 16, MIB, CHUNK, 16 * MIB])("no place is tried twice, in windows of %d", (mapSize) => {
    for (const nth of [1, 2, 3]) {
      const calls: (readonly number[])[] = [];
      using vmcore = open({ mmap: chain(record(calls), failFileMapping(nth, "EAGAIN")) });
      const { counts } = readWindows(vmcore, "mmap", mapSize);
      const offsets = calls.filter((args) => args[4] !== -1).map((args) => args[5]);
      expect(new Set(offsets).size).toBe(offsets.length);
      expect(counts).toEqual({ mapped: offsets.length - 1, fallback: 1 });
    }
  });

  it.each([PAGE * 16, MIB, CHUNK, 16 * MIB])("for every window of %d: all is read", (mapSize) => {
    using vmcore = open({ mmap: failFileMapping("all", "ENODEV") });
    const { bytes: read, counts } = readWindows(vmcore, "mmap", mapSize);
    expect(Buffer.compare(read, bytes)).toBe(0);
    expect(counts.mapped).toBe(0);
    expect(counts.fallback).toBeGreaterThan(0);
  });
});

describe("pread that fails", () => {
  it("at one page: zeros there, and just that page is listed", async () => {
    await property(25, (random) => {
      const page = Math.floor(dataAt / PAGE) + random.below(Math.floor((bytes.length - dataAt) / PAGE));
      const offset = page * PAGE;
      const errno = random.pick(["EIO", "EFAULT", "EHWPOISON"]);
      using vmcore = open({ pread: failAtOffset(offset, errno) });
      const { bytes: read, unreadable } = readWindows(vmcore, "read", CHUNK);
      expect(unreadable).toEqual([{ offset, length: PAGE }]);
      expect(Buffer.compare(read, withZeros(unreadable))).toBe(0);
    });
  });

  it.each<[string, number, number, { offset: number; length: number }]>([
    ["in the middle of a page", dataAt + 100, 8, { offset: dataAt, length: PAGE }],
    ["over a border of pages", dataAt + PAGE - 1, 2, { offset: dataAt, length: 2 * PAGE }],
    ["over a border of chunks", 2 * CHUNK - PAGE, 2 * PAGE, { offset: 2 * CHUNK - PAGE, length: 2 * PAGE }],
    [
      "over a border of PT_LOADs",
      dataAt + 10 * MIB - PAGE,
      3 * PAGE,
      { offset: dataAt + 10 * MIB - PAGE, length: 3 * PAGE },
    ],
    ["for a whole chunk", CHUNK, CHUNK, { offset: CHUNK, length: CHUNK }],
    ["in the last, partial page", bytes.length - 1, 1, { offset: dataAt + 14 * MIB, length: 100 }],
    [
      "from some place to the end",
      3 * CHUNK + PAGE,
      1 << 30,
      { offset: 3 * CHUNK + PAGE, length: bytes.length - 3 * CHUNK - PAGE },
    ],
  ])("%s", (_, offset, length, expected) => {
    for (const errno of ["EIO", "EFAULT"]) {
      using vmcore = open({ pread: failAtOffset(offset, errno, length) });
      const { bytes: read, unreadable } = readWindows(vmcore, "read", CHUNK);
      expect(unreadable).toEqual([expected]);
      expect(Buffer.compare(read, withZeros([expected]))).toBe(0);
    }
  });

  it("in a window that could not be mapped either", () => {
    const offset = CHUNK + 5 * PAGE;
    using vmcore = open({ mmap: failFileMapping("all", "EAGAIN"), pread: failAtOffset(offset, "EIO") });
    const { bytes: read, unreadable } = readWindows(vmcore, "mmap", MIB);
    expect(unreadable).toEqual([{ offset, length: PAGE }]);
    expect(Buffer.compare(read, withZeros(unreadable))).toBe(0);
  });

  it("otherwise is an error, not a bad page", () => {
    using vmcore = open({ pread: failAtOffset(CHUNK, "EBADF") });
    expect(() => readWindows(vmcore, "read", CHUNK)).toThrow("(EBADF)");
  });

  it("does not matter where it is only interrupted or short", () => {
    using vmcore = open({ pread: chain(interruptEvery(3), shortWrites(100_003)) });
    const { bytes: read, unreadable } = readWindows(vmcore, "read", CHUNK);
    expect(unreadable).toEqual([]);
    expect(Buffer.compare(read, bytes)).toBe(0);
  });
});

describe("a file that becomes shorter", () => {
  const kept = CHUNK + 3 * PAGE;

  it.skipIf(process.arch !== "x64").each([PAGE * 64, MIB, CHUNK, 64 * MIB])(
    "mapped, %d at a time: what is gone is zeros, and listed",
    (mapSize) => {
      using vmcore = open({});
      truncateSync(path("vmcore"), kept);
      const { bytes: read, unreadable } = readWindows(vmcore, "mmap", mapSize);
      // The last mapping ends with the file, in the middle of a page.
      expect(unreadable).toEqual([{ offset: kept, length: bytes.length - kept }]);
      expect(Buffer.compare(read, withZeros(unreadable))).toBe(0);
    },
  );

  it.each([kept, kept + 100])("read, to %d bytes: what is gone is zeros, and listed", (end) => {
    using vmcore = open({});
    truncateSync(path("vmcore"), end);
    const { bytes: read, unreadable } = readWindows(vmcore, "read", CHUNK);
    expect(unreadable).toEqual([{ offset: end, length: bytes.length - end }]);
    expect(Buffer.compare(read, withZeros(unreadable))).toBe(0);
  });

  it.skipIf(process.arch !== "x64")("a fault found late is in the window's list", () => {
    using vmcore = openBytes(libc, path("vmcore"), bytes);
    using guard = new FaultGuard(libc);
    using reader = new WindowReader(vmcore, "mmap", CHUNK, guard);
    const window = reader.window(CHUNK);
    truncateSync(path("vmcore"), kept);
    expect(window.unreadable()).toEqual([]);
    expect(window.bytes()[4 * PAGE]).toBe(0);
    expect(window.unreadable()).toEqual([{ offset: kept + PAGE, length: PAGE }]);
    window.release();
  });
});

it("joins extents that touch or overlap", () => {
  const at = (offset: number, length: number) => ({ offset, length });
  expect(joinExtents([at(30, 5), at(0, 10), at(10, 5), at(12, 1), at(40, 1)])).toEqual([
    at(0, 15),
    at(30, 5),
    at(40, 1),
  ]);
  expect(joinExtents([])).toEqual([]);
});
