// Pages of an ELF vmcore by PFN: mapped or read the same, partial pages, overlaps, and files that become shorter.
import { expect, it } from "bun:test";
import { readFileSync, truncateSync } from "node:fs";
import { Mapping } from "../../ffi/mapping.ts";
import { openMemory } from "../../src/dump/open.ts";
import type { ElfMemory } from "../../src/vmcore/elf-memory.ts";
import { injected, libc, temporaryFolder } from "../support/files.ts";
import { record } from "../support/inject.ts";
import { Random } from "../support/random.ts";
import { writeCrafted, writeSampleFile } from "../support/sample.ts";

const path = temporaryFolder();
const PAGE = 4096;

it("gives the same pages mapped and read, in any order, as they stand in the file", () => {
  writeSampleFile(path("sample"), { size: 8 << 20, seed: 9 });
  const bytes = readFileSync(path("sample"));
  using mapped = openMemory(libc, [path("sample")], { method: "mmap", mapSize: 128 << 10 });
  using read = openMemory(libc, [path("sample")], { method: "read", mapSize: 128 << 10 });
  using memory = Mapping.buffer(libc, 64 * PAGE);
  using one = mapped.pages();
  using other = read.pages();
  const random = new Random(4);
  for (let round = 0; round < 300; round++) {
    const pfn = random.below(mapped.endPfn + 4);
    const count = random.between(1, 32);
    expect(one.read(pfn, count, memory.address)).toEqual([]);
    expect(other.read(pfn, count, memory.address + 32 * PAGE)).toEqual([]);
    const [a, b] = [memory.bytes(0, count * PAGE), memory.bytes(32 * PAGE, count * PAGE)];
    expect(Buffer.compare(a, b)).toBe(0);
    if (mapped.holds(pfn) && a.some((byte) => byte !== 0)) {
      const page = a.subarray(0, PAGE);
      expect(page.every((byte) => byte === 0) || bytes.includes(Buffer.from(page))).toBe(true);
    }
  }
});

it("partial pages are RAM, at both ends, and overlapping PT_LOADs are one", () => {
  writeCrafted(path("crafted"), {
    loads: [
      { physicalAddress: 0x1000_0000n, size: 0x4000, virtualAddress: 0xffff_ffff_8100_0000n },
      { physicalAddress: 0x1234n, size: 0x9e9cd },
      { physicalAddress: 0x0ff0_0000n, size: 0x20_0123 },
    ],
  });
  using memory = openMemory(libc, [path("crafted")]);
  expect(memory.ram).toEqual([
    { start: 1, end: 0xa0 },
    { start: 0xff00, end: 0x10101 },
  ]);
  expect([...memory.stored(0, memory.endPfn)]).toEqual([...memory.ram]);
  expect([memory.holds(0xa0), memory.holds(0x9f), memory.holds(0x10100), memory.holds(0x10101)]).toEqual([
    false,
    true,
    true,
    false,
  ]);
});

it("windows begin at multiples of their size in physical memory, and keep to their PT_LOAD", () => {
  const [start, size, mapSize] = [7, 100, 16];
  writeCrafted(path("aligned"), {
    loads: [{ physicalAddress: BigInt(start * PAGE), size: size * PAGE }],
  });
  const calls: (readonly number[])[] = [];
  const recording = injected({ mmap: record(calls) });
  using memory = openMemory(recording, [path("aligned")], { method: "mmap", mapSize: mapSize * PAGE });
  using reader = memory.pages();
  using buffer = Mapping.buffer(recording, PAGE);
  for (let pfn = start; pfn < start + size; pfn++) expect(reader.read(pfn, 1, buffer.address)).toEqual([]);
  const load = (memory as ElfMemory).vmcore.ranges.find(({ mappable }) => mappable)?.offset ?? 0;
  const windows = calls.filter((args) => args[4] !== -1).map((args) => [args[5], args[1]] as number[]);
  const pfns = windows.map(([offset = 0, length = 0]) => [start + (offset - load) / PAGE, length / PAGE]);
  expect(pfns).toEqual([
    [7, 9],
    [16, 16],
    [32, 16],
    [48, 16],
    [64, 16],
    [80, 16],
    [96, 11],
  ]);
});

it("a file that becomes shorter under its windows: zeros, and the pages are named, by two readers at a time", () => {
  const size = writeCrafted(path("short"), { loads: [{ physicalAddress: 0n, size: 64 * PAGE }] });
  using memory = openMemory(libc, [path("short")], { method: "mmap", mapSize: 64 * PAGE });
  using buffer = Mapping.buffer(libc, 8 * PAGE);
  using one = memory.pages();
  using other = memory.pages();
  expect(one.read(0, 8, buffer.address)).toEqual([]);
  expect(other.read(8, 8, buffer.address)).toEqual([]);
  // Both have their window; the last 32 pages go.
  truncateSync(path("short"), size - 32 * PAGE);
  expect(one.read(30, 4, buffer.address)).toEqual([32, 33]);
  expect(other.read(28, 8, buffer.address)).toEqual([32, 33, 34, 35]);
  expect(one.read(4, 4, buffer.address)).toEqual([]);
});
