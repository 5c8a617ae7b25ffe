/** ELF headers of vmcores: every class and byte order, many and odd PT_LOADs, and each field that can be wrong. */
import { describe, expect, it } from "bun:test";
import { type ElfDescription, encodeElfHeaders, PT_LOAD, PT_NOTE } from "../../src/dump/elf-headers.ts";
import { VmcopyError } from "../../src/errors.ts";
import { readElfHeaders, type Segment } from "../../src/vmcore/elf.ts";
import { buildVmcore, MemoryReader } from "../support/vmcores.ts";

const FORMS = [
  [64, true],
  [64, false],
  [32, true],
  [32, false],
] as const;

/** Reads headers with so many bytes behind them. */
function read(elf: Partial<ElfDescription>, behind = 0x10000) {
  const headers = encodeElfHeaders({ class: 64, segments: [], ...elf });
  const bytes = new Uint8Array(headers.length + behind);
  bytes.set(headers);
  return readElfHeaders(new MemoryReader(bytes));
}

function refusal(elf: Partial<ElfDescription>, behind?: number): string {
  try {
    read(elf, behind);
  } catch (error) {
    expect(error).toBeInstanceOf(VmcopyError);
    expect(error).toMatchObject({ code: "E_NOT_VMCORE", exitCode: 2 });
    return (error as Error).message;
  }
  return "accepted";
}

const load = { type: PT_LOAD, offset: 0x1000, fileSize: 0x2000, physicalAddress: 0x100000n };

describe.each(FORMS)("ELF%d, little-endian %p", (elfClass, littleEndian) => {
  const form = { class: elfClass, littleEndian };

  it("is read with all its fields", () => {
    const headers = read({
      ...form,
      machine: 183,
      flags: 1,
      segments: [
        { type: PT_NOTE, offset: 0x800, fileSize: 0x100, align: 4 },
        { type: 0x6474e551, offset: 1, fileSize: 0xffff_ffff },
        {
          type: PT_LOAD,
          flags: 5,
          offset: 0x1234,
          virtualAddress: 0x89abcdefn,
          physicalAddress: 0x9abcdef0n,
          fileSize: 0x2001,
          memorySize: 0x3002,
          align: 4096,
        },
      ],
    });
    expect(headers).toMatchObject({ elfClass, littleEndian, machine: 183, flags: 1 });
    expect(headers.notes).toHaveLength(1);
    expect(headers.notes[0]).toMatchObject({ index: 0, offset: 0x800, fileSize: 0x100, align: 4 });
    expect(headers.loads).toEqual([
      {
        index: 2,
        flags: 5,
        offset: 0x1234,
        fileSize: 0x2001,
        memorySize: 0x3002n,
        virtualAddress: 0x89abcdefn,
        physicalAddress: 0x9abcdef0n,
        align: 4096,
      } satisfies Segment,
    ]);
  });

  it("takes a p_paddr of all ones for unknown", () => {
    const unknown = elfClass === 64 ? 0xffff_ffff_ffff_ffffn : 0xffff_ffffn;
    const { loads } = read({ ...form, segments: [{ ...load, physicalAddress: unknown }, load] });
    expect(loads.map(({ physicalAddress }) => physicalAddress)).toEqual([undefined, 0x100000n]);
  });

  it("keeps overlapping, unaligned and empty PT_LOADs, in their order", () => {
    const segments = [
      { ...load, offset: 0x3001, fileSize: 0x1fff },
      { ...load, offset: 0x1000, fileSize: 0x5000 },
      { ...load, offset: 0x2000, fileSize: 0, memorySize: 0x1000 },
      { ...load, offset: 0, fileSize: 10 },
    ];
    const { loads } = read({ ...form, segments });
    expect(loads.map(({ offset, fileSize }) => [offset, fileSize])).toEqual(
      segments.map(({ offset, fileSize }) => [offset, fileSize]),
    );
  });

  it.each([1000, 65_534])("reads %d PT_LOADs", (count) => {
    const segments = Array.from({ length: count }, (_, i) => ({ ...load, fileSize: 1, offset: i }));
    const { loads } = read({ ...form, segments });
    expect(loads).toHaveLength(count);
    expect(loads[count - 1]).toMatchObject({ index: count - 1, offset: count - 1 });
  });

  it.each([1, 65_535, 70_000])("reads %d PT_LOADs counted in a section header (PN_XNUM)", (count) => {
    const segments = Array.from({ length: count }, (_, i) => ({ ...load, fileSize: 1, offset: i }));
    const { loads } = read({ ...form, segments, extendedCount: true });
    expect(loads).toHaveLength(count);
    expect(loads[count - 1]).toMatchObject({ index: count - 1, offset: count - 1 });
  });
});

describe("what is no vmcore is refused, the field named with its value", () => {
  it.each<[string, Partial<ElfDescription>, string]>([
    ["magic", { lies: { magic: 0x7f454c47 } }, "begins with 7f 45 4c 47"],
    ["class 0", { lies: { class: 0 } }, "EI_CLASS is 0"],
    ["class 3", { lies: { class: 3 } }, "EI_CLASS is 3"],
    ["data 0", { lies: { data: 0 } }, "EI_DATA is 0"],
    ["data 255", { lies: { data: 255 } }, "EI_DATA is 255"],
    ["a program", { type: 2 }, "e_type is 2"],
    ["no headers", { segments: [] }, "e_phnum is 0"],
    ["e_phentsize 0", { lies: { phentsize: 0 } }, "e_phentsize is 0, not 56"],
    ["e_phentsize of ELF32", { lies: { phentsize: 32 } }, "e_phentsize is 32, not 56"],
    ["e_phoff 0", { lies: { phoff: 0 } }, "e_phoff 0 "],
    ["e_phoff in the header", { lies: { phoff: 63 } }, "e_phoff 63 "],
    ["e_phoff far out", { lies: { phoff: 2n ** 63n } }, `e_phoff ${2n ** 63n} `],
    ["e_phoff at the limit", { lies: { phoff: 2n ** 64n - 1n } }, `e_phoff ${2n ** 64n - 1n} `],
    ["e_phnum too large", { lies: { phnum: 60_000 } }, "with 60000 program headers lies outside"],
    ["PN_XNUM, no section", { lies: { phnum: 0xffff } }, "e_phnum is PN_XNUM, but e_shoff is 0"],
    [
      "PN_XNUM, section outside",
      { extendedCount: true, lies: { shoff: 1n << 40n } },
      `e_shoff is ${1n << 40n}`,
    ],
    ["PN_XNUM 0", { extendedCount: true, lies: { shInfo: 0 } }, "e_phnum is 0"],
    ["PN_XNUM 2^32-1", { extendedCount: true, lies: { shInfo: 0xffff_ffff } }, "e_phnum is 4294967295"],
    [
      "only notes",
      { segments: [{ type: PT_NOTE, offset: 64, fileSize: 0 }] },
      "none of its 1 program headers",
    ],
    ["p_offset past the end", { segments: [{ ...load, offset: 1n << 62n }] }, `p_offset ${1n << 62n}`],
    ["p_filesz past the end", { segments: [{ ...load, fileSize: 0x20000 }] }, "p_filesz 131072, past"],
    ["p_filesz 2^64-1", { segments: [{ ...load, fileSize: 2n ** 64n - 1n }] }, `p_filesz ${2n ** 64n - 1n}`],
    [
      "p_filesz over p_memsz",
      { segments: [{ ...load, memorySize: 1 }] },
      "p_filesz 8192, more than its p_memsz 1",
    ],
    [
      "memory past 2^64",
      { segments: [{ ...load, physicalAddress: 2n ** 64n - 0x1000n }] },
      "p_paddr 0xfffffffffffff000 and p_memsz 8192, past 2^64",
    ],
    [
      "a note past the end",
      { segments: [load, { ...load, type: PT_NOTE, offset: 1 << 30 }] },
      "PT_NOTE (program header 1)",
    ],
  ])("%s", (_, elf, words) => {
    const message = refusal({ segments: [load], ...elf });
    expect(message).toStartWith("Cannot read memory as a vmcore: ");
    expect(message).toContain(words);
    expect(message).not.toContain("\n");
  });

  it("a truncated file, at every length up to the end of its headers", () => {
    const { bytes, headersSize, dataAt } = buildVmcore({
      loads: [0, 1, 2].map((i) => ({ offset: i * 4096, length: 4096 })),
    });
    for (let length = 0; length < dataAt; length++) {
      const cut = new MemoryReader(bytes.slice(0, length));
      expect(() => readElfHeaders(cut)).toThrow(VmcopyError);
      expect(cut.largest).toBeLessThanOrEqual(Math.max(64, headersSize));
    }
    expect(() => readElfHeaders(new MemoryReader(bytes))).not.toThrow();
  });

  it("what is no ELF file at all", () => {
    const text = new TextEncoder().encode(
      "#!/bin/sh\necho this is not a vmcore, and long enough to be one\n",
    );
    expect(() => readElfHeaders(new MemoryReader(text))).toThrow(
      "no ELF header (it begins with 23 21 2f 62)",
    );
    expect(() => readElfHeaders(new MemoryReader(new Uint8Array(0)))).toThrow("it is empty");
    expect(() => readElfHeaders(new MemoryReader(new Uint8Array(1)))).toThrow("begins with 00");
  });

  it("a file that becomes shorter while it is read", () => {
    const { bytes } = buildVmcore({ loads: [{ offset: 0, length: 4096 }], extendedCount: true });
    for (const kept of [10, 64, 100, 200]) {
      const reader = new MemoryReader(bytes);
      const shrinking = {
        path: "shrinking",
        size: bytes.length,
        read: (offset: number, length: number) =>
          reader.read(offset, Math.max(0, Math.min(length, kept - offset))),
      };
      expect(() => readElfHeaders(shrinking)).toThrow(VmcopyError);
    }
  });
});

it("reads the program headers in pieces of bounded size", () => {
  const segments = Array.from({ length: 60_000 }, () => ({ ...load, offset: 0, fileSize: 1 }));
  const bytes = encodeElfHeaders({ class: 64, segments });
  const reader = new MemoryReader(bytes);
  readElfHeaders(reader);
  expect(reader.largest).toBeLessThanOrEqual(1024 * 56);
});
