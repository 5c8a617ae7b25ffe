/** File ranges and physical addresses against implementations that are slow and plain. */
import { describe, expect, it } from "bun:test";
import type { Segment } from "../../src/vmcore/elf.ts";
import { fileRanges, PhysicalMap, rangeAt } from "../../src/vmcore/layout.ts";
import { property, type Random } from "../support/random.ts";
import { randomLoads } from "../support/vmcores.ts";

const PAGE = 4096;

const segment = (
  offset: number,
  fileSize: number,
  physicalAddress: bigint | undefined,
  index = 0,
): Segment => ({
  index,
  flags: 7,
  offset,
  fileSize,
  memorySize: BigInt(fileSize),
  virtualAddress: 0n,
  physicalAddress,
  align: 0,
});

const segmentsOf = (random: Random, most: number, largest: number) =>
  randomLoads(random, most, largest).map(({ offset, length, physicalAddress }, index) =>
    segment(offset, length, physicalAddress === 0xffff_ffff_ffff_ffffn ? undefined : physicalAddress, index),
  );

describe("file ranges", () => {
  it("of a usual vmcore: headers, then one for each PT_LOAD", () => {
    const loads = [
      segment(2 * PAGE, PAGE, 0n),
      segment(3 * PAGE + 0x400, 2 * PAGE, 0n),
      segment(6 * PAGE, PAGE, 0n),
    ];
    expect(fileRanges(loads, 7 * PAGE, PAGE)).toEqual([
      { offset: 0, length: 2 * PAGE, mappable: false },
      { offset: 2 * PAGE, length: PAGE, mappable: true },
      { offset: 3 * PAGE, length: 3 * PAGE, mappable: true },
      { offset: 6 * PAGE, length: PAGE, mappable: true },
    ]);
  });

  it("of random layouts: no gaps, whole pages, no border of a PT_LOAD inside, mappable where one is", async () => {
    await property(2000, (random) => {
      const loads = segmentsOf(random, 12, 10 * PAGE);
      const end = Math.max(...loads.map(({ offset, fileSize }) => offset + fileSize));
      const size = end + random.pick([0, 1, 100, PAGE, 3 * PAGE + 7]);
      if (size === 0) return;
      const ranges = fileRanges(loads, size, PAGE);
      let at = 0;
      for (const { offset, length } of ranges) {
        expect(offset).toBe(at);
        expect(offset % PAGE).toBe(0);
        expect(length).toBeGreaterThan(0);
        at += length;
      }
      expect(at).toBe(size);
      const pages = Math.ceil(size / PAGE);
      const cover = (page: number) =>
        loads
          .filter(
            ({ offset, fileSize }) =>
              fileSize > 0 && offset < (page + 1) * PAGE && offset + fileSize > page * PAGE,
          )
          .map(({ index }) => index)
          .join();
      for (let page = 0; page < pages; page++) {
        const range = rangeAt(ranges, page * PAGE);
        expect(range.mappable).toBe(cover(page) !== "");
        const same = page > 0 && rangeAt(ranges, (page - 1) * PAGE) === range;
        if (same) expect(cover(page)).toBe(cover(page - 1));
      }
    });
  });

  it.each([-1, 1.5e15, Number.NaN])("have none at %d", (offset) => {
    const ranges = fileRanges([segment(0, PAGE, 0n)], PAGE, PAGE);
    if (offset < 0 || Number.isNaN(offset)) expect(() => rangeAt(ranges, offset)).toThrow(RangeError);
    else expect(rangeAt(ranges, offset)).toBe(ranges[ranges.length - 1] as never);
  });

  it("of 200,000 overlapping PT_LOADs take no time", () => {
    const loads = Array.from({ length: 200_000 }, (_, i) => segment(0, (i + 1) * PAGE, 0n, i));
    const started = performance.now();
    expect(fileRanges(loads, 200_000 * PAGE, PAGE)).toHaveLength(200_000);
    expect(performance.now() - started).toBeLessThan(3000);
  });
});

describe("physical addresses", () => {
  /** Of all PT_LOADs that hold the byte, the one that starts last; of several, the last in the table. */
  function naive(loads: readonly Segment[], offset: number): number | undefined {
    let best: Segment | undefined;
    for (const load of loads) {
      if (offset < load.offset || offset >= load.offset + load.fileSize) continue;
      if (best === undefined || load.offset >= best.offset) best = load;
    }
    if (best?.physicalAddress === undefined) return undefined;
    return Number(best.physicalAddress) + offset - best.offset;
  }

  it("of random layouts are what a walk over all PT_LOADs finds", async () => {
    await property(2000, (random) => {
      const loads = segmentsOf(random, random.pick([3, 12, 60]), 8 * PAGE);
      const map = new PhysicalMap(loads);
      const end = Math.max(...loads.map(({ offset, fileSize }) => offset + fileSize));
      const edges = loads.flatMap(({ offset, fileSize }) => [
        offset - 1,
        offset,
        offset + fileSize - 1,
        offset + fileSize,
      ]);
      const offsets = [...edges, ...Array.from({ length: 20 }, () => random.below(end + 100))];
      for (const offset of offsets.filter((at) => at >= 0)) expect(map.at(offset)).toBe(naive(loads, offset));
    });
  });

  it("are found in a large PT_LOAD behind many small ones inside it", () => {
    const small = Array.from({ length: 1000 }, (_, i) => segment((i + 1) * PAGE, 10, 0n));
    const map = new PhysicalMap([segment(0, 2000 * PAGE, 0x1000_0000n), ...small]);
    expect(map.at(1000 * PAGE + 10)).toBe(0x1000_0000 + 1000 * PAGE + 10);
    expect(map.at(1999 * PAGE)).toBe(0x1000_0000 + 1999 * PAGE);
    expect(map.at(2000 * PAGE)).toBeUndefined();
  });

  it("are undefined where they are unknown, or no safe number", () => {
    const map = new PhysicalMap([segment(0, PAGE, undefined), segment(PAGE, PAGE, 1n << 60n)]);
    expect([map.at(0), map.at(PAGE), map.at(2 * PAGE)]).toEqual([undefined, undefined, undefined]);
    expect(new PhysicalMap([]).at(0)).toBeUndefined();
  });
});
