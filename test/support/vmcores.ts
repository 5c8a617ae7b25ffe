/** Small vmcores of any shape, made in memory: true headers and notes, random data, any layout of PT_LOADs. */

import {
  type ElfDescription,
  elfHeadersSize,
  encodeElfHeaders,
  encodeNotes,
  type Note,
  PT_LOAD,
  PT_NOTE,
} from "../../src/dump/elf-headers.ts";
import type { ByteReader } from "../../src/vmcore/elf.ts";
import { Random } from "./random.ts";

export const PAGE = 4096;
export const VMCOREINFO =
  "OSRELEASE=6.12.0-test\nPAGESIZE=4096\nCRASHTIME=1700000000\nSYMBOL(_stext)=ffffffff81000000\n";

export interface LoadSpec {
  /** bytes from the end of headers and notes (a page border) */
  readonly offset: number;
  readonly length: number;
  readonly physicalAddress?: bigint;
  readonly memorySize?: bigint;
}

export interface VmcoreSpec extends Partial<Omit<ElfDescription, "segments">> {
  readonly loads: readonly LoadSpec[];
  readonly notes?: readonly Note[];
  /** bytes behind the last load */
  readonly tail?: number;
  /** seed of the data */
  readonly seed?: number;
  /** zero pages instead of random ones, by page number of the data */
  readonly zeroPage?: (page: number) => boolean;
}

export interface BuiltVmcore {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** bytes of ELF header and program headers (and section header) */
  readonly headersSize: number;
  readonly notesAt: number;
  readonly notesSize: number;
  /** where the data begins that LoadSpec.offset counts from */
  readonly dataAt: number;
}

export const PRSTATUS: Note = { name: "CORE", type: 1, description: new Uint8Array(336).fill(0x5a) };

/** Headers, one page-aligned note segment, then data. */
export function buildVmcore(spec: VmcoreSpec): BuiltVmcore {
  const elfClass = spec.class ?? 64;
  const notes = encodeNotes(
    spec.notes ?? [
      PRSTATUS,
      { name: "VMCOREINFO", type: 0, description: new TextEncoder().encode(VMCOREINFO) },
    ],
    4,
    spec.littleEndian ?? true,
  );
  const headersSize = elfHeadersSize(elfClass, spec.loads.length + 1, spec.extendedCount);
  const notesAt = roundUp(headersSize);
  const dataAt = notesAt + roundUp(notes.length);
  const end = spec.loads.reduce((most, load) => Math.max(most, load.offset + load.length), 0);
  const bytes = new Uint8Array(dataAt + end + (spec.tail ?? 0));
  const data = bytes.subarray(dataAt);
  new Random(spec.seed ?? 1).fill(data);
  for (let page = 0; page * PAGE < data.length; page++) {
    if (spec.zeroPage?.(page) === true) data.fill(0, page * PAGE, (page + 1) * PAGE);
  }
  bytes.set(
    encodeElfHeaders({
      ...spec,
      class: elfClass,
      segments: [
        { type: PT_NOTE, offset: notesAt, fileSize: notes.length, align: 4 },
        ...spec.loads.map(({ offset, length, physicalAddress, memorySize }, index) => ({
          type: PT_LOAD,
          flags: 7,
          offset: dataAt + offset,
          fileSize: length,
          memorySize: memorySize ?? BigInt(length),
          virtualAddress: 0xffff8880_0000_0000n + BigInt(offset),
          physicalAddress: physicalAddress ?? BigInt(0x100000 * (index + 1)),
        })),
      ],
    }),
  );
  bytes.set(notes, notesAt);
  return { bytes, headersSize, notesAt, notesSize: notes.length, dataAt };
}

/** Bytes in memory as a file. Notes the largest piece that was asked for. */
export class MemoryReader implements ByteReader {
  readonly path = "memory";
  largest = 0;
  reads = 0;

  constructor(readonly bytes: Uint8Array<ArrayBuffer>) {}

  get size(): number {
    return this.bytes.length;
  }

  read(offset: number, length: number): Uint8Array<ArrayBuffer> {
    this.largest = Math.max(this.largest, length);
    this.reads++;
    return this.bytes.slice(offset, offset + length);
  }
}

/** Loads at random places: page-aligned or not, apart, touching, overlapping, of any size up to `largest`. */
export function randomLoads(random: Random, most: number, largest: number): LoadSpec[] {
  const loads: LoadSpec[] = [];
  let cursor = 0;
  const count = random.between(1, most);
  for (let i = 0; i < count; i++) {
    const aligned = random.chance(0.5);
    const shape = random.below(4);
    const unit = aligned ? PAGE : 1;
    const back = shape === 0 ? random.below(cursor + 1) : cursor;
    const gap = shape === 1 ? random.below(5 * PAGE) : 0;
    const offset = Math.floor((back + gap) / unit) * unit;
    const length = random.chance(0.05)
      ? 0
      : Math.max(1, Math.floor(random.between(1, largest) / unit) * unit);
    const unknown = random.chance(0.1);
    loads.push({
      offset,
      length,
      physicalAddress: unknown ? 0xffff_ffff_ffff_ffffn : BigInt(offset + random.below(1000) * PAGE),
    });
    cursor = Math.max(cursor, offset + length);
  }
  return random.chance(0.3) ? loads.reverse() : loads;
}

export function roundUp(size: number): number {
  return Math.ceil(size / PAGE) * PAGE;
}
