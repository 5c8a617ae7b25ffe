/** The measured window size: its bounds, and what it is measured on. */
import { describe, expect, it } from "bun:test";
import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";
import type { Libc } from "../../ffi/libc.ts";
import { encodeElfHeaders, PT_LOAD } from "../../src/dump/elf-headers.ts";
import { canBeMapped, defaultMethod, measuredMapSize } from "../../src/vmcore/map-size.ts";
import { Vmcore } from "../../src/vmcore/vmcore.ts";
import { injected, libc, temporaryFolder } from "../support/files.ts";
import { record } from "../support/inject.ts";

const path = temporaryFolder();
const MIB = 1 << 20;
/** The smallest window that is measured. */
const CHUNK = 4 * MIB;
const GIB = 1 << 30;

/** A sparse vmcore with these PT_LOADs: [offset, length]. */
function open(on: Libc, loads: readonly [number, number][], size: number, elfClass: 32 | 64 = 64): Vmcore {
  const fd = openSync(path("vmcore"), "w");
  ftruncateSync(fd, size);
  const segments = loads.map(([offset, fileSize]) => ({
    type: PT_LOAD,
    offset,
    fileSize,
    memorySize: Math.max(GIB, fileSize),
  }));
  writeSync(fd, encodeElfHeaders({ class: elfClass, segments }), 0);
  closeSync(fd);
  return Vmcore.open(on, path("vmcore"));
}

/** A clock by which a window of so many bytes costs what `cost` says; nothing is really measured. */
function clock(calls: (readonly number[])[], cost: (size: number) => number): () => number {
  let now = 0;
  let seen = 0;
  return () => {
    for (; seen < calls.length; seen++) if (calls[seen]?.[4] !== -1) now += cost(calls[seen]?.[1] as number);
    return now;
  };
}

describe("the measured size", () => {
  it.each<[string, number, number, (size: number) => number, number]>([
    ["larger is ever cheaper", 3 * GIB, 1024 * GIB, (size) => Math.sqrt(size), 1024],
    ["larger is no cheaper", GIB, 1024 * GIB, (size) => size, 4],
    ["larger is hardly cheaper", GIB, 1024 * GIB, (size) => size * (1 - size / 1e11), 4],
    [
      "cheaper up to 16 MiB",
      GIB,
      1024 * GIB,
      (size) => Math.max(Math.sqrt(size), size / Math.sqrt(16 * MIB)),
      16,
    ],
    ["eight times the free memory at the most", GIB, 10 * MIB, (size) => Math.sqrt(size), 64],
    ["eight times, to the byte", GIB, 16 * MIB, (size) => Math.sqrt(size), 128],
    ["one size that is no cheaper", GIB, 1024 * GIB, (size) => (size < 16 * MIB ? 1 : 0.5), 1024],
    ["little free memory", GIB, 0.5 * MIB, (size) => Math.sqrt(size), 4],
    ["free memory unknown", GIB, 0, (size) => Math.sqrt(size), 4],
    ["the largest PT_LOAD at the most", 20 * MIB, 1024 * GIB, (size) => Math.sqrt(size), 16],
    ["a PT_LOAD smaller than any window", 3 * MIB, 1024 * GIB, (size) => Math.sqrt(size), 4],
  ])("%s", (_, loadSize, free, cost, mib) => {
    const calls: (readonly number[])[] = [];
    using vmcore = open(injected({ mmap: record(calls) }), [[4096, loadSize]], loadSize + 4096);
    expect(measuredMapSize(vmcore, free, clock(calls, cost))).toBe(mib * MIB);
  });

  it("is not looked for further once two sizes in a row are no cheaper", () => {
    const calls: (readonly number[])[] = [];
    using vmcore = open(injected({ mmap: record(calls) }), [[4096, GIB]], GIB + 4096);
    measuredMapSize(
      vmcore,
      1024 * GIB,
      clock(calls, (size) => size),
    );
    const sizes = calls.filter((args) => args[4] !== -1).map((args) => args[1] as number);
    expect(Math.max(...sizes)).toBe(16 * MIB);
  });

  it("is taken from the largest PT_LOAD, not from what lies between, and never over a border", () => {
    const calls: (readonly number[])[] = [];
    const on = injected({ mmap: record(calls) });
    // The gap before the PT_LOADs is the largest stretch of the file; the second PT_LOAD is the larger one.
    using vmcore = open(
      on,
      [
        [GIB, 8 * MIB],
        [GIB + 8 * MIB, 40 * MIB],
      ],
      GIB + 48 * MIB,
    );
    const size = measuredMapSize(vmcore, 1024 * GIB);
    const mapped = calls.filter((args) => args[4] !== -1);
    expect(mapped.length).toBeGreaterThan(0);
    for (const args of mapped) {
      expect(args[5]).toBe(GIB + 8 * MIB);
      expect(args[1]).toBeLessThanOrEqual(40 * MIB);
    }
    expect(size).toBeLessThanOrEqual(32 * MIB);
  });

  it("is 4 MiB where nothing can be mapped", () => {
    using empty = open(libc, [[4096, 0]], 1 << 20);
    expect(measuredMapSize(empty, 1024 * GIB)).toBe(CHUNK);
    const refusing = injected({
      mmap: (call, real) => (call.args[4] === -1 ? real(...call.args) : call.fail("ENODEV")),
    });
    using vmcore = open(refusing, [[4096, GIB]], GIB + 4096);
    expect(measuredMapSize(vmcore, 1024 * GIB)).toBe(CHUNK);
  });
});

describe("the method", () => {
  it.each([
    ["EIO", false],
    ["ENODEV", false],
    ["ENOSYS", false],
    ["EAGAIN", true],
    ["EINVAL", true],
    ["ENOMEM", true],
  ] as const)("mmap that fails with %s: can be mapped: %s", (errno, can) => {
    const refusing = injected({
      mmap: (call, real) => (call.args[4] === -1 ? real(...call.args) : call.fail(errno)),
    });
    using vmcore = open(refusing, [[4096, GIB]], GIB + 4096);
    expect(canBeMapped(vmcore)).toBe(can);
  });

  it("where mmap works: can be mapped", () => {
    using vmcore = open(libc, [[4096, GIB]], GIB + 4096);
    expect(canBeMapped(vmcore)).toBe(true);
  });

  it.each([32, 64] as const)("for a file, ELF%d, is read", (elfClass) => {
    using vmcore = open(libc, [[4096, 4096]], 8192, elfClass);
    expect(vmcore.backing).not.toBe("procfs");
    expect(defaultMethod(vmcore)).toBe("read");
  });
});
