/**
 * Where the crashed kernel saw its physical memory, by the PT_LOADs of a vmcore: the direct map, and the kernel's
 * text a second time (on x86_64 its PT_LOAD overlaps the RAM's: get_page_offset_x86_64() in kexec).
 */
import type { Segment } from "../vmcore/elf.ts";

/** A stretch of physical memory that is mapped in one piece. */
export interface VirtualRange {
  readonly physicalAddress: bigint;
  readonly virtualAddress: bigint;
  /** bytes */
  readonly size: bigint;
}

export interface VirtualRanges {
  /** disjoint */
  readonly primary: readonly VirtualRange[];
  /** memory that is mapped a second time */
  readonly aliases: readonly VirtualRange[];
}

/** PT_LOADs with the same distance between p_vaddr and p_paddr are one range, holes between them or not. */
export function virtualRanges(loads: readonly Segment[]): VirtualRanges {
  const byDistance = new Map<bigint, VirtualRange>();
  for (const { physicalAddress, virtualAddress, memorySize } of loads) {
    if (physicalAddress === undefined || memorySize === 0n) continue;
    const distance = virtualAddress - physicalAddress;
    const known = byDistance.get(distance);
    const start = known && known.physicalAddress < physicalAddress ? known.physicalAddress : physicalAddress;
    const ends = [physicalAddress + memorySize, known ? known.physicalAddress + known.size : 0n];
    const end = ends.reduce((a, b) => (a > b ? a : b));
    byDistance.set(distance, {
      physicalAddress: start,
      virtualAddress: start + distance,
      size: end - start,
    });
  }
  const largestFirst = [...byDistance.values()].sort((a, b) => (a.size < b.size ? 1 : -1));
  const primary: VirtualRange[] = [];
  const aliases: VirtualRange[] = [];
  for (const range of largestFirst)
    (primary.some((other) => overlap(range, other)) ? aliases : primary).push(range);
  return { primary, aliases };
}

function overlap(a: VirtualRange, b: VirtualRange): boolean {
  return a.physicalAddress < b.physicalAddress + b.size && b.physicalAddress < a.physicalAddress + a.size;
}
