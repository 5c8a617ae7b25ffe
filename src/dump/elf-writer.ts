/**
 * Writes a filtered ELF dump, from front to back: ELF header, program headers, notes, then the stored pages in PFN
 * order. What goes where is known before the first byte, so a pipe can take it.
 *
 * Until it is whole, bit 0 of e_flags is set, makedumpfile's mark of an incomplete dump (where the header can be
 * written once more; a stream that was cut off is known by its size).
 */

import { VmcopyError } from "../errors.ts";
import { EM_AARCH64, EM_X86_64 } from "../vmcore/elf.ts";
import type { Architecture, PfnRun } from "../vmcore/memory.ts";
import type { DumpOutput } from "./dump-file.ts";
import { elfHeadersSize, encodeElfHeaders, type ProgramHeader, PT_LOAD, PT_NOTE } from "./elf-headers.ts";
import { type ElfLoad, elfLoads, type PageSet } from "./elf-segments.ts";
import type { VirtualRange, VirtualRanges } from "./virtual-ranges.ts";

/** As many as vmcopy reads back; readers look through all of them for each page. */
const MOST_SEGMENTS = 262_144;
const READ_WRITE_EXECUTE = 7;
const INCOMPLETE = 1;
const E_FLAGS = 48;

export interface ElfPlan {
  readonly path: string;
  readonly architecture: Architecture;
  readonly pageSize: number;
  readonly ram: readonly PfnRun[];
  readonly noteBytes: Uint8Array;
  readonly kept: PageSet;
  /** the kept pages that are not zeros; `kept` where nobody looked */
  readonly data: PageSet;
  readonly virtual: VirtualRanges;
}

export class ElfWriter {
  readonly #plan: ElfPlan;
  readonly #file: DumpOutput;
  readonly #loads: readonly ElfLoad[];
  readonly #headers: ProgramHeader[];
  readonly #dataStart: number;
  /** Where the next page goes. */
  #offset: number;

  /** @throws VmcopyError E_UNSUPPORTED where there are more runs than an ELF reader can be asked to take */
  constructor(file: DumpOutput, plan: ElfPlan) {
    this.#file = file;
    this.#plan = plan;
    this.#loads = limited(plan);
    const { virtual, noteBytes, pageSize } = plan;
    const { primary, aliases } = virtual;
    const placed = place(this.#loads, 0, pageSize);
    const count = 1 + placed.length + aliases.flatMap((alias) => clip(placed, alias, pageSize)).length;
    const notesOffset = roundUp(elfHeadersSize(64, count), 8);
    this.#dataStart = roundUp(notesOffset + noteBytes.length, pageSize);
    this.#offset = this.#dataStart;
    const loads = place(this.#loads, this.#dataStart, pageSize);
    this.#headers = [
      { type: PT_NOTE, offset: notesOffset, fileSize: noteBytes.length, align: 4 },
      ...loads.map((load) => ({ ...load, virtualAddress: virtualOf(load.physicalAddress, primary) })),
      ...aliases.flatMap((alias) => clip(loads, alias, pageSize)),
    ];
  }

  /** Pages that have data in the file, in the order in which they are to be added. */
  *stored(): Generator<PfnRun> {
    for (const { pfn, stored } of this.#loads) if (stored > 0) yield { start: pfn, end: pfn + stored };
  }

  /** bytes of the whole file */
  get size(): number {
    return this.#dataStart + this.#loads.reduce((sum, { stored }) => sum + stored, 0) * this.#plan.pageSize;
  }

  /** Writes headers and notes. @param marked whether the mark of an incomplete dump can be taken off later */
  async begin(marked: boolean): Promise<void> {
    const { noteBytes } = this.#plan;
    const bytes = new Uint8Array(this.#dataStart);
    bytes.set(this.#encode(marked ? INCOMPLETE : 0));
    bytes.set(noteBytes, Number(this.#headers[0]?.offset));
    await this.#file.writeBytes(bytes, 0);
  }

  /** Adds pages, in the order of {@link ElfWriter.stored}. @param address where they lie */
  async add(address: number, pages: number): Promise<void> {
    const length = pages * this.#plan.pageSize;
    await this.#file.write(address, length, this.#offset);
    this.#offset += length;
  }

  /** Takes the mark off: all pages are there, and synced. */
  async complete(): Promise<void> {
    await this.#file.writeBytes(new Uint8Array(4), E_FLAGS);
  }

  #encode(flags: number): Uint8Array {
    const machine = this.#plan.architecture === "aarch64" ? EM_AARCH64 : EM_X86_64;
    return encodeElfHeaders({ class: 64, machine, flags, segments: this.#headers });
  }
}

function limited({ path, ram, kept, data }: ElfPlan): ElfLoad[] {
  const loads: ElfLoad[] = [];
  for (const load of elfLoads(ram, kept, data)) {
    if (loads.length === MOST_SEGMENTS - 1) {
      throw new VmcopyError(
        "E_UNSUPPORTED",
        `Cannot write ${path} as ELF: its pages are in more than ${MOST_SEGMENTS} pieces; write it kdump-compressed (-f kdump)`,
      );
    }
    loads.push(load);
  }
  return loads;
}

type PlacedLoad = Required<Pick<ProgramHeader, "type" | "flags">> & {
  readonly offset: number;
  readonly physicalAddress: bigint;
  readonly fileSize: number;
  readonly memorySize: bigint;
};

function place(loads: readonly ElfLoad[], start: number, pageSize: number): PlacedLoad[] {
  let offset = start;
  return loads.map(({ pfn, stored, pages }) => {
    const fileSize = stored * pageSize;
    const load = {
      type: PT_LOAD,
      flags: READ_WRITE_EXECUTE,
      offset,
      physicalAddress: BigInt(pfn) * BigInt(pageSize),
      fileSize,
      memorySize: BigInt(pages) * BigInt(pageSize),
    };
    offset += fileSize;
    return load;
  });
}

function virtualOf(physical: bigint, ranges: readonly VirtualRange[]): bigint {
  const page = 0xfffn;
  const range = ranges.find(
    ({ physicalAddress, size }) => physical + page >= physicalAddress && physical < physicalAddress + size,
  );
  return range === undefined ? 0n : range.virtualAddress + physical - range.physicalAddress;
}

/** The parts of `loads` that an alias covers, at the alias's virtual addresses and the same places in the file. */
function clip(loads: readonly PlacedLoad[], alias: VirtualRange, pageSize: number): ProgramHeader[] {
  const step = BigInt(pageSize);
  const low = alias.physicalAddress - (alias.physicalAddress % step);
  const high = ((alias.physicalAddress + alias.size + step - 1n) / step) * step;
  return loads.flatMap((load): ProgramHeader[] => {
    const start = load.physicalAddress > low ? load.physicalAddress : low;
    const loadEnd = load.physicalAddress + load.memorySize;
    const end = loadEnd < high ? loadEnd : high;
    if (start >= end) return [];
    const skipped = Number(start - load.physicalAddress);
    const memorySize = end - start;
    const fileSize = Math.min(Math.max(0, load.fileSize - skipped), Number(memorySize));
    const virtualAddress = alias.virtualAddress + start - alias.physicalAddress;
    const offset = load.offset + Math.min(skipped, load.fileSize);
    return [{ ...load, offset, physicalAddress: start, virtualAddress, fileSize, memorySize }];
  });
}

function roundUp(value: number, to: number): number {
  return Math.ceil(value / to) * to;
}
