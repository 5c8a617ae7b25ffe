/** How large a window should be, found by measuring a few. */
import { MAP_PRIVATE, PROT_READ } from "../../ffi/constants.ts";
import { EIO, ENODEV, ENOSYS, LibcError } from "../../ffi/errno.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { availableMemory } from "../memory-usage.ts";
import { firstWindow } from "./layout.ts";
import type { Vmcore } from "./vmcore.ts";
import { chunkSizeFor, type Method } from "./window.ts";

/**
 * Sizes tried: below 4 MiB each window costs too much. A kernel that fills page tables when it maps gains nothing
 * above 64 MiB; one that maps at the first touch, by 2 MiB, does.
 */
const CANDIDATES = [4, 8, 16, 32, 64, 128, 256, 512, 1024].map((size) => size * 2 ** 20);
/** A larger window must be so much cheaper to be taken. */
const WORTH = 0.95;
/** So many sizes in a row that are no cheaper: larger ones are not tried, as trying them takes time. */
const PATIENCE = 2;
const ROUNDS = 3;
const HUGE = 2 << 20;
/** A window's page tables (8 bytes for each 4 KiB) take at most this share of the memory that is free. */
const SHARE = 64;
const PAGE_TABLES = 8 / 4096;

/** How this vmcore is best read: old memory is mapped, a file is read, as is a 32-bit vmcore. */
export function defaultMethod(vmcore: Vmcore): Method {
  return vmcore.backing === "procfs" && vmcore.headers.elfClass === 64 ? "mmap" : "read";
}

/** How a vmcore is read: what was asked for, and the best for this vmcore where nothing was. */
export function readingOf(
  vmcore: Vmcore,
  wanted: { readonly method?: Method | undefined; readonly mapSize?: number | undefined },
): { method: Method; mapSize: number } {
  const own = () => (defaultMethod(vmcore) === "mmap" && canBeMapped(vmcore) ? "mmap" : "read");
  const method = vmcore.headers.elfClass === 32 ? "read" : (wanted.method ?? own());
  const best = () =>
    method === "mmap" ? measuredMapSize(vmcore, availableMemory()) : chunkSizeFor(vmcore.size);
  return { method, mapSize: wanted.mapSize ?? best() };
}

/**
 * Whether this kernel can map the vmcore at all: before Linux 3.11 it could not, and answered EIO. Any other refusal is
 * this window's, or this moment's.
 */
export function canBeMapped(vmcore: Vmcore): boolean {
  const { file, ranges } = vmcore;
  const { libc } = file;
  const range = ranges.find(({ mappable }) => mappable);
  if (range === undefined) return true;
  const refused = Mapping.refusal(libc, file, range.offset, libc.pageSize, PROT_READ, MAP_PRIVATE);
  return refused === undefined || ![EIO, ENODEV, ENOSYS].includes(refused.errno);
}

/**
 * The smallest window that maps and unmaps old memory about as cheaply a page as any.
 *
 * @param freeMemory bytes; the window is at most eight times as large
 * @returns bytes
 */
export function measuredMapSize(vmcore: Vmcore, freeMemory: number, now = () => performance.now()): number {
  const mappable = vmcore.ranges.filter((range) => range.mappable);
  const [first, ...others] = mappable;
  const least = Math.max(CANDIDATES[0] ?? 0, chunkSizeFor(vmcore.size));
  if (first === undefined) return least;
  const largest = others.reduce((a, b) => (b.length > a.length ? b : a), first);
  // Where a kernel that can maps by 2 MiB.
  const start = firstWindow(largest, vmcore.physical, HUGE, vmcore.file.libc.pageSize) % HUGE;
  const limit = Math.min(largest.length - start, Math.max(least, freeMemory / SHARE / PAGE_TABLES));
  let best = { size: least, cost: Infinity };
  let patience = PATIENCE;
  for (const size of CANDIDATES.filter((candidate) => candidate >= least && candidate <= limit)) {
    const cost = costPerByte(vmcore, largest.offset + start, size, now);
    if (cost < best.cost * WORTH) {
      best = { size, cost };
      patience = PATIENCE;
    } else if (--patience === 0) {
      break;
    }
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
