/** What a window of old memory really takes of page tables, as the kernel counts them. */
import { LibcError } from "../../ffi/errno.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { memoryUsage } from "../memory-usage.ts";
import { firstWindow } from "../vmcore/layout.ts";
import type { Vmcore } from "../vmcore/vmcore.ts";

/** The process's other memory grows too: the least of so many is the window's. */
const ATTEMPTS = 3;

/**
 * Bytes by which VmPTE grows while one window is mapped, of the first PT_LOAD with room for it, at a multiple of its size
 * in physical memory where that fits.
 *
 * @param size bytes of the window
 * @param touch whether each page is touched: a lazy mapping has no page tables before
 * @returns undefined where no PT_LOAD has room for the window, or it cannot be mapped
 */
export function pageTableGrowth(vmcore: Vmcore, size: number, touch: boolean): number | undefined {
  const { libc } = vmcore.file;
  const range = vmcore.ranges.find(({ mappable, length }) => mappable && length >= size);
  if (range === undefined) return undefined;
  const aligned = firstWindow(range, vmcore.physical, size, libc.pageSize) % size;
  const offset = range.offset + (aligned + size <= range.length ? aligned : 0);
  let least = Infinity;
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const before = memoryUsage().pageTables;
      using window = Mapping.ofFile(libc, vmcore.file, offset, size);
      for (let at = 0; touch && at < size; at += libc.pageSize) libc.backend.peek(window.address + at);
      least = Math.min(least, memoryUsage().pageTables - before);
    }
  } catch (error) {
    if (error instanceof LibcError) return undefined;
    throw error;
  }
  return Math.max(0, least);
}
