/**
 * How a vmcore file is laid out: which stretches of it can be mapped, and which physical address a byte has.
 *
 * A window must never straddle two of the kernel's objects: such a mapping is uncached on x86 and can fail with
 * EAGAIN for good (track_pfn_remap() in arch/x86/mm/pat/memtype.c looks a partial range up page by page).
 */
import type { Segment } from "./elf.ts";

/** A stretch of the file: one object of the kernel's, or what lies between them. */
export interface FileRange {
  /** bytes from the file's start, a multiple of the page size */
  readonly offset: number;
  /** bytes */
  readonly length: number;
  /** whether it is memory of a PT_LOAD; headers and notes are read, not mapped */
  readonly mappable: boolean;
}

/**
 * Cuts the file at every border of a PT_LOAD, each widened to whole pages as the kernel widens it
 * (process_ptload_program_headers_elf64() in fs/proc/vmcore.c).
 *
 * @param size bytes of the file
 * @returns ranges in file order, without gaps, that cover the file
 */
export function fileRanges(loads: readonly Segment[], size: number, pageSize: number): FileRange[] {
  const borders = new Map<number, number>([
    [0, 0],
    [size, 0],
  ]);
  const mark = (offset: number, change: number) => borders.set(offset, (borders.get(offset) ?? 0) + change);
  for (const { offset, fileSize } of loads) {
    if (fileSize === 0) continue;
    mark(Math.floor(offset / pageSize) * pageSize, 1);
    mark(Math.min(size, Math.ceil((offset + fileSize) / pageSize) * pageSize), -1);
  }
  const sorted = [...borders.keys()].sort((a, b) => a - b);
  const ranges: FileRange[] = [];
  let covering = 0;
  for (const [index, offset] of sorted.entries()) {
    covering += borders.get(offset) ?? 0;
    const end = sorted[index + 1] ?? size;
    if (end > offset) ranges.push({ offset, length: end - offset, mappable: covering > 0 });
  }
  return ranges;
}

/** The range a byte lies in, by bisection. @param offset bytes, inside the file */
export function rangeAt(ranges: readonly FileRange[], offset: number): FileRange {
  const range = ranges[lastAtOrBefore(ranges, offset)];
  if (range === undefined) throw new RangeError(`Cannot find a range: offset ${offset} is outside the file`);
  return range;
}

/**
 * Bytes of the first window in a range, when windows are to end at multiples of their size in physical memory: there a
 * kernel that can maps them by 2 MiB.
 *
 * @param size bytes of the other windows, a multiple of the page size
 */
export function firstWindow(range: FileRange, physical: PhysicalMap, size: number, pageSize: number): number {
  const start = physical.at(range.offset) ?? 0;
  return size - ((start - (start % pageSize)) % size);
}

/** What tells the physical addresses of a stretch of the file. */
export type PhysicalExtent = Pick<Segment, "offset" | "fileSize" | "physicalAddress">;

/** Physical addresses of a vmcore's bytes. */
export class PhysicalMap {
  readonly #loads: readonly PhysicalExtent[];
  /** For each load, where the last of it and those before it ends: behind that there is nothing to look for. */
  readonly #ends: Float64Array;

  constructor(loads: readonly PhysicalExtent[]) {
    this.#loads = loads.filter(({ fileSize }) => fileSize > 0).sort((a, b) => a.offset - b.offset);
    this.#ends = new Float64Array(this.#loads.length);
    let end = 0;
    for (const [index, { offset, fileSize }] of this.#loads.entries()) {
      end = Math.max(end, offset + fileSize);
      this.#ends[index] = end;
    }
  }

  /** Physical address of the byte at a file offset; undefined in headers, notes and where p_paddr is unknown. */
  at(offset: number): number | undefined {
    // Of overlapping segments the one that starts last is asked first, as it may be the shorter one.
    for (let index = lastAtOrBefore(this.#loads, offset); index >= 0; index--) {
      const load = this.#loads[index];
      if (load === undefined || offset >= (this.#ends[index] ?? 0)) break;
      if (offset < load.offset + load.fileSize) {
        if (load.physicalAddress === undefined) return undefined;
        const address = load.physicalAddress + BigInt(offset - load.offset);
        return address <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(address) : undefined;
      }
    }
    return undefined;
  }
}

/** Index of the last item that starts at or before `offset`; -1 where none does. */
function lastAtOrBefore(items: readonly { readonly offset: number }[], offset: number): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((items[middle]?.offset ?? Infinity) <= offset) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
