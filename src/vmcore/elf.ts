/**
 * The ELF header and program headers of a vmcore, ELF64 or ELF32, of either byte order.
 *
 * Nothing in the file is believed before it is checked: every offset and size must lie inside the file, and
 * the number of program headers is bounded before memory is taken for them. Layout: the System V ABI, chapters
 * "ELF Header" and "Program Header"; PN_XNUM: elf(5).
 */
import { VmcopyError } from "../errors.ts";

/** Random access to a file's bytes. */
export interface ByteReader {
  readonly path: string;
  /** bytes */
  readonly size: number;
  /** Up to `length` bytes at `offset`, fewer where the file ends. */
  read(offset: number, length: number): Uint8Array<ArrayBuffer>;
}

/** One program header. */
export interface Segment {
  /** its place in the program header table */
  readonly index: number;
  /** PF_R 4, PF_W 2, PF_X 1 */
  readonly flags: number;
  /** bytes from the file's start */
  readonly offset: number;
  /** bytes in the file */
  readonly fileSize: number;
  /** bytes in memory */
  readonly memorySize: bigint;
  readonly virtualAddress: bigint;
  /** undefined where p_paddr is all ones, that is unknown */
  readonly physicalAddress: bigint | undefined;
  readonly align: number;
}

export interface ElfHeaders {
  readonly elfClass: 32 | 64;
  readonly littleEndian: boolean;
  /** e_machine: 62 x86_64, 183 aarch64, ... */
  readonly machine: number;
  /** e_flags; bit 0 is makedumpfile's mark of an incomplete dump */
  readonly flags: number;
  /** bytes from the file's start to the end of the program headers, and of the section header that follows them */
  readonly headersEnd: number;
  /** PT_LOAD segments in the order of the table */
  readonly loads: readonly Segment[];
  /** PT_NOTE segments in the order of the table */
  readonly notes: readonly Segment[];
}

export const EM_X86_64 = 62;
export const EM_AARCH64 = 183;

const ET_CORE = 4;
const PT_LOAD = 1;
const PT_NOTE = 4;
const PN_XNUM = 0xffff;
/** Program headers that are still read; the kernel makes one for each piece of RAM, a few dozen at the most. */
const MOST_SEGMENTS = 262_144;
/** Program headers read at a time. */
const BATCH = 1024;

/** Where the fields lie, by class: [offset in the structure, width in bytes]. */
interface Fields {
  readonly headerSize: number;
  readonly phoff: number;
  readonly shoff: number;
  readonly flags: number;
  readonly phentsize: number;
  readonly entrySize: number;
  readonly sectionSize: number;
  readonly sectionInfo: number;
  readonly entry: Record<"flags" | "offset" | "vaddr" | "paddr" | "filesz" | "memsz" | "align", number>;
}

const ELF64: Fields = {
  headerSize: 64,
  phoff: 32,
  shoff: 40,
  flags: 48,
  phentsize: 54,
  entrySize: 56,
  sectionSize: 64,
  sectionInfo: 44,
  entry: { flags: 4, offset: 8, vaddr: 16, paddr: 24, filesz: 32, memsz: 40, align: 48 },
};

const ELF32: Fields = {
  headerSize: 52,
  phoff: 28,
  shoff: 32,
  flags: 36,
  phentsize: 42,
  entrySize: 32,
  sectionSize: 40,
  sectionInfo: 28,
  entry: { flags: 24, offset: 4, vaddr: 8, paddr: 12, filesz: 16, memsz: 20, align: 28 },
};

/** Reads and checks the headers. @throws VmcopyError E_NOT_VMCORE naming the field and its value */
export function readElfHeaders(file: ByteReader): ElfHeaders {
  const refuse = (reason: string): never => {
    throw new VmcopyError("E_NOT_VMCORE", `Cannot read ${file.path} as a vmcore: ${reason}`);
  };
  if (file.size === 0) refuse("it is empty");
  const ident = file.read(0, 64);
  if (ident.length < 20 || ident[0] !== 0x7f || ident[1] !== 0x45 || ident[2] !== 0x4c || ident[3] !== 0x46) {
    refuse(`no ELF header (it begins with ${hexBytes(ident.subarray(0, 4))})`);
  }
  const classByte = ident[4];
  if (classByte !== 1 && classByte !== 2) refuse(`EI_CLASS is ${classByte}, not 1 (ELF32) or 2 (ELF64)`);
  const dataByte = ident[5];
  if (dataByte !== 1 && dataByte !== 2)
    refuse(`EI_DATA is ${dataByte}, not 1 (little-endian) or 2 (big-endian)`);
  const wide = classByte === 2;
  const fields = wide ? ELF64 : ELF32;
  if (ident.length < fields.headerSize) refuse(`its ELF header is cut off (${ident.length} bytes)`);
  const littleEndian = dataByte === 1;
  const header = new DataView(ident.buffer, ident.byteOffset, ident.length);
  const word = (view: DataView, at: number) =>
    wide ? view.getBigUint64(at, littleEndian) : BigInt(view.getUint32(at, littleEndian));

  const type = header.getUint16(16, littleEndian);
  if (type !== ET_CORE) refuse(`e_type is ${type}, not ${ET_CORE} (ET_CORE)`);
  const entrySize = header.getUint16(fields.phentsize, littleEndian);
  if (entrySize !== fields.entrySize) refuse(`e_phentsize is ${entrySize}, not ${fields.entrySize}`);
  const tableOffset = word(header, fields.phoff);

  let count = header.getUint16(fields.phentsize + 2, littleEndian);
  let sectionOffset = 0n;
  if (count === PN_XNUM) {
    // More than 65,534 program headers: the number is in sh_info of section header 0.
    sectionOffset = word(header, fields.shoff);
    if (sectionOffset === 0n || sectionOffset + BigInt(fields.sectionSize) > BigInt(file.size)) {
      refuse(`e_phnum is PN_XNUM, but e_shoff is ${sectionOffset}, outside the file (${file.size} bytes)`);
    }
    const section = file.read(Number(sectionOffset), fields.sectionSize);
    if (section.length < fields.sectionSize)
      refuse(`its section header at ${sectionOffset} (e_shoff) is cut off`);
    count = viewOf(section).getUint32(fields.sectionInfo, littleEndian);
  }
  if (count === 0) refuse("e_phnum is 0: there are no program headers");
  if (count > MOST_SEGMENTS) refuse(`e_phnum is ${count}, more than ${MOST_SEGMENTS}`);
  if (
    tableOffset < BigInt(fields.headerSize) ||
    tableOffset + BigInt(count * entrySize) > BigInt(file.size)
  ) {
    refuse(
      `e_phoff ${tableOffset} with ${count} program headers lies outside the file (${file.size} bytes): is it cut off?`,
    );
  }

  const loads: Segment[] = [];
  const notes: Segment[] = [];
  for (let first = 0; first < count; first += BATCH) {
    const batch = Math.min(BATCH, count - first);
    const bytes = file.read(Number(tableOffset) + first * entrySize, batch * entrySize);
    if (bytes.length < batch * entrySize) refuse(`its program headers are cut off at number ${first}`);
    const table = viewOf(bytes);
    for (let i = 0; i < batch; i++) {
      const entry = new DataView(table.buffer, table.byteOffset + i * entrySize, entrySize);
      const segmentType = entry.getUint32(0, littleEndian);
      if (segmentType !== PT_LOAD && segmentType !== PT_NOTE) continue;
      const index = first + i;
      const name = `${segmentType === PT_LOAD ? "PT_LOAD" : "PT_NOTE"} (program header ${index})`;
      const offset = word(entry, fields.entry.offset);
      const fileSize = word(entry, fields.entry.filesz);
      const memorySize = word(entry, fields.entry.memsz);
      const physical = word(entry, fields.entry.paddr);
      if (offset + fileSize > BigInt(file.size)) {
        refuse(
          `${name} has p_offset ${offset} and p_filesz ${fileSize}, past the file's end (${file.size} bytes): is it cut off?`,
        );
      }
      if (segmentType === PT_LOAD && fileSize > memorySize) {
        refuse(`${name} has p_filesz ${fileSize}, more than its p_memsz ${memorySize}`);
      }
      const unknown = physical === (wide ? 0xffff_ffff_ffff_ffffn : 0xffff_ffffn);
      if (segmentType === PT_LOAD && !unknown && physical + memorySize > 1n << 64n) {
        refuse(`${name} has p_paddr 0x${physical.toString(16)} and p_memsz ${memorySize}, past 2^64`);
      }
      (segmentType === PT_LOAD ? loads : notes).push({
        index,
        flags: entry.getUint32(fields.entry.flags, littleEndian),
        offset: Number(offset),
        fileSize: Number(fileSize),
        memorySize,
        virtualAddress: word(entry, fields.entry.vaddr),
        physicalAddress: unknown ? undefined : physical,
        align: Number(word(entry, fields.entry.align)),
      });
    }
  }
  if (loads.length === 0) refuse(`none of its ${count} program headers is a PT_LOAD`);
  const tableEnd = Number(tableOffset) + count * entrySize;
  return {
    elfClass: wide ? 64 : 32,
    littleEndian,
    machine: header.getUint16(18, littleEndian),
    flags: header.getUint32(fields.flags, littleEndian),
    headersEnd: sectionOffset === BigInt(tableEnd) ? tableEnd + fields.sectionSize : tableEnd,
    loads,
    notes,
  };
}

/** A view that starts where the bytes start. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function hexBytes(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(" ") || "nothing";
}
