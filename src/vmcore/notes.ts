/**
 * ELF notes of a vmcore: one NT_PRSTATUS for each CPU that saved its registers, VMCOREINFO, device dumps.
 *
 * A note is namesz, descsz and type (32 bits each), then the name and the descriptor, each ending at a multiple
 * of 4 bytes from the note's start, in ELF64 too; of 8 only where p_align is 8 (as drgn's elf_notes.h has it).
 */
import { VmcopyError } from "../errors.ts";
import { type ByteReader, type ElfHeaders, viewOf } from "./elf.ts";

export interface Note {
  readonly name: string;
  readonly type: number;
  /** where the descriptor lies: bytes from the file's start */
  readonly offset: number;
  /** bytes of the descriptor */
  readonly size: number;
}

export const NT_PRSTATUS = 1;

const HEADER = 12;
/** More than any machine's CPUs and devices; a bound on the time a hostile file can take. */
const MOST_NOTES = 65_536;
const LONGEST_NAME = 256;
/** VMCOREINFO is at most a page in today's kernels. */
const LONGEST_VMCOREINFO = 1 << 20;

/** All notes in file order. @throws VmcopyError E_NOT_VMCORE where one does not fit its segment */
export function readNotes(file: ByteReader, headers: ElfHeaders): Note[] {
  const notes: Note[] = [];
  for (const segment of headers.notes) {
    const refuse = (at: number, reason: string): never => {
      throw new VmcopyError(
        "E_NOT_VMCORE",
        `Cannot read the notes of ${file.path}: the note at offset ${segment.offset + at} has ${reason}`,
      );
    };
    const padding = segment.align === 8 ? 8 : 4;
    const padded = (size: number) => Math.ceil(size / padding) * padding;
    let at = 0;
    while (at + HEADER <= segment.fileSize) {
      const header = file.read(segment.offset + at, HEADER + LONGEST_NAME);
      if (header.length < HEADER) refuse(at, "no header: the file is cut off");
      const view = viewOf(header);
      const nameSize = view.getUint32(0, headers.littleEndian);
      const size = view.getUint32(4, headers.littleEndian);
      const type = view.getUint32(8, headers.littleEndian);
      // The kernel pads the segment with zeros to whole pages: they are not notes.
      if (nameSize === 0 && size === 0 && type === 0) break;
      const left = segment.fileSize - at - HEADER;
      if (nameSize > left) refuse(at, `n_namesz ${nameSize}, more than the ${left} bytes left`);
      const start = padded(HEADER + nameSize);
      const room = Math.max(0, segment.fileSize - at - start);
      if (size > room) refuse(at, `n_descsz ${size}, more than the ${room} bytes left`);
      if (notes.length >= MOST_NOTES) refuse(at, `more than ${MOST_NOTES} others before it`);
      const name = header.subarray(HEADER, HEADER + Math.min(nameSize, LONGEST_NAME));
      const end = name.indexOf(0);
      notes.push({
        name: new TextDecoder("latin1").decode(end < 0 ? name : name.subarray(0, end)),
        type,
        offset: segment.offset + at + start,
        size,
      });
      at += padded(start + size);
    }
  }
  return notes;
}

/** The text of the VMCOREINFO note. @returns undefined where there is none @throws VmcopyError if too large */
export function readVmcoreinfoText(file: ByteReader, notes: readonly Note[]): string | undefined {
  const note = notes.find(({ name }) => name === "VMCOREINFO");
  if (note === undefined) return undefined;
  if (note.size > LONGEST_VMCOREINFO) {
    throw new VmcopyError(
      "E_NOT_VMCORE",
      `Cannot read VMCOREINFO of ${file.path}: its n_descsz is ${note.size}, more than ${LONGEST_VMCOREINFO}`,
    );
  }
  return new TextDecoder("latin1").decode(file.read(note.offset, note.size));
}

/** Notes one behind the other in memory, each part padded to 4 bytes. @yields up to the first that does not fit */
function* notesIn(bytes: Uint8Array): Generator<{ name: string; type: number; at: number; size: number }> {
  const view = viewOf(bytes);
  const padded = (size: number) => Math.ceil(size / 4) * 4;
  for (let at = 0; at + HEADER <= bytes.length; ) {
    const [nameSize, size] = [view.getUint32(at, true), view.getUint32(at + 4, true)];
    const type = view.getUint32(at + 8, true);
    const start = at + HEADER + padded(nameSize);
    if ((nameSize === 0 && size === 0) || start + size > bytes.length) return;
    const name = bytes.subarray(at + HEADER, at + HEADER + Math.min(nameSize, LONGEST_NAME));
    const end = name.indexOf(0);
    yield {
      name: new TextDecoder("latin1").decode(end < 0 ? name : name.subarray(0, end)),
      type,
      at: start,
      size,
    };
    at = start + padded(size);
  }
}

/** The descriptor of the first note of a name. @param bytes notes, little-endian */
export function findNote(bytes: Uint8Array, name: string): Uint8Array | undefined {
  for (const note of notesIn(bytes))
    if (note.name === name) return bytes.subarray(note.at, note.at + note.size);
  return undefined;
}

/** How many notes have a name and a type. @param bytes notes, little-endian */
export function countNotes(bytes: Uint8Array, name: string, type: number): number {
  let count = 0;
  for (const note of notesIn(bytes)) if (note.name === name && note.type === type) count++;
  return count;
}
