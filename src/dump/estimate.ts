/** What a dump of pages will take, from a sample of them. */
import type { Libc } from "../../ffi/libc.ts";
import type { CodecName } from "../codec/packed.ts";
import { batchPages, createPacker } from "../codec/packer.ts";
import type { CrashMemory } from "../vmcore/memory.ts";
import type { PageSet } from "./elf-segments.ts";

/** Pages looked at. */
const SAMPLE_PAGES = 1024;
/** Neighbours are alike: a few from each of many places. */
const RUN = 4;

export interface Estimate {
  /** bytes of a page as it is stored, on average */
  readonly bytesPerPage: number;
  /** seconds to read and pack a page, on this machine */
  readonly secondsPerPage: number;
  /** pages looked at */
  readonly pages: number;
}

/** Packs a sample of the kept pages. @param pages kept ones, `kept.count` of them */
export function estimatePacking(
  libc: Libc,
  memory: CrashMemory,
  kept: PageSet & { readonly count: number },
  codec: CodecName,
): Estimate {
  using packer = createPacker(libc, codec, memory.pageSize, batchPages(memory.pageSize));
  using reader = memory.pages();
  const step = Math.max(RUN, Math.floor((kept.count / SAMPLE_PAGES) * RUN));
  let seen = 0;
  let next = 0;
  let bytes = 0;
  let pages = 0;
  let seconds = 0;
  for (const { start, end } of kept.runs(0, memory.endPfn)) {
    while (next < seen + end - start) {
      const pfn = start + next - seen;
      const count = Math.min(RUN, end - pfn, packer.capacity);
      const begun = performance.now();
      reader.read(pfn, count, packer.input);
      const packed = packer.pack(count);
      seconds += (performance.now() - begun) / 1000;
      bytes += packed.length;
      pages += count;
      next += step;
    }
    seen += end - start;
  }
  const of = Math.max(1, pages);
  return { bytesPerPage: bytes / of, secondsPerPage: seconds / of, pages };
}
