/**
 * Writes the headers and notes of an ELF core file: ELF64 or ELF32, either byte order, with the count of
 * program headers in a section header where there are too many (PN_XNUM). Any field can be set to a wrong
 * value, so that tests can make hostile files of right ones.
 *
 * Layout: System V ABI, "ELF Header" and "Program Header"; PN_XNUM and the Nhdr: elf(5).
 */

export const PT_LOAD = 1;
export const PT_NOTE = 4;
export const EM_X86_64 = 62;
const ET_CORE = 4;
const PN_XNUM = 0xffff;

/** One program header. Sizes and offsets in bytes; what does not fit the field is cut to it. */
export interface ProgramHeader {
  readonly type: number;
  /** PF_R 4, PF_W 2, PF_X 1 */
  readonly flags?: number;
  readonly offset: number | bigint;
  readonly virtualAddress?: bigint;
  readonly physicalAddress?: bigint;
  readonly fileSize: number | bigint;
  /** fileSize unless told */
  readonly memorySize?: number | bigint;
  readonly align?: number | bigint;
}

export interface ElfDescription {
  readonly class: 32 | 64;
  readonly segments: readonly ProgramHeader[];
  /** default true */
  readonly littleEndian?: boolean;
  /** e_machine; x86_64 unless told */
  readonly machine?: number;
  /** e_type; ET_CORE unless told */
  readonly type?: number;
  readonly flags?: number;
  /** Put the count into a section header, as more than 65,534 segments must; false forbids it. */
  readonly extendedCount?: boolean;
  /** Fields of the ELF header to set to something else than the truth. */
  readonly lies?: Partial<Record<ElfField, number | bigint>>;
}

export type ElfField =
  | "magic"
  | "class"
  | "data"
  | "identVersion"
  | "version"
  | "phoff"
  | "shoff"
  | "ehsize"
  | "phentsize"
  | "phnum"
  | "shentsize"
  | "shnum"
  | "shInfo";

/** Bytes of the ELF header, of one program header and of one section header. */
const SIZES = { 32: [52, 32, 40], 64: [64, 56, 64] } as const;

/**
 * Bytes that {@link encodeElfHeaders} gives for so many segments.
 *
 * @param count program headers, all types
 */
export function elfHeadersSize(elfClass: 32 | 64, count: number, extendedCount = count >= PN_XNUM): number {
  const [header, program, section] = SIZES[elfClass];
  return header + program * count + (extendedCount ? section : 0);
}

/** The ELF header, the program headers after it and, with an extended count, one section header after these. */
export function encodeElfHeaders(elf: ElfDescription): Uint8Array<ArrayBuffer> {
  const [headerSize, programSize, sectionSize] = SIZES[elf.class];
  const count = elf.segments.length;
  const extended = elf.extendedCount ?? count >= PN_XNUM;
  const bytes = new Uint8Array(elfHeadersSize(elf.class, count, extended));
  const out = new FieldWriter(bytes, elf.class, elf.littleEndian ?? true);
  const field = (name: ElfField, truth: number | bigint) => elf.lies?.[name] ?? truth;
  const sections = headerSize + count * programSize;

  new DataView(bytes.buffer).setUint32(0, Number(field("magic", 0x7f454c46))); // big-endian: read as text
  bytes[4] = Number(field("class", elf.class === 64 ? 2 : 1));
  bytes[5] = Number(field("data", (elf.littleEndian ?? true) ? 1 : 2));
  bytes[6] = Number(field("identVersion", 1));
  out.at = 16;
  out.half(elf.type ?? ET_CORE);
  out.half(elf.machine ?? EM_X86_64);
  out.word(field("version", 1));
  out.long(0); // e_entry
  out.long(field("phoff", headerSize));
  out.long(field("shoff", extended ? sections : 0));
  out.word(elf.flags ?? 0);
  out.half(field("ehsize", headerSize));
  out.half(field("phentsize", programSize));
  out.half(field("phnum", extended ? PN_XNUM : count));
  out.half(field("shentsize", extended ? sectionSize : 0));
  out.half(field("shnum", extended ? 1 : 0));
  out.half(0); // e_shstrndx

  for (const segment of elf.segments) writeProgramHeader(out, segment, elf.class);
  if (extended) {
    out.at = sections + (elf.class === 64 ? 44 : 28); // sh_info of section header 0
    out.word(field("shInfo", count));
  }
  return bytes;
}

function writeProgramHeader(out: FieldWriter, segment: ProgramHeader, elfClass: 32 | 64): void {
  out.word(segment.type);
  if (elfClass === 64) out.word(segment.flags ?? 0);
  out.long(segment.offset);
  out.long(segment.virtualAddress ?? 0n);
  out.long(segment.physicalAddress ?? 0n);
  out.long(segment.fileSize);
  out.long(segment.memorySize ?? segment.fileSize);
  if (elfClass === 32) out.word(segment.flags ?? 0);
  out.long(segment.align ?? 0);
}

/** One note: `name` without its closing NUL, which is written; `description` as it is. */
export interface Note {
  readonly name: string;
  readonly type: number;
  readonly description: Uint8Array;
}

/**
 * Notes one after the other, name and description of each padded with zeros.
 *
 * @param align bytes to pad to: 4, in ELF64 files too, or 8
 */
export function encodeNotes(
  notes: readonly Note[],
  align: 4 | 8 = 4,
  littleEndian = true,
): Uint8Array<ArrayBuffer> {
  const pad = (size: number) => Math.ceil(size / align) * align;
  const sizes = notes.map((note) => pad(12 + note.name.length + 1) + pad(note.description.length));
  const bytes = new Uint8Array(sizes.reduce((sum, size) => sum + size, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [index, note] of notes.entries()) {
    view.setUint32(at, note.name.length + 1, littleEndian);
    view.setUint32(at + 4, note.description.length, littleEndian);
    view.setUint32(at + 8, note.type, littleEndian);
    bytes.set(new TextEncoder().encode(note.name), at + 12);
    bytes.set(note.description, at + pad(12 + note.name.length + 1));
    at += sizes[index] as number;
  }
  return bytes;
}

/** Writes ELF's field types one after the other: half 2, word 4, long 4 or 8 bytes by class. */
class FieldWriter {
  at = 0;
  readonly #view: DataView;
  readonly #class: 32 | 64;
  readonly #littleEndian: boolean;

  constructor(bytes: Uint8Array<ArrayBuffer>, elfClass: 32 | 64, littleEndian: boolean) {
    this.#view = new DataView(bytes.buffer);
    this.#class = elfClass;
    this.#littleEndian = littleEndian;
  }

  half(value: number | bigint): void {
    this.#view.setUint16(this.at, Number(value), this.#littleEndian);
    this.at += 2;
  }

  word(value: number | bigint): void {
    this.#view.setUint32(this.at, Number(value), this.#littleEndian);
    this.at += 4;
  }

  long(value: number | bigint): void {
    if (this.#class === 64) this.#view.setBigUint64(this.at, BigInt(value), this.#littleEndian);
    else this.#view.setUint32(this.at, Number(BigInt.asUintN(32, BigInt(value))), this.#littleEndian);
    this.at += this.#class / 8;
  }
}
