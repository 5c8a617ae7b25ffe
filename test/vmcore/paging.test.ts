// Page tables made by hand, for every number of levels and size of leaf, and tables that lie.
import { describe, expect, it } from "bun:test";
import { Libc } from "../../ffi/libc.ts";
import { AddressSpace } from "../../src/vmcore/address-space.ts";
import { FakeMemory } from "../support/fake-memory.ts";
import { Random } from "../support/random.ts";

const libc = await Libc.load();
const PRESENT = 0x63n;
const LARGE = 0x80n;
const RAM = [{ start: 0, end: 4096 }];
const IMAGE = 0xffff_ffff_8000_0000n;

/** init_top_pgt lies at physical 0x1000 - so phys_base is 0 and its address IMAGE + 0x1000. */
function x86(levels: 4 | 5, extra: Record<string, string | bigint> = {}): FakeMemory {
  return new FakeMemory(libc, "x86_64", 4096, RAM, {
    "SYMBOL(init_top_pgt)": (IMAGE + 0x1000n).toString(16),
    "NUMBER(phys_base)": 0,
    "NUMBER(pgtable_l5_enabled)": levels === 5 ? 1 : 0,
    ...extra,
  });
}

/** Maps one leaf; tables are taken from physical 0x2000 on. */
function mapX86(
  memory: FakeMemory,
  levels: 4 | 5,
  virtual: bigint,
  physical: bigint,
  shift: bigint,
  bits = 0n,
): void {
  let table = 0x1000n;
  let free = 0x2000n;
  for (let level = levels === 5 ? 48n : 39n; level > shift; level -= 9n) {
    memory.put(table + ((virtual >> level) & 511n) * 8n, free | PRESENT | bits);
    table = free;
    free += 0x1000n;
  }
  const large = shift > 12n ? LARGE : 0n;
  memory.put(table + ((virtual >> shift) & 511n) * 8n, physical | PRESENT | large | bits);
}

describe("x86_64", () => {
  const cases: [levels: 4 | 5, shift: bigint][] = [
    [4, 12n],
    [4, 21n],
    [4, 30n],
    [5, 12n],
    [5, 21n],
    [5, 30n],
  ];
  it.each(cases)("%d levels, a leaf of 2^%d bytes", (levels, shift) => {
    const virtual = levels === 5 ? 0xff11_2345_4000_0000n : 0xffff_ea12_4000_0000n;
    const memory = x86(levels);
    mapX86(memory, levels, virtual, 0x4000_0000n, shift);
    using space = AddressSpace.of(libc, memory);
    expect(space.translate(virtual + 0x123n)).toEqual({
      physical: 0x4000_0123n,
      length: Number(1n << shift) - 0x123,
    });
    // What was found is remembered, up to its end and not beyond.
    expect(space.translate(virtual + 0x124n)?.physical).toBe(0x4000_0124n);
    expect(space.translate(virtual + (1n << shift))).toBeUndefined();
    expect(space.translate(virtual - 1n)).toBeUndefined();
  });

  it("the image is found without tables, by phys_base, KASLR or not", () => {
    const memory = x86(4, { "NUMBER(phys_base)": -0x1000n });
    using space = AddressSpace.of(libc, memory);
    expect(space.translate(IMAGE + 0x5678n)).toEqual({ physical: 0x4678n, length: 0x1000 - 0x678 });
  });

  it("the mark of encrypted memory is no part of an address", () => {
    const mark = 1n << 47n;
    const memory = x86(4, { "NUMBER(sme_mask)": mark });
    mapX86(memory, 4, 0xffff_8880_0000_0000n, 0x20_0000n, 21n, mark);
    using space = AddressSpace.of(libc, memory);
    expect(space.translate(0xffff_8880_0000_0010n)?.physical).toBe(0x20_0010n);
  });

  it.each([["SYMBOL(init_top_pgt)"], ["NUMBER(phys_base)"]])("says that %s is missing", (key) => {
    const memory = new FakeMemory(libc, "x86_64", 4096, RAM, {
      "SYMBOL(init_top_pgt)": "ffffffff80001000",
      "NUMBER(phys_base)": 0,
      [key]: "",
    });
    expect(() => AddressSpace.of(libc, memory)).toThrow(`VMCOREINFO has no ${key}`);
  });

  it("reads over pages, and stops where one is missing", () => {
    const memory = x86(4);
    mapX86(memory, 4, 0xffff_ea00_0000_0000n, 0x20_0000n, 21n);
    memory.putBytes(0x20_0ffe, Uint8Array.of(1, 2, 3, 4));
    using space = AddressSpace.of(libc, memory);
    expect(space.readVirtual(0xffff_ea00_0000_0ffen, 4)).toEqual(Uint8Array.of(1, 2, 3, 4));
    memory.bad.add(0x201);
    using again = AddressSpace.of(libc, memory);
    expect(again.readVirtual(0xffff_ea00_0000_0ffen, 4)).toBeUndefined();
    expect(again.readVirtual(0xffff_ea00_0000_0ffen, 2)).toEqual(Uint8Array.of(1, 2));
  });
});

/** Page size, bits of virtual addresses, of physical ones, and the levels that makes (Arm ARM, D8.2). */
const AARCH64: [page: number, bits: number, physical: number, levels: number][] = [
  [4096, 39, 48, 3],
  [4096, 48, 48, 4],
  [4096, 52, 52, 5],
  [16384, 36, 48, 2],
  [16384, 47, 48, 3],
  [16384, 48, 48, 4],
  [16384, 52, 52, 4],
  [65536, 42, 48, 2],
  [65536, 48, 48, 3],
  [65536, 52, 52, 3],
];

/** An address as an entry has it: see outputAddress() in paging-aarch64.ts. */
function entryOf(physical: bigint, pageSize: number, physicalBits: number): bigint {
  if (physicalBits <= 48) return physical;
  if (pageSize === 65536) return (physical & 0xffff_ffff_ffffn) | (((physical >> 48n) & 15n) << 12n);
  return (physical & ((1n << 50n) - 1n)) | (((physical >> 50n) & 3n) << 8n);
}

describe("aarch64", () => {
  it.each(AARCH64)("pages of %d, %d and %d bits: %d levels", (pageSize, bits, physicalBits, levels) => {
    const shift = BigInt(Math.log2(pageSize));
    const perLevel = shift - 3n;
    const top = (1n << 64n) - (1n << BigInt(bits));
    const imageOffset = (1n << 64n) - (1n << 34n);
    const root = BigInt(pageSize);
    const high = physicalBits === 52 ? 1n << 50n : 0n;
    // The upper half of the kernel's addresses: not the linear map.
    const virtual = top + (1n << BigInt(bits - 1)) + (3n << (shift + perLevel));
    for (const leafLevel of [1, 2]) {
      const memory = new FakeMemory(libc, "aarch64", pageSize, [{ start: 0, end: 64 }], {
        "NUMBER(VA_BITS)": bits,
        "NUMBER(TCR_EL1_T1SZ)": 64 - bits,
        "NUMBER(PHYS_OFFSET)": 0,
        "NUMBER(kimage_voffset)": imageOffset,
        "NUMBER(MAX_PHYSMEM_BITS)": physicalBits,
        "SYMBOL(_stext)": (imageOffset + 0x10000n).toString(16),
        "SYMBOL(swapper_pg_dir)": (imageOffset + root).toString(16),
      });
      let table = root;
      for (let level = levels; level > leafLevel; level--) {
        const at = shift + perLevel * BigInt(level - 1);
        const width = level === levels ? BigInt(bits) - at : perLevel;
        const next = table + root;
        memory.put(table + ((virtual >> at) & ((1n << width) - 1n)) * 8n, next | 3n);
        table = next;
      }
      const at = shift + perLevel * BigInt(leafLevel - 1);
      const width = leafLevel === levels ? BigInt(bits) - at : perLevel;
      const physical = high + (1n << at) * 2n;
      const kind = leafLevel === 1 ? 3n : 1n;
      memory.put(
        table + ((virtual >> at) & ((1n << width) - 1n)) * 8n,
        entryOf(physical, pageSize, physicalBits) | kind,
      );
      using space = AddressSpace.of(libc, memory);
      expect(space.translate(virtual + 0x10n)).toEqual({
        physical: physical + 0x10n,
        length: Number(1n << at) - 0x10,
      });
      expect(space.translate(virtual + (1n << at))).toBeUndefined();
      // The linear map needs no tables.
      expect(space.translate(top + 0x1234n)?.physical).toBe(0x1234n);
    }
  });
});

it("tables of random bytes give an address or none, and end", () => {
  for (let seed = 0; seed < 300; seed++) {
    const random = new Random(seed);
    const memory = x86(seed % 2 === 0 ? 4 : 5);
    for (let pfn = 1; pfn < 8; pfn++) {
      const bytes = random.fill(new Uint8Array(4096));
      // Entries that lead to other tables, to themselves and outside.
      for (let at = 0; at < 4096; at += 8)
        if (random.chance(0.5))
          bytes.set([0x63 | (random.below(8) << 12), (random.below(8) + 1) << 4, 0, 0, 0, 0, 0, 0], at);
      memory.putBytes(pfn * 4096, bytes);
    }
    using space = AddressSpace.of(libc, memory);
    for (let i = 0; i < 50; i++) {
      const virtual = (0xffffn << 48n) | (BigInt(random.next()) << 16n) | BigInt(random.below(65536));
      const found = space.translate(virtual);
      if (found !== undefined) expect(found.length).toBeGreaterThan(0);
      space.readVirtual(virtual, random.below(9000));
    }
  }
});
