// mem_map in every model: sections in an array or behind pointers, the symbol the table or a pointer to it, one flat array.
import { describe, expect, it } from "bun:test";
import { AddressSpace } from "../../src/vmcore/address-space.ts";
import { MemMap } from "../../src/vmcore/mem-map.ts";
import { FakeMemory } from "../support/fake-memory.ts";
import { libc } from "../support/files.ts";

const IMAGE = 0xffff_ffff_8000_0000n;
const SECTION_PAGES = 32768;
const SECTION = 16; // bytes of struct mem_section
const BASE = 0xffff_ea00_0000_0000n;
const FLAGS = 0x3fn; // bit 5: SECTION_IS_VMEMMAP_PREINIT, Linux 6.15

const KEYS = {
  "SYMBOL(init_top_pgt)": (IMAGE + 0x1000n).toString(16),
  "NUMBER(phys_base)": 0,
  "SIZE(page)": 64,
  "SIZE(mem_section)": SECTION,
  "OFFSET(mem_section.section_mem_map)": 0,
  "NUMBER(SECTION_SIZE_BITS)": 27,
  "NUMBER(MAX_PHYSMEM_BITS)": 46,
};
const RAM = [{ start: 0, end: 4 * SECTION_PAGES }];

/** RAM in sections 0, 1 and 3; struct pages of all of it are mapped at physical 8 MiB and behind. */
function machine(keys: Record<string, string | number | bigint>): FakeMemory {
  const memory = new FakeMemory(libc, "x86_64", 4096, RAM, { ...KEYS, ...keys });
  memory.put(0x1000n + ((BASE >> 39n) & 511n) * 8n, 0x2063n);
  memory.put(0x2000n, 0x3063n);
  for (let index = 0n; index < 4n; index++)
    memory.put(0x3000n + index * 8n, (0x80_0000n + index * 0x20_0000n) | 0xe3n);
  return memory;
}

function putSections(memory: FakeMemory, at: number): void {
  for (const section of [0, 1, 3]) memory.put(at + section * SECTION, BASE | FLAGS);
}

function runs(memory: FakeMemory) {
  using space = AddressSpace.of(libc, memory);
  return [...MemMap.of(space).runs(100, 4 * SECTION_PAGES)];
}

const address = (pfn: number) => BASE + BigInt(pfn) * 64n;
const RIGHT = [
  { pfn: 100, count: SECTION_PAGES - 100, virtual: address(100) },
  { pfn: SECTION_PAGES, count: SECTION_PAGES, virtual: address(SECTION_PAGES) },
  { pfn: 2 * SECTION_PAGES, count: SECTION_PAGES, virtual: undefined },
  { pfn: 3 * SECTION_PAGES, count: SECTION_PAGES, virtual: address(3 * SECTION_PAGES) },
];
const ROOTS = 2 ** (46 - 27) / (4096 / SECTION);

describe("SPARSEMEM", () => {
  it("EXTREME: the symbol is the array of roots", () => {
    const memory = machine({
      "SYMBOL(mem_section)": (IMAGE + 0x5000n).toString(16),
      "LENGTH(mem_section)": ROOTS,
    });
    memory.put(0x5000, IMAGE + 0x6000n);
    putSections(memory, 0x6000);
    expect(runs(memory)).toEqual(RIGHT);
  });

  it("EXTREME: the symbol is a pointer to the array", () => {
    const memory = machine({
      "SYMBOL(mem_section)": (IMAGE + 0x4008n).toString(16),
      "LENGTH(mem_section)": ROOTS,
    });
    memory.put(0x4008, IMAGE + 0x5000n);
    memory.put(0x5000, IMAGE + 0x6000n);
    putSections(memory, 0x6000);
    expect(runs(memory)).toEqual(RIGHT);
  });

  it("not EXTREME: the symbol is the array of sections", () => {
    const length = 2 ** (46 - 27);
    const memory = machine({
      "SYMBOL(mem_section)": (IMAGE + 0x6000n).toString(16),
      "LENGTH(mem_section)": length,
    });
    putSections(memory, 0x6000);
    expect(runs(memory)).toEqual(RIGHT);
  });

  it("without a section for any RAM, or a key, says so", () => {
    const empty = machine({
      "SYMBOL(mem_section)": (IMAGE + 0x6000n).toString(16),
      "LENGTH(mem_section)": ROOTS,
    });
    expect(() => runs(empty)).toThrow("no section of RAM is in the table");
    const lacking = machine({ "SYMBOL(mem_section)": "ffffffff80006000", "NUMBER(SECTION_SIZE_BITS)": "" });
    expect(() => runs(lacking)).toThrow("VMCOREINFO has no NUMBER(SECTION_SIZE_BITS)");
  });
});

it("FLATMEM: one array, from page 0", () => {
  const memory = machine({ "SYMBOL(mem_map)": (IMAGE + 0x4000n).toString(16) });
  memory.put(0x4000, BASE);
  expect(runs(memory)).toEqual([{ pfn: 100, count: 4 * SECTION_PAGES - 100, virtual: address(100) }]);
});
