/**
 * One pass over the planned memory in each of the four modes.
 *
 * read   pread(2) into one buffer.
 * map    mmap, write(2) to /dev/null, munmap: what 2013 measured. /dev/null takes the write without looking at
 *        it, so the pages are never touched: it is the price of making and removing page tables.
 * touch  mmap, one word of each page, munmap.
 * copy   mmap, every byte by memcpy into one buffer, munmap.
 *
 * Windows follow the reading rules: no window straddles two PT_LOADs, each is unmapped whole, and all but the first of a
 * PT_LOAD begin at multiples of their size in physical memory.
 */
import { MAP_FAILED, MAP_PRIVATE, PROT_READ } from "../../ffi/constants.ts";
import { LibcError } from "../../ffi/errno.ts";
import type { File } from "../../ffi/file.ts";
import type { Job } from "../job.ts";
import { type FileRange, firstWindow, type PhysicalMap } from "../vmcore/layout.ts";
import type { BenchMode } from "./rows.ts";
import type { Touch } from "./touch.ts";

/** Where copied bytes go; larger windows pass through it in pieces. */
export const BUFFER = 4 << 20;
/** Signals are let in after so many bytes or windows, so that asking is no part of the figure. */
const BREATH_BYTES = 16 << 20;
const BREATH_WINDOWS = 256;

/** What a pass works with. */
export interface Workbench {
  readonly source: File;
  /** /dev/null, open for writing */
  readonly nowhere: File;
  /** address of {@link BUFFER} bytes */
  readonly buffer: number;
  readonly touch: Touch;
  /** of the source */
  readonly physical: PhysicalMap;
}

/**
 * Goes once over `ranges`.
 *
 * @param size bytes of a read or of a window
 * @throws LibcError where a window cannot be mapped or read; Interrupted
 */
export async function pass(
  job: Job,
  bench: Workbench,
  ranges: readonly FileRange[],
  mode: BenchMode,
  size: number,
): Promise<void> {
  const visit = mode === "read" ? reader(bench) : mapper(bench, mode);
  let windows = 0;
  let bytes = 0;
  for (const range of ranges) {
    let next = firstWindow(range, bench.physical, size, bench.source.libc.pageSize);
    for (let at = 0; at < range.length; at = next, next += size) {
      const length = Math.min(next, range.length) - at;
      visit(range.offset + at, length);
      bytes += length;
      if (++windows >= BREATH_WINDOWS || bytes >= BREATH_BYTES) {
        windows = 0;
        bytes = 0;
        await job.breathe();
      }
    }
  }
}

type Visit = (offset: number, length: number) => void;

function reader({ source, buffer }: Workbench): Visit {
  return (offset, length) => {
    source.pread(buffer, length, offset);
  };
}

/** Calls libc directly: an object for each window would weigh as much as a small window itself. */
function mapper({ source, nowhere, buffer, touch }: Workbench, mode: BenchMode): Visit {
  const { libc, fd, path } = source;
  const { calls } = libc.backend;
  return (offset, length) => {
    const address = calls.mmap(0, length, PROT_READ, MAP_PRIVATE, fd, offset);
    if (address === MAP_FAILED) throw new LibcError("mmap", path, libc.backend.errno());
    if (mode === "map") {
      calls.write(nowhere.fd, address, length);
    } else if (mode === "touch") {
      touch(address, length);
    } else {
      for (let at = 0; at < length; at += BUFFER) {
        calls.memcpy(buffer, address + at, Math.min(BUFFER, length - at));
      }
    }
    calls.munmap(address, length);
  };
}
