/**
 * Takes out of a finished static program what running it does not need.
 *
 * - The zeros that stand for its bss. `bun build --compile` puts the bundle behind the bss, in the same segment,
 *   and so has to write the bss into the file: 1.8 MB in Bun 1.4.5, which an initramfs would hold in memory.
 *   Two segments, one with a bss and one for what follows it, say the same.
 * - The section headers and what only they reach. This is not for the size: strip(1) goes by sections, knows
 *   nothing of the segments that static.ts added, and leaves a program that crashes; and dracut strips whatever
 *   it puts into an initramfs. Without section headers strip refuses the file and leaves it as it is.
 */

import {
  alignDown,
  alignUp,
  E_SHENTSIZE,
  E_SHNUM,
  E_SHOFF,
  E_SHSTRNDX,
  type Elf64,
  PackError,
  PF_W,
  PHDR_SIZE,
  type ProgramHeader,
  PT_LOAD,
  writeProgramHeaders,
} from "./elf64.ts";

const SHDR_SIZE = 64;
const SHT_NOBITS = 8;
const SHF_TLS = 0x400;

/**
 * Returns the file that holds what the PT_LOADs among `kept` map, and nothing else.
 *
 * @param program the whole program; its own program header table gives the room there is for the new one
 * @param kept the new table; what is not a PT_LOAD in it refers to no place in the file
 * @param page the machine's page size in bytes
 * @throws PackError if the table has no room, if its first PT_LOAD does not hold the table, or if the program's
 *   section headers lie outside it
 */
export function trim(program: Elf64, kept: readonly ProgramHeader[], page: number): Uint8Array {
  const bss = bssRanges(program);
  const headers = kept.flatMap((header) =>
    header.type === PT_LOAD ? splitAtZeros(program, header, bss, page) : [header],
  );

  // One after the other, each at the first place that is as far into a page as its address is.
  const pieces: { at: number; bytes: Uint8Array }[] = [];
  let end = 0;
  const moved = headers.map((header) => {
    if (header.type !== PT_LOAD) return header;
    const offset = end + ((((header.address - end) % page) + page) % page);
    pieces.push({
      at: offset,
      bytes: program.bytes.subarray(header.offset, header.offset + header.fileSize),
    });
    end = offset + header.fileSize;
    return { ...header, offset };
  });
  const first = headers.find((header) => header.type === PT_LOAD);
  const tableEnd = program.programHeaderOffset + headers.length * PHDR_SIZE;
  if (first?.offset !== 0 || first.address % page !== 0 || first.fileSize < tableEnd) {
    throw new PackError(
      `Cannot trim ${program.name}: its first segment does not hold its headers (e_phoff ${program.programHeaderOffset})`,
    );
  }

  const output = new Uint8Array(end);
  for (const piece of pieces) output.set(piece.bytes, piece.at);
  const view = new DataView(output.buffer);
  writeProgramHeaders(view, program, moved);
  view.setBigUint64(E_SHOFF, 0n, true);
  for (const field of [E_SHENTSIZE, E_SHNUM, E_SHSTRNDX]) view.setUint16(field, 0, true);
  return output;
}

interface Range {
  start: number;
  end: number;
}

/** The addresses of every section that is only zeros in memory. A thread's are none: they are a template's. */
function bssRanges(program: Elf64): Range[] {
  const { view, name, bytes } = program;
  const table = Number(view.getBigUint64(E_SHOFF, true));
  const count = view.getUint16(E_SHNUM, true);
  if (count === 0) return [];
  if (view.getUint16(E_SHENTSIZE, true) !== SHDR_SIZE || table + count * SHDR_SIZE > bytes.length) {
    throw new PackError(
      `Cannot trim ${name}: its section headers lie outside it (e_shoff ${table}, e_shnum ${count})`,
    );
  }
  const ranges: Range[] = [];
  for (let i = 0; i < count; i++) {
    const at = table + i * SHDR_SIZE;
    const flags = view.getBigUint64(at + 8, true);
    if (view.getUint32(at + 4, true) !== SHT_NOBITS || (flags & BigInt(SHF_TLS)) !== 0n) continue;
    const start = Number(view.getBigUint64(at + 16, true));
    ranges.push({ start, end: start + Number(view.getBigUint64(at + 32, true)) });
  }
  return ranges;
}

/** Cuts a writable segment where a bss was written out in whole pages; the zeros stay in memory only. */
function splitAtZeros(
  program: Elf64,
  segment: ProgramHeader,
  bss: readonly Range[],
  page: number,
): ProgramHeader[] {
  if ((segment.flags & PF_W) === 0) return [segment];
  for (const range of bss) {
    const start = alignUp(range.start, page);
    const end = alignDown(range.end, page);
    if (start >= end || start <= segment.address || end >= segment.address + segment.fileSize) continue;
    const at = segment.offset + (start - segment.address);
    if (program.bytes.subarray(at, at + (end - start)).some((byte) => byte !== 0)) continue;
    const skipped = end - segment.address;
    return [
      { ...segment, fileSize: start - segment.address, memorySize: skipped },
      {
        ...segment,
        offset: segment.offset + skipped,
        address: end,
        physicalAddress: end,
        fileSize: segment.fileSize - skipped,
        memorySize: segment.memorySize - skipped,
      },
    ];
  }
  return [segment];
}
