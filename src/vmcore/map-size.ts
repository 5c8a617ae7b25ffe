/** How large a window should be, found by measuring a few. */
import { LibcError } from "../../ffi/errno.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { availableMemory } from "../memory-usage.ts";
import type { Vmcore } from "./vmcore.ts";
import { chunkSizeFor, type Method } from "./window.ts";

/** Sizes tried: below 4 MiB each window costs too much, above 64 MiB nothing is left to gain. */
const CANDIDATES = [4, 8, 16, 32, 64].map((size) => size << 20);
/** A larger window must be so much cheaper to be taken. */
const WORTH = 0.95;
const ROUNDS = 3;
/** A window takes at most this share of the memory that is free. */
const SHARE = 8;

/** How this vmcore is best read: old memory is mapped, a file is read, as is a 32-bit vmcore. */
export function defaultMethod(vmcore: Vmcore): Method {
  return vmcore.backing === "procfs" && vmcore.headers.elfClass === 64 ? "mmap" : "read";
}

/** How a vmcore is read: what was asked for, and the best for this vmcore where nothing was. */
export function readingOf(
  vmcore: Vmcore,
  wanted: { readonly method?: Method | undefined; readonly mapSize?: number | undefined },
): { method: Method; mapSize: number } {
  const method = vmcore.headers.elfClass === 32 ? "read" : (wanted.method ?? defaultMethod(vmcore));
  const best = () =>
    method === "mmap" ? measuredMapSize(vmcore, availableMemory()) : chunkSizeFor(vmcore.size);
  return { method, mapSize: wanted.mapSize ?? best() };
}

/**
 * The smallest window that maps and unmaps old memory about as cheaply a page as any.
 *
 * @param freeMemory bytes; the window is at most an eighth of it
 * @returns bytes
 */
export function measuredMapSize(vmcore: Vmcore, freeMemory: number, now = () => performance.now()): number {
  const mappable = vmcore.ranges.filter((range) => range.mappable);
  const [first, ...others] = mappable;
  const least = Math.max(CANDIDATES[0] ?? 0, chunkSizeFor(vmcore.size));
  if (first === undefined) return least;
  const largest = others.reduce((a, b) => (b.length > a.length ? b : a), first);
  const limit = Math.min(largest.length, Math.max(least, freeMemory / SHARE));
  let best = { size: least, cost: Infinity };
  for (const size of CANDIDATES.filter((candidate) => candidate >= least && candidate <= limit)) {
    const cost = costPerByte(vmcore, largest.offset, size, now);
    if (cost < best.cost * WORTH) best = { size, cost };
  }
  return best.size;
}

function costPerByte(vmcore: Vmcore, offset: number, size: number, now: () => number): number {
  let best = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    const start = now();
    try {
      Mapping.ofFile(vmcore.file.libc, vmcore.file, offset, size).unmap();
    } catch (error) {
      if (error instanceof LibcError) return Infinity;
      throw error;
    }
    best = Math.min(best, (now() - start) / size);
  }
  return best;
}
