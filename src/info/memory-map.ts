/**
 * The memory map of a vmcore: what each PT_LOAD is, which share pages, and what they come to together.
 *
 * The kernel's text stands in a vmcore twice, once at its own virtual addresses and once as the RAM that it lies
 * in (crash_prepare_elf64_headers() in the kernel, and kexec-tools, add a PT_LOAD for it).
 */
import { type ElfHeaders, EM_X86_64, type Segment } from "../vmcore/elf.ts";

/**
 * kernel: the kernel's image at its own addresses, the same bytes as in a ram segment; ram; unknown: p_paddr is all
 * ones, so that nobody knows which memory it is.
 */
export type SegmentKind = "kernel" | "ram" | "unknown";

/**
 * overlap: some of its physical bytes are in another segment too. shared-page: no byte, but a page, as the kernel
 * shows whole pages. unaligned-start, unaligned-end: the border lies inside a page.
 */
export type SegmentMark = "overlap" | "shared-page" | "unaligned-start" | "unaligned-end";

export interface MapSegment extends Segment {
  readonly kind: SegmentKind;
  readonly marks: readonly SegmentMark[];
}

/** Sums over all PT_LOADs, bytes. */
export interface MapTotals {
  readonly segments: number;
  /** in the file: the sum of p_filesz */
  readonly fileBytes: bigint;
  /** in memory: the sum of p_memsz */
  readonly memoryBytes: bigint;
  /** physical bytes, each counted once; segments of unknown address left out */
  readonly ramBytes: bigint;
  /** of memoryBytes, what was counted before: the same physical bytes again */
  readonly repeatedBytes: bigint;
  /** between the lowest and the highest address: how many stretches no segment covers, and their bytes */
  readonly holes: number;
  readonly holeBytes: bigint;
  /** undefined where no segment has a known address */
  readonly lowestAddress: bigint | undefined;
  /** of the last byte */
  readonly highestAddress: bigint | undefined;
}

export interface MemoryMap {
  /** in the order of the program headers */
  readonly segments: readonly MapSegment[];
  readonly totals: MapTotals;
}

/** Start of the mapping of the kernel image on x86_64 (__START_KERNEL_map). */
const X86_64_KERNEL_MAP = 0xffff_ffff_8000_0000n;

/** A piece of physical memory: its first byte, the byte after its last, and the segment's place in the list. */
interface Piece {
  readonly start: bigint;
  readonly end: bigint;
  readonly place: number;
}

/**
 * Makes the map. Takes n log n time: a file may have very many segments.
 *
 * @param pageSize bytes, of the crashed kernel
 * @param stext virtual address of SYMBOL(_stext), where VMCOREINFO has it
 */
export function memoryMap(headers: ElfHeaders, pageSize: number, stext: bigint | undefined): MemoryMap {
  const page = BigInt(pageSize);
  const pieces = headers.loads.flatMap(({ physicalAddress: start, memorySize }, place): Piece[] =>
    start === undefined || memorySize === 0n ? [] : [{ start, end: start + memorySize, place }],
  );
  pieces.sort((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0));
  const overlapping = meeting(pieces);
  const sharing = meeting(
    pieces.map(({ start, end, place }) => ({
      start: start - (start % page),
      end: ((end + page - 1n) / page) * page,
      place,
    })),
  );
  const segments = headers.loads.map((load, place): MapSegment => {
    const marks: SegmentMark[] = [];
    const { physicalAddress: start, memorySize } = load;
    if (overlapping.has(place)) marks.push("overlap");
    else if (sharing.has(place)) marks.push("shared-page");
    if (start !== undefined && start % page !== 0n) marks.push("unaligned-start");
    if (start !== undefined && (start + memorySize) % page !== 0n) marks.push("unaligned-end");
    const kernel = overlapping.has(place) && inKernelImage(load, headers.machine, stext);
    return { ...load, kind: start === undefined ? "unknown" : kernel ? "kernel" : "ram", marks };
  });
  return { segments, totals: totals(headers.loads, pieces) };
}

/** Whether its virtual addresses are those of the kernel's image. */
function inKernelImage(load: Segment, machine: number, stext: bigint | undefined): boolean {
  const { virtualAddress: start, memorySize } = load;
  if (stext !== undefined && stext >= start && stext < start + memorySize) return true;
  return machine === EM_X86_64 && start >= X86_64_KERNEL_MAP;
}

/** Places of the pieces that meet another one. @param pieces by ascending start */
function meeting(pieces: readonly Piece[]): Set<number> {
  const found = new Set<number>();
  let reach = 0n; // the farthest end so far
  for (const [index, { start, end, place }] of pieces.entries()) {
    const next = pieces[index + 1];
    if (start < reach || (next !== undefined && next.start < end)) found.add(place);
    if (end > reach) reach = end;
  }
  return found;
}

function totals(loads: readonly Segment[], pieces: readonly Piece[]): MapTotals {
  let ramBytes = 0n;
  let holes = 0;
  let holeBytes = 0n;
  let reach = pieces[0]?.start ?? 0n;
  for (const { start, end } of pieces) {
    if (start > reach) {
      holes++;
      holeBytes += start - reach;
      reach = start;
    }
    if (end > reach) {
      ramBytes += end - reach;
      reach = end;
    }
  }
  const known = pieces.reduce((sum, { start, end }) => sum + end - start, 0n);
  return {
    segments: loads.length,
    fileBytes: loads.reduce((sum, { fileSize }) => sum + BigInt(fileSize), 0n),
    memoryBytes: loads.reduce((sum, { memorySize }) => sum + memorySize, 0n),
    ramBytes,
    repeatedBytes: known - ramBytes,
    holes,
    holeBytes,
    lowestAddress: pieces[0]?.start,
    highestAddress: pieces.length === 0 ? undefined : reach - 1n,
  };
}
