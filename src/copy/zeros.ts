/** Which pages of a window are all zeros. */
import type { Libc } from "../../ffi/libc.ts";
import type { Window } from "../vmcore/window.ts";

/** Zero runs shorter than this are written as data: a hole has its price in the file system's tables. */
const SMALLEST_HOLE = 16 << 10;

/** A stretch of a window; offsets in bytes from the window's start. */
export interface Run {
  readonly start: number;
  readonly end: number;
  /** all its pages are zeros */
  readonly zero: boolean;
}

/** What a window holds. */
export interface Scan {
  /** in order, without gaps; zero runs of 16 KiB and more stand alone */
  readonly runs: readonly Run[];
  /** zero pages, those in data runs too */
  readonly zeroPages: number;
}

/**
 * Finds the zero pages of a window.
 *
 * The first words of a page decide almost always; only where they are zero is the page compared with itself,
 * shifted by eight bytes, which memcmp does at the speed of memory.
 */
export function scanZeros(libc: Libc, window: Pick<Window, "address" | "length" | "bytes">): Scan {
  const { pageSize } = libc;
  const { memcmp } = libc.backend.calls;
  const { address, length } = window;
  const bytes = window.bytes();
  // A last partial page (a file that is no whole number of pages) counts as data.
  const pages = Math.floor(length / pageSize);
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, (pages * pageSize) / 4);
  const runs: Run[] = [];
  let zeroPages = 0;
  let dataStart = 0;
  for (let page = 0; page < pages; ) {
    const first = nextSuspect(words, page, pages, pageSize / 4);
    page = first;
    while (page < pages) {
      const at = page * pageSize;
      if (words[at / 4] !== 0 || words[at / 4 + 1] !== 0) break;
      if (memcmp(address + at, address + at + 8, pageSize - 8) !== 0) break;
      page++;
    }
    zeroPages += page - first;
    const [start, end] = [first * pageSize, page * pageSize];
    if (end - start >= SMALLEST_HOLE) {
      if (start > dataStart) runs.push({ start: dataStart, end: start, zero: false });
      runs.push({ start, end, zero: true });
      dataStart = end;
    }
    // It began with zeros, or follows a zero page, and holds data.
    if (page < pages) page++;
  }
  if (dataStart < length) runs.push({ start: dataStart, end: length, zero: false });
  return { runs, zeroPages };
}

/** The next page whose first eight bytes are zeros; `pages` where there is none. Small, to be compiled early. */
function nextSuspect(words: Int32Array, from: number, pages: number, wordsPerPage: number): number {
  for (let page = from, word = from * wordsPerPage; page < pages; page++, word += wordsPerPage) {
    if (words[word] === 0 && words[word + 1] === 0) return page;
  }
  return pages;
}
