/**
 * The file of the pretended machine's vmcore: which piece of memory comes to stand where, and the headers and
 * notes before them.
 *
 * The rules are those of /proc/vmcore (Linux, fs/proc/vmcore.c): headers and notes padded with zeros to whole
 * pages; memory in whole pages, p_offset as far into them as p_paddr is into its page; no gaps.
 */
import {
  EM_X86_64,
  elfHeadersSize,
  encodeElfHeaders,
  type ProgramHeader,
  PT_LOAD,
  PT_NOTE,
} from "../dump/elf-headers.ts";
import { sampleNotes } from "./notes.ts";
import { type Machine, type MemoryRange, PAGE } from "./plan.ts";

/** One PT_LOAD. */
export interface SampleSegment extends MemoryRange {
  /** where its first whole page stands in the file, in bytes */
  readonly position: number;
}

export interface SampleLayout {
  readonly segments: readonly SampleSegment[];
  /** headers and notes: the file up to the first segment */
  readonly headers: Uint8Array<ArrayBuffer>;
  /** bytes of the file */
  readonly size: number;
}

const READ_WRITE_EXECUTE = 7;

/** Lays out the file. */
export function layOut(machine: Machine): SampleLayout {
  const notes = sampleNotes(machine);
  const notesOffset = roundUp(elfHeadersSize(64, 1 + machine.memory.length));
  let position = notesOffset + roundUp(notes.length);
  const headers = new Uint8Array(position);
  const segments = machine.memory.map((range): SampleSegment => {
    const segment = { ...range, position };
    position += range.pages * PAGE;
    return segment;
  });
  const note = { type: PT_NOTE, offset: notesOffset, fileSize: notes.length, align: 4 };
  headers.set(encodeElfHeaders({ class: 64, machine: EM_X86_64, segments: [note, ...segments.map(load)] }));
  headers.set(notes, notesOffset);
  return { segments, headers, size: position };
}

function load({ physicalAddress, virtualAddress, size, firstPfn, position }: SampleSegment): ProgramHeader {
  const offset = position + Number(physicalAddress) - firstPfn * PAGE;
  return {
    type: PT_LOAD,
    flags: READ_WRITE_EXECUTE,
    offset,
    virtualAddress,
    physicalAddress,
    fileSize: size,
  };
}

function roundUp(bytes: number): number {
  return Math.ceil(bytes / PAGE) * PAGE;
}
