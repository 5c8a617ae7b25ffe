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
  const { pageSize, backend } = libc;
  const { address, length } = window;
  const bytes = window.bytes();
  const whole = Math.floor(length / pageSize);
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, (whole * pageSize) / 4);
  const wordsPerPage = pageSize / 4;
  const runs: Run[] = [];
  let zeroPages = 0;
  /** where the data run begins that is being collected, and where the zero run after it */
  let dataStart = 0;
  let zeroStart = -1;

  const close = (end: number) => {
    // A zero run ends here: it stands alone if it is long enough, else it joins the data around it.
    if (zeroStart < 0 || end - zeroStart < SMALLEST_HOLE) return;
    if (zeroStart > dataStart) runs.push({ start: dataStart, end: zeroStart, zero: false });
    runs.push({ start: zeroStart, end, zero: true });
    dataStart = end;
  };

  for (let page = 0, word = 0; page < whole; page++, word += wordsPerPage) {
    const at = page * pageSize;
    const zero =
      words[word] === 0 &&
      words[word + 1] === 0 &&
      backend.calls.memcmp(address + at, address + at + 8, pageSize - 8) === 0;
    if (zero) {
      zeroPages++;
      if (zeroStart < 0) zeroStart = at;
    } else if (zeroStart >= 0) {
      close(at);
      zeroStart = -1;
    }
  }
  close(whole * pageSize);
  // A last partial page (a file that is no whole number of pages) counts as data.
  if (dataStart < length) runs.push({ start: dataStart, end: length, zero: false });
  return { runs, zeroPages };
}
