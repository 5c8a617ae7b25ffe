/**
 * ELF64 as the linker in static.ts needs it: the ELF header and the program headers, read and written. Every
 * offset that comes from the file is checked against the file before it is followed. Names and numbers are
 * those of elf.h (System V ABI, chapters 4 and 5). Little endian only: so are the machines this is for.
 */

export const ET_EXEC = 2;
export const ET_DYN = 3;

export const PT_LOAD = 1;
export const PT_DYNAMIC = 2;
export const PT_INTERP = 3;
export const PT_PHDR = 6;
export const PT_GNU_STACK = 0x6474e551;
export const PT_GNU_PROPERTY = 0x6474e553;

export const PF_X = 1;
export const PF_W = 2;
export const PF_R = 4;

export const EHDR_SIZE = 64;
export const PHDR_SIZE = 56;

/** Offsets of the ELF header's fields that are rewritten. */
export const E_ENTRY = 24;
export const E_SHOFF = 40;
export const E_PHNUM = 56;
export const E_SHENTSIZE = 58;
export const E_SHNUM = 60;
export const E_SHSTRNDX = 62;

/** One entry of the program header table (Elf64_Phdr). Addresses and sizes are bytes, all below 2^53. */
export interface ProgramHeader {
  type: number;
  flags: number;
  offset: number;
  address: number;
  physicalAddress: number;
  fileSize: number;
  memorySize: number;
  align: number;
}

/** An ELF64 file whose headers have been read and found to lie within it. */
export interface Elf64 {
  bytes: Uint8Array;
  view: DataView;
  /** What error messages call the file. */
  name: string;
  type: number;
  machine: number;
  entry: number;
  programHeaderOffset: number;
  programHeaders: ProgramHeader[];
}

/** A file that is not what the linker can work with. `message` reads "Cannot <action>: <reason> (<value>)". */
export class PackError extends Error {
  override name = "PackError";
}

/**
 * Reads the ELF header and the program headers.
 *
 * @param bytes the whole file
 * @param name what error messages call it
 * @throws PackError if it is not a little-endian ELF64 file, or a header or segment lies outside it
 */
export function readElf64(bytes: Uint8Array, name: string): Elf64 {
  const bad = (reason: string) => new PackError(`Cannot read ${name}: ${reason}`);
  if (bytes.length < 4 || bytes[0] !== 0x7f || bytes[1] !== 0x45 || bytes[2] !== 0x4c || bytes[3] !== 0x46) {
    throw bad("it is not an ELF file");
  }
  if (bytes.length < EHDR_SIZE) throw bad(`it ends within the ELF header (${bytes.length} bytes)`);
  if (bytes[4] !== 2) throw bad(`it is not a 64-bit ELF file (EI_CLASS ${bytes[4]})`);
  if (bytes[5] !== 1) throw bad(`it is not little endian (EI_DATA ${bytes[5]})`);

  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const programHeaderOffset = readU64(view, 32, name);
  const entrySize = view.getUint16(54, true);
  const count = view.getUint16(E_PHNUM, true);
  if (count === 0) throw bad("it has no program headers (e_phnum 0)");
  if (entrySize !== PHDR_SIZE)
    throw bad(`its program headers have an unknown size (e_phentsize ${entrySize})`);
  if (programHeaderOffset + count * PHDR_SIZE > bytes.length) {
    throw bad(`its program headers lie outside it (e_phoff ${programHeaderOffset}, e_phnum ${count})`);
  }

  const programHeaders: ProgramHeader[] = [];
  for (let i = 0; i < count; i++) {
    const header = readProgramHeader(view, programHeaderOffset + i * PHDR_SIZE, name);
    if (header.offset + header.fileSize > bytes.length) {
      throw bad(
        `program header ${i} lies outside it (p_offset ${header.offset}, p_filesz ${header.fileSize}, ` +
          `file size ${bytes.length})`,
      );
    }
    if (header.type === PT_LOAD && header.fileSize > header.memorySize) {
      throw bad(`program header ${i} is larger in the file than in memory (p_filesz ${header.fileSize})`);
    }
    programHeaders.push(header);
  }
  return {
    bytes,
    view,
    name,
    type: view.getUint16(16, true),
    machine: view.getUint16(18, true),
    entry: readU64(view, E_ENTRY, name),
    programHeaderOffset,
    programHeaders,
  };
}

function readProgramHeader(view: DataView, at: number, name: string): ProgramHeader {
  return {
    type: view.getUint32(at, true),
    flags: view.getUint32(at + 4, true),
    offset: readU64(view, at + 8, name),
    address: readU64(view, at + 16, name),
    physicalAddress: readU64(view, at + 24, name),
    fileSize: readU64(view, at + 32, name),
    memorySize: readU64(view, at + 40, name),
    align: readU64(view, at + 48, name),
  };
}

/** Writes one program header at `at`: the mirror of what `readElf64` reads. */
export function writeProgramHeader(view: DataView, at: number, header: ProgramHeader): void {
  view.setUint32(at, header.type, true);
  view.setUint32(at + 4, header.flags, true);
  const words = [
    header.offset,
    header.address,
    header.physicalAddress,
    header.fileSize,
    header.memorySize,
    header.align,
  ];
  words.forEach((word, i) => {
    view.setBigUint64(at + 8 + i * 8, BigInt(word), true);
  });
}

/**
 * Writes a whole program header table in the place of `program`'s, and its length to the ELF header.
 *
 * @param view the file to write to, which begins as `program` does
 * @throws PackError if there are more headers than there is room for
 */
export function writeProgramHeaders(view: DataView, program: Elf64, headers: ProgramHeader[]): void {
  const room = program.programHeaders.length;
  if (headers.length > room) {
    throw new PackError(
      `Cannot change ${program.name}: its program header table has no room (${headers.length} entries, room for ${room})`,
    );
  }
  headers.forEach((header, i) => {
    writeProgramHeader(view, program.programHeaderOffset + i * PHDR_SIZE, header);
  });
  view.setUint16(E_PHNUM, headers.length, true);
}

/** The PT_LOADs in the order of the file. @throws PackError if there is none. */
export function loadSegments(elf: Elf64): ProgramHeader[] {
  const loads = elf.programHeaders.filter((header) => header.type === PT_LOAD);
  if (loads.length === 0) throw new PackError(`Cannot read ${elf.name}: it has no PT_LOAD segment`);
  return loads;
}

/**
 * Where in the file the byte at a virtual address lies.
 *
 * @param length how many bytes from there on have to be in the file
 * @throws PackError if no PT_LOAD holds them
 */
export function fileOffsetOf(elf: Elf64, address: number, length: number, what: string): number {
  for (const header of elf.programHeaders) {
    if (header.type !== PT_LOAD) continue;
    if (address >= header.address && address + length <= header.address + header.fileSize) {
      return header.offset + (address - header.address);
    }
  }
  throw new PackError(
    `Cannot read ${elf.name}: no segment holds its ${what} (address 0x${address.toString(16)})`,
  );
}

/** The zero-terminated string at a file offset. */
export function stringAt(elf: Elf64, offset: number): string {
  const end = elf.bytes.indexOf(0, offset);
  if (end < 0) throw new PackError(`Cannot read ${elf.name}: a name in it has no end (offset ${offset})`);
  return new TextDecoder("latin1").decode(elf.bytes.subarray(offset, end));
}

function readU64(view: DataView, at: number, name: string): number {
  const value = view.getBigUint64(at, true);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new PackError(
      `Cannot read ${name}: a field in its headers is absurd (0x${value.toString(16)} at ${at})`,
    );
  }
  return Number(value);
}

/** The last multiple of `unit` at or below `value`. */
export function alignDown(value: number, unit: number): number {
  return value - (value % unit);
}

/** The first multiple of `unit` at or above `value`. */
export function alignUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}
