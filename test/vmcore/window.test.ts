/** Windows: whatever the layout, method and size, they show the file's bytes, and never straddle two objects. */
import { afterAll, describe, expect, it } from "bun:test";
import { FaultGuard } from "../../ffi/guard.ts";
import { CHUNK, type Method, WindowReader } from "../../src/vmcore/window.ts";
import { injected, libc, temporaryFolder } from "../support/files.ts";
import { record } from "../support/inject.ts";
import { openBytes, readWindows } from "../support/open.ts";
import { property } from "../support/random.ts";
import { buildVmcore, PAGE, randomLoads } from "../support/vmcores.ts";

const path = temporaryFolder();
const METHODS = ["mmap", "read"] as const;
const MIB = 1 << 20;

/** Calls of mmap that map a file. */
const fileMappings = (calls: readonly (readonly number[])[]) =>
  calls
    .filter((args) => args[4] !== -1)
    .map((args) => ({ offset: args[5] as number, length: args[1] as number }));

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
        for (const { offset, length } of mappings) {
          const range = vmcore.ranges.find((one) => offset >= one.offset && offset < one.offset + one.length);
          expect(range?.mappable).toBeTrue();
          expect(offset + length).toBeLessThanOrEqual((range?.offset ?? 0) + (range?.length ?? 0));
          expect(length).toBeLessThanOrEqual(mapSize);
        }
      }
    });
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
      using vmcore = openBytes(libc, path("large"), bytes);
      const { bytes: read, extents, counts } = readWindows(vmcore, method, mapSize);
      expect(Buffer.compare(read, bytes)).toBe(0);
      expect(counts.mapped > 0).toBe(method === "mmap");
      for (const { offset, length } of extents) {
        expect(offset % CHUNK).toBe(0);
        expect(length % CHUNK === 0 || offset + length === size).toBeTrue();
        expect(length).toBeLessThanOrEqual(Math.max(CHUNK, mapSize));
      }
    });

    it.each(METHODS)("%s: end where they are told to", (method) => {
      using vmcore = openBytes(libc, path("large"), bytes);
      using guard = new FaultGuard(libc);
      using reader = new WindowReader(vmcore, method, 8 * MIB, guard);
      for (const limit of [1, 100, PAGE, 5 * PAGE + 1, CHUNK, 7 * MIB]) {
        const window = reader.window(CHUNK, limit);
        expect(window.length).toBeLessThanOrEqual(limit);
        expect(window.length).toBe(Math.min(limit, window.length > CHUNK ? 8 * MIB : CHUNK));
        expect(Buffer.compare(window.bytes(), bytes.subarray(CHUNK, CHUNK + window.length))).toBe(0);
        window.release();
      }
    });

    it("are unusable once they are released, where they were mapped", () => {
      using vmcore = openBytes(libc, path("large"), bytes);
      using guard = new FaultGuard(libc);
      using reader = new WindowReader(vmcore, "mmap", 8 * MIB, guard);
      const window = reader.window(4 * CHUNK);
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
