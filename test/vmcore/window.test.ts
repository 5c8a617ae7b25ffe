/** Windows: whatever the layout, method and size, they show the file's bytes, and never straddle two objects. */
import { afterAll, describe, expect, it } from "bun:test";
import { FaultGuard } from "../../ffi/guard.ts";
import { rangeAt } from "../../src/vmcore/layout.ts";
import type { Vmcore } from "../../src/vmcore/vmcore.ts";
import { LEAST_CHUNK, type Method, WindowReader } from "../../src/vmcore/window.ts";
import { injected, libc, temporaryFolder } from "../support/files.ts";
import { record } from "../support/inject.ts";
import { openBytes, readWindows } from "../support/open.ts";
import { property } from "../support/random.ts";
import { buildVmcore, PAGE, randomLoads } from "../support/vmcores.ts";

const path = temporaryFolder();
const METHODS = ["mmap", "read"] as const;
const MIB = 1 << 20;
/** A multiple of what is read at once. */
const CHUNK = 4 * MIB;

/** Calls of mmap that map a file. */
const fileMappings = (calls: readonly (readonly number[])[]) =>
  calls
    .filter((args) => args[4] !== -1)
    .map((args) => ({ offset: args[5] as number, length: args[1] as number }));

/** Each mapping lies in one range, a mappable one, and is no larger than it may be. */
function expectInRanges(mappings: ReturnType<typeof fileMappings>, vmcore: Vmcore, mapSize: number): void {
  for (const { offset, length } of mappings) {
    const range = rangeAt(vmcore.ranges, offset);
    expect(range.mappable).toBeTrue();
    expect(offset + length).toBeLessThanOrEqual(range.offset + range.length);
    expect(length).toBeLessThanOrEqual(mapSize);
  }
}

describe("windows", () => {
  it("of random small layouts give the file's bytes; each mapping lies in one range", async () => {
    await property(300, (random) => {
      const loads = randomLoads(random, 8, random.pick([3 * PAGE, 40 * PAGE]));
      const { bytes } = buildVmcore({ loads, tail: random.pick([0, 1, PAGE]), seed: random.next() });
      const mapSize = PAGE * random.pick([1, 2, 3, 16, 1024, 4096]);
      for (const method of METHODS) {
        const calls: (readonly number[])[] = [];
        using vmcore = openBytes(injected({ mmap: record(calls) }), path("small"), bytes);
        const { bytes: read, unreadable, counts } = readWindows(vmcore, method, mapSize);
        expect(Buffer.compare(read, bytes)).toBe(0);
        expect(unreadable).toEqual([]);
        const mappings = fileMappings(calls);
        expect(counts).toEqual({ mapped: mappings.length, fallback: 0 });
        if (method === "read") expect(mappings).toEqual([]);
        expectInRanges(mappings, vmcore, mapSize);
      }
    });
  });

  it("of random large layouts too, where a window is a mapping", async () => {
    let whole = 0;
    await property(12, (random) => {
      const loads = randomLoads(random, 4, 12 * MIB);
      const { bytes } = buildVmcore({ loads, tail: random.pick([0, 5]), seed: random.next() });
      const mapSize = MIB * random.pick([4, 6, 8, 64]);
      const calls: (readonly number[])[] = [];
      using vmcore = openBytes(injected({ mmap: record(calls) }), path("large-random"), bytes);
      const { bytes: read, extents } = readWindows(vmcore, "mmap", mapSize);
      expect(Buffer.compare(read, bytes)).toBe(0);
      const mappings = fileMappings(calls);
      expectInRanges(mappings, vmcore, mapSize);
      whole += mappings.filter((one) => extents.some((extent) => Bun.deepEquals(one, extent))).length;
    });
    if (process.env.VMCOPY_TEST_SEED === undefined) expect(whole).toBeGreaterThan(5);
  });

  describe("of a vmcore of several chunks", () => {
    const { bytes } = buildVmcore({
      loads: [
        { offset: 0, length: 9 * MIB + 300 },
        { offset: 9 * MIB + 300, length: 5 * MIB },
        { offset: 14 * MIB + PAGE, length: 11 * MIB + 5 },
        { offset: 3 * MIB, length: MIB },
      ],
      tail: 77,
    });
    using first = openBytes(libc, path("large"), bytes);
    const { size } = first;

    const cases: [Method, number][] = [
      ["read", CHUNK],
      ...[PAGE, 12 * PAGE, MIB, 3 * MIB, CHUNK, 6 * MIB, 8 * MIB, 64 * MIB].map(
        (mapSize): [Method, number] => ["mmap", mapSize],
      ),
    ];
    it.each(cases)("%s, %d: the same bytes, and windows that keep to chunks", (method, mapSize) => {
      const calls: (readonly number[])[] = [];
      using vmcore = openBytes(injected({ mmap: record(calls) }), path("large"), bytes);
      const { bytes: read, extents, counts } = readWindows(vmcore, method, mapSize);
      expect(Buffer.compare(read, bytes)).toBe(0);
      expectInRanges(fileMappings(calls), vmcore, mapSize);
      expect(counts.mapped > 0).toBe(method === "mmap");
      for (const { offset, length } of extents) {
        expect(offset % LEAST_CHUNK).toBe(0);
        expect(length % LEAST_CHUNK === 0 || offset + length === size).toBeTrue();
        expect(length).toBeLessThanOrEqual(Math.max(CHUNK, mapSize));
      }
    });

    it.each(METHODS)("%s: end where they are told to", (method) => {
      using vmcore = openBytes(libc, path("large"), bytes);
      using guard = new FaultGuard(libc);
      using reader = new WindowReader(vmcore, method, 8 * MIB, guard);
      using plain = new WindowReader(vmcore, "read", MIB, guard);
      const chunkSize = plain.window(16 * MIB).length;
      // 16 MiB is a border of chunks of any size, and lies in a PT_LOAD of 11 MiB.
      const at = 16 * MIB;
      for (const limit of [1, 100, PAGE, 5 * PAGE + 1, chunkSize, chunkSize + 100, 7 * MIB, 100 * MIB]) {
        const window = reader.window(at, limit);
        const most = method === "read" ? chunkSize : 8 * MIB;
        const chunks = Math.floor(Math.min(limit, most) / chunkSize) * chunkSize;
        expect(window.length).toBe(limit < chunkSize ? limit : chunks);
        expect(Buffer.compare(window.bytes(), bytes.subarray(at, at + window.length))).toBe(0);
        window.release();
      }
    });

    it("are unusable once they are released, where they were mapped", () => {
      using vmcore = openBytes(libc, path("large"), bytes);
      using guard = new FaultGuard(libc);
      using reader = new WindowReader(vmcore, "mmap", 8 * MIB, guard);
      const window = reader.window(16 * MIB);
      const view = window.bytes();
      expect(view.length).toBe(8 * MIB);
      window.release();
      expect(reader.counts).toEqual({ mapped: 1, fallback: 0 });
      expect(view.length).toBe(0);
      expect(() => window.bytes()).toThrow("it has been unmapped");
    });
  });
});

describe("nothing is left behind", () => {
  const calls = { maps: 0, unmaps: 0, closes: 0 };
  afterAll(() => expect(calls.maps).toBeGreaterThan(0));

  it.each(METHODS)("%s: every mapping is unmapped, whole, and the file closed", (method) => {
    const mapped: number[] = [];
    const unmapped: (readonly number[])[] = [];
    const on = injected({
      mmap: (call, real) => {
        const address = real(...call.args);
        mapped.push(address);
        calls.maps++;
        return address;
      },
      munmap: record(unmapped),
      close: (call, real) => {
        calls.closes++;
        return real(...call.args);
      },
    });
    calls.closes = 0;
    mapped.length = 0;
    const { bytes } = buildVmcore({ loads: [{ offset: 0, length: 6 * MIB }] });
    {
      using vmcore = openBytes(on, path("left"), bytes);
      readWindows(vmcore, method, MIB);
    }
    expect(unmapped.map(([address]) => address).sort()).toEqual([...mapped].sort());
    expect(calls.closes).toBe(1);
  });
});
