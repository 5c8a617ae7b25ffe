import { describe, expect, it } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  elfHeadersSize,
  encodeElfHeaders,
  encodeNotes,
  PT_LOAD,
  PT_NOTE,
} from "../../src/dump/elf-headers.ts";
import { readElfHeaders } from "../../src/vmcore/elf.ts";
import { readNotes } from "../../src/vmcore/notes.ts";

const inMemory = (bytes: Uint8Array<ArrayBuffer>, size = bytes.length) => ({
  path: "memory",
  size,
  read: (offset: number, length: number) => bytes.slice(offset, offset + length),
});

describe("encodeElfHeaders", () => {
  it.each([
    [64, true],
    [64, false],
    [32, true],
    [32, false],
  ] as const)("writes ELF%d, little-endian %p, as the reader reads it", (elfClass, littleEndian) => {
    const load = {
      flags: 7,
      offset: 0x2010,
      virtualAddress: 0xc0001010n,
      physicalAddress: 0x1010n,
    };
    const bytes = encodeElfHeaders({
      class: elfClass,
      littleEndian,
      machine: 3,
      flags: 1,
      segments: [
        { type: PT_NOTE, offset: 0x1000, fileSize: 20, align: 4 },
        { type: PT_LOAD, ...load, fileSize: 0x500, memorySize: 0x700n },
      ],
    });
    expect(bytes.length).toBe(elfHeadersSize(elfClass, 2));
    const headers = readElfHeaders(inMemory(bytes, 0x4000));
    expect(headers).toMatchObject({ elfClass, littleEndian, machine: 3, flags: 1 });
    expect(headers.notes).toMatchObject([{ index: 0, offset: 0x1000, fileSize: 20, align: 4 }]);
    expect(headers.loads).toMatchObject([{ ...load, index: 1, fileSize: 0x500, memorySize: 0x700n }]);
  });

  it("puts the count into a section header beyond 65,534 segments", () => {
    const segments = Array.from({ length: 70_000 }, (_, i) => ({
      type: PT_LOAD,
      offset: 0,
      fileSize: 0,
      physicalAddress: BigInt(i),
    }));
    const bytes = encodeElfHeaders({ class: 64, segments });
    expect(new DataView(bytes.buffer).getUint16(56, true)).toBe(0xffff);
    const { loads } = readElfHeaders(inMemory(bytes));
    expect(loads.length).toBe(70_000);
    expect(loads[69_999]?.physicalAddress).toBe(69_999n);
  });

  it("lies where it is told to", () => {
    const segments = [{ type: PT_LOAD, offset: 0, fileSize: 0 }];
    const bytes = encodeElfHeaders({
      class: 64,
      segments,
      lies: { magic: 0x7f454c47, phnum: 9, phoff: 1n << 60n },
    });
    const view = new DataView(bytes.buffer);
    expect([bytes[3], view.getUint16(56, true), view.getBigUint64(32, true)]).toEqual([0x47, 9, 1n << 60n]);
  });

  it.skipIf(!Bun.which("readelf"))(
    "is understood by readelf: ELF32 big-endian with an extended count",
    () => {
      const folder = mkdtempSync(join(tmpdir(), "vmcopy-elf-"));
      try {
        const file = join(folder, "core");
        const segments = [{ type: PT_LOAD, flags: 5, offset: 0, fileSize: 4, physicalAddress: 0x12345n }];
        writeFileSync(
          file,
          encodeElfHeaders({ class: 32, littleEndian: false, extendedCount: true, machine: 8, segments }),
        );
        const { stdout, stderr } = Bun.spawnSync(["readelf", "-hlW", file]);
        expect(stderr.toString()).toBe("");
        const text = stdout.toString();
        expect(text).toMatch(/Number of program headers: +65535 \(1\)/);
        expect(text).toMatch(/LOAD +0x000000 0x00000000 0x00012345 0x00004 0x00004 R E/);
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  );
});

describe("encodeNotes", () => {
  it("pads name and description to 4 bytes", () => {
    const notes = encodeNotes([
      { name: "CORE", type: 1, description: new Uint8Array(5).fill(7) },
      { name: "VMCOREINFO", type: 0, description: new TextEncoder().encode("PAGESIZE=4096\n") },
    ]);
    expect(notes.length).toBe(12 + 8 + 8 + 12 + 12 + 16);
    const segments = [
      { type: PT_NOTE, offset: 0x100, fileSize: notes.length, align: 4 },
      { type: PT_LOAD, offset: 0, fileSize: 0 },
    ];
    const file = new Uint8Array(0x100 + notes.length);
    file.set(encodeElfHeaders({ class: 64, segments }));
    file.set(notes, 0x100);
    const reader = inMemory(file);
    expect(readNotes(reader, readElfHeaders(reader))).toEqual([
      { name: "CORE", type: 1, offset: 0x100 + 20, size: 5 },
      { name: "VMCOREINFO", type: 0, offset: 0x100 + 28 + 24, size: 14 },
    ]);
  });

  it("pads to 8 bytes on demand, from the note's start", () => {
    const notes = encodeNotes([{ name: "CORE", type: 1, description: new Uint8Array(4).fill(7) }], 8, false);
    expect([...notes]).toEqual([
      0, 0, 0, 5, 0, 0, 0, 4, 0, 0, 0, 1, 67, 79, 82, 69, 0, 0, 0, 0, 0, 0, 0, 0, 7, 7, 7, 7, 0, 0, 0, 0,
    ]);
  });
});
