/** Vmcores for tests: samples, and crafted ones with segments of the test's choice. */
import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";
import {
  type ElfDescription,
  elfHeadersSize,
  encodeElfHeaders,
  encodeNotes,
  type ProgramHeader,
  PT_LOAD,
  PT_NOTE,
} from "../../src/dump/elf-headers.ts";
import type { SampleOptions } from "../../src/sample/plan.ts";
import { type SampleSummary, writeSample } from "../../src/sample/sample.ts";

/** Writes a sample to a path. @returns what was written */
export function writeSampleFile(path: string, options: SampleOptions): SampleSummary {
  const fd = openSync(path, "w", 0o600);
  try {
    return writeSample(
      {
        truncate: (size) => ftruncateSync(fd, size),
        write: (offset, bytes) => {
          if (writeSync(fd, bytes, 0, bytes.length, offset) !== bytes.length) throw new Error("short write");
        },
      },
      options,
    );
  } finally {
    closeSync(fd);
  }
}

/** A PT_LOAD of a crafted vmcore; its memory comes to stand where the kernel would put it. */
export interface CraftedLoad {
  readonly physicalAddress: bigint;
  /** bytes in the file and in memory */
  readonly size: number;
  readonly virtualAddress?: bigint;
}

export interface Crafted extends Partial<Omit<ElfDescription, "segments">> {
  readonly loads: readonly CraftedLoad[];
  /** text of the VMCOREINFO note */
  readonly vmcoreinfo?: string;
  /** Program headers as they shall stand in the file, made of the right ones. */
  readonly change?: (segments: ProgramHeader[]) => ProgramHeader[];
}

export const PAGE = 4096;
const roundUp = (bytes: number) => Math.ceil(bytes / PAGE) * PAGE;

/** Writes a vmcore of empty memory, laid out as /proc/vmcore is. @returns its size in bytes */
export function writeCrafted(path: string, crafted: Crafted): number {
  const { loads, vmcoreinfo = "OSRELEASE=6.1.0-test\nPAGESIZE=4096\n", change, ...elf } = crafted;
  const elfClass = elf.class ?? 64;
  const notes = encodeNotes(
    [
      { name: "CORE", type: 1, description: new Uint8Array(336) },
      { name: "VMCOREINFO", type: 0, description: new TextEncoder().encode(vmcoreinfo) },
    ],
    4,
    elf.littleEndian ?? true,
  );
  const notesOffset = roundUp(elfHeadersSize(elfClass, 1 + loads.length, elf.extendedCount));
  let position = notesOffset + roundUp(notes.length);
  const segments: ProgramHeader[] = [
    { type: PT_NOTE, offset: notesOffset, fileSize: notes.length, align: 4 },
  ];
  for (const { physicalAddress, size, virtualAddress = 0xffff_8880_0000_0000n + physicalAddress } of loads) {
    const into = Number(physicalAddress % BigInt(PAGE));
    segments.push({
      type: PT_LOAD,
      flags: 7,
      offset: position + into,
      physicalAddress,
      virtualAddress,
      fileSize: size,
    });
    position += roundUp(into + size);
  }
  const headers = encodeElfHeaders({ class: elfClass, ...elf, segments: change?.(segments) ?? segments });
  const fd = openSync(path, "w", 0o600);
  try {
    ftruncateSync(fd, position);
    writeSync(fd, headers, 0, headers.length, 0);
    writeSync(fd, notes, 0, notes.length, notesOffset);
  } finally {
    closeSync(fd);
  }
  return position;
}
