/**
 * Mutated headers and notes, thousands of them: each file is either refused by one error that names a field,
 * or read right, byte for byte; never another exception, never much time, never memory as large as a claim.
 */
import { describe, expect, it } from "bun:test";
import { VmcopyError } from "../../src/errors.ts";
import { type ElfHeaders, readElfHeaders } from "../../src/vmcore/elf.ts";
import { fileRanges, PhysicalMap } from "../../src/vmcore/layout.ts";
import { readNotes, readVmcoreinfoText } from "../../src/vmcore/notes.ts";
import { Vmcoreinfo } from "../../src/vmcore/vmcoreinfo.ts";
import { libc, temporaryFolder } from "../support/files.ts";
import { mutate, type Region } from "../support/mutate.ts";
import { openBytes, readWindows } from "../support/open.ts";
import { property, type Random } from "../support/random.ts";
import { type BuiltVmcore, buildVmcore, MemoryReader, PAGE } from "../support/vmcores.ts";

const path = temporaryFolder();
/** Milliseconds that one case may take. */
const LONGEST = 2000;
/** What a refusal must name: a field of the ELF or note header, or what is wrong with the file as a whole. */
const NAMED =
  /\b(e_type|e_phentsize|e_phnum|e_phoff|e_shoff|p_offset|p_filesz|p_memsz|p_paddr|EI_CLASS|EI_DATA|n_namesz|n_descsz|PT_LOAD|no ELF header|ELF header is cut off|it is empty|program headers are cut off)\b/;

const LOADS = [
  { offset: 0, length: 3 * PAGE },
  { offset: 3 * PAGE + 0x400, length: 2 * PAGE },
  { offset: 7 * PAGE, length: PAGE },
  { offset: PAGE, length: PAGE },
];

const bases: BuiltVmcore[] = [
  buildVmcore({ loads: LOADS }),
  buildVmcore({ loads: LOADS, littleEndian: false }),
  buildVmcore({ loads: LOADS, class: 32 }),
  buildVmcore({ loads: LOADS, class: 32, littleEndian: false }),
  buildVmcore({ loads: LOADS, extendedCount: true }),
];

function regionsOf(base: BuiltVmcore): Region[] {
  const headers = { offset: 0, length: base.headersSize };
  return [{ offset: 0, length: 64 }, headers, headers, { offset: base.notesAt, length: base.notesSize }];
}

/** Runs a reader; it gives a result or a refusal. Any other error is thrown on, with what was done to the file. */
function refusedOr<T>(what: string, read: () => T): T | undefined {
  const started = performance.now();
  try {
    return read();
  } catch (error) {
    if (!(error instanceof VmcopyError))
      throw new Error(`${what}: ${(error as Error).stack}`, { cause: error });
    expect(error.code).toBe("E_NOT_VMCORE");
    expect(error.exitCode).toBe(2);
    if (!NAMED.test(error.message)) throw new Error(`${what}: names no field: ${error.message}`);
    expect(error.message).not.toContain("\n");
    return undefined;
  } finally {
    expect(performance.now() - started).toBeLessThan(LONGEST);
  }
}

/** What accepted headers must be, whatever the file claims. */
function expectSound(headers: ElfHeaders, size: number): void {
  expect(headers.loads.length).toBeGreaterThan(0);
  for (const { offset, fileSize, memorySize, physicalAddress } of headers.loads) {
    expect(Number.isSafeInteger(offset) && offset >= 0).toBeTrue();
    expect(offset + fileSize).toBeLessThanOrEqual(size);
    expect(memorySize).toBeGreaterThanOrEqual(BigInt(fileSize));
    if (physicalAddress !== undefined) expect(physicalAddress + memorySize).toBeLessThanOrEqual(1n << 64n);
  }
  for (const { offset, fileSize } of headers.notes) expect(offset + fileSize).toBeLessThanOrEqual(size);
  const ranges = fileRanges(headers.loads, size, PAGE);
  expect(ranges.reduce((sum, { length }) => sum + length, 0)).toBe(size);
  const map = new PhysicalMap(headers.loads);
  for (const { offset, length } of ranges) {
    for (const at of [offset, offset + length - 1]) {
      const address = map.at(at);
      if (address !== undefined) expect(Number.isSafeInteger(address)).toBeTrue();
    }
  }
}

/** All of the parsers on bytes in memory. @returns whether they were accepted */
function parse(bytes: Uint8Array<ArrayBuffer>, what: string): boolean {
  const file = new MemoryReader(bytes);
  const headers = refusedOr(what, () => readElfHeaders(file));
  if (headers === undefined) return false;
  expectSound(headers, bytes.length);
  const text = refusedOr(what, () => {
    const notes = readNotes(file, headers);
    for (const { offset, size } of notes) expect(offset + size).toBeLessThanOrEqual(bytes.length);
    return readVmcoreinfoText(file, notes) ?? "";
  });
  // Reads are bounded by what is in the file, not by what it says.
  expect(file.largest).toBeLessThanOrEqual(Math.max(bytes.length, 1024 * 56));
  const info = new Vmcoreinfo(text ?? "");
  for (const found of [info.pageSize, info.crashTime, info.symbol("_stext"), info.release]) {
    expect(["undefined", "number", "bigint", "string"]).toContain(typeof found);
  }
  return true;
}

describe("mutated in memory", () => {
  it("12,000 headers and notes", async () => {
    let accepted = 0;
    await property(12_000, (random: Random) => {
      const base = random.pick(bases);
      const { bytes, what } = mutate(random, base.bytes, regionsOf(base));
      if (parse(bytes, what)) accepted++;
    });
    // Neither is everything refused, nor everything accepted: the mutations do bite.
    if (process.env.VMCOPY_TEST_SEED === undefined) {
      expect(accepted).toBeGreaterThan(1500);
      expect(accepted).toBeLessThan(10_500);
    }
  });

  it.each(bases.map((base, index) => [index, base] as const))(
    "every length up to the end of the notes, form %d",
    (_, base) => {
      const end = base.notesAt + base.notesSize;
      for (let length = 0; length <= end; length++) {
        expect(parse(base.bytes.slice(0, length), `cut to ${length} bytes`)).toBeFalse();
      }
      expect(parse(base.bytes, "whole")).toBeTrue();
    },
  );

  it("every bit of the ELF header and of the first program headers, one at a time", () => {
    for (const base of bases) {
      for (let bit = 0; bit < 8 * (64 + 3 * 56); bit++) {
        const bytes = base.bytes.slice();
        bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        parse(bytes, `bit ${bit} flipped`);
      }
    }
  });
});

describe("mutated in a file", () => {
  it("2,000 of them, read by windows: byte-identical or refused, with no memory to speak of", async () => {
    let accepted = 0;
    const before = process.memoryUsage.rss();
    await property(2000, (random: Random) => {
      const base = random.pick(bases);
      const { bytes, what } = mutate(random, base.bytes, regionsOf(base));
      const method = random.pick(["mmap", "read"] as const);
      const mapSize = PAGE * random.pick([1, 3, 1024]);
      const read = refusedOr(what, () => {
        using vmcore = openBytes(libc, path("mutated"), bytes);
        return readWindows(vmcore, method, mapSize);
      });
      if (read === undefined) return;
      accepted++;
      expect(Buffer.compare(read.bytes, bytes)).toBe(0);
      expect(read.unreadable).toEqual([]);
    });
    if (process.env.VMCOPY_TEST_SEED === undefined) expect(accepted).toBeGreaterThan(200);
    expect(process.memoryUsage.rss() - before).toBeLessThan(256 << 20);
  });
});
