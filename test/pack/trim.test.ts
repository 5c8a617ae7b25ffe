/** What trim.ts takes out of a file, and that the memory it stands for stays the same. */
import { describe, expect, it } from "bun:test";
import { PF_W, readElf64 } from "../../src/pack/elf64.ts";
import { trim } from "../../src/pack/trim.ts";
import { tinyElf } from "./tiny-elf.ts";

const PAGE = 0x1000;
const SHT_NOBITS = 8;

/**
 * A program whose writable segment is page 1 to 5 of the file: a page of data, three of bss from the middle of
 * the second on, a page of data behind it; then a section table of one entry.
 */
function program(options: { flags?: bigint; dirty?: number } = {}) {
  const tiny = tinyElf({ writable: true }).bytes;
  const bytes = new Uint8Array(6 * PAGE + 64);
  bytes.set(tiny);
  bytes.fill(0xaa, PAGE, 2 * PAGE + 0x800);
  bytes.fill(0xbb, 5 * PAGE, 6 * PAGE);
  if (options.dirty !== undefined) bytes[options.dirty] = 1;
  const view = new DataView(bytes.buffer);
  for (const field of [32, 40]) view.setBigUint64(64 + 56 + field, BigInt(5 * PAGE), true);
  view.setBigUint64(40, BigInt(6 * PAGE), true); // e_shoff
  view.setUint16(58, 64, true);
  view.setUint16(60, 1, true);
  view.setUint32(6 * PAGE + 4, SHT_NOBITS, true);
  view.setBigUint64(6 * PAGE + 8, options.flags ?? 3n, true);
  view.setBigUint64(6 * PAGE + 16, BigInt(0x400000 + 2 * PAGE + 0x800), true);
  view.setBigUint64(6 * PAGE + 32, BigInt(2 * PAGE + 0x900), true);
  return readElf64(bytes, "program");
}

/** The two segments' memory, as the kernel would lay it out. */
function memory(bytes: Uint8Array): Uint8Array {
  const result = new Uint8Array(6 * PAGE);
  for (const header of readElf64(bytes, "result").programHeaders) {
    if (header.type !== 1) continue;
    result.set(bytes.subarray(header.offset, header.offset + header.fileSize), header.address - 0x400000);
  }
  return result;
}

const loads = (elf: ReturnType<typeof program>) => elf.programHeaders.filter((header) => header.type === 1);
/** Where the program header table and e_shoff to e_shstrndx are, which differ. */
const HEADERS = 512;

describe("trim", () => {
  it("takes out whole pages of a written-out bss, and the section headers", () => {
    const input = program();
    const bytes = trim(input, loads(input), PAGE);
    expect(bytes.length).toBe(4 * PAGE); // pages 3 and 4 were zeros
    expect(memory(bytes).subarray(HEADERS)).toEqual(memory(input.bytes).subarray(HEADERS));
    const result = readElf64(bytes, "result");
    expect(
      result.programHeaders.map((h) => [h.offset, h.address - 0x400000, h.fileSize, h.memorySize]),
    ).toEqual([
      [0, 0, expect.any(Number), expect.any(Number)],
      [PAGE, PAGE, 2 * PAGE, 4 * PAGE],
      [3 * PAGE, 5 * PAGE, PAGE, PAGE],
    ]);
    expect(result.programHeaders.slice(1).every((header) => header.flags & PF_W)).toBe(true);
    expect(result.view.getBigUint64(40, true)).toBe(0n);
    expect([58, 60, 62].map((field) => result.view.getUint16(field, true))).toEqual([0, 0, 0]);
  });

  it.each([
    ["threads' templates", program({ flags: 0x403n })],
    ["what is not all zeros", program({ dirty: 4 * PAGE + 17 })],
  ])("leaves %s", (_, input) => {
    const bytes = trim(input, loads(input), PAGE);
    expect(bytes.length).toBe(6 * PAGE);
    expect(memory(bytes).subarray(HEADERS)).toEqual(memory(input.bytes).subarray(HEADERS));
  });

  it("refuses what does not fit", () => {
    const input = program();
    const [first, second] = loads(input);
    if (!first || !second) throw new Error("no segments");
    expect(() => trim(input, [first, first, first, first], PAGE)).toThrow(
      "Cannot change program: its program header table has no room (4 entries, room for 3)",
    );
    expect(() => trim(input, [second], PAGE)).toThrow(
      "Cannot trim program: its first segment does not hold its headers (e_phoff 64)",
    );
    input.view.setUint16(60, 2, true);
    expect(() => trim(input, [first], PAGE)).toThrow(
      "Cannot trim program: its section headers lie outside it (e_shoff 24576, e_shnum 2)",
    );
  });
});
