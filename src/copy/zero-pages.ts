/** Which of the kept pages are not zeros: an ELF dump has to know before its first page is written. */
import type { Libc } from "../../ffi/libc.ts";
import { batchPages, createPacker } from "../codec/packer.ts";
import { KeptPages, PIECE_PFNS } from "../filter/kept.ts";
import type { Job } from "../job.ts";
import type { CrashMemory } from "../vmcore/memory.ts";
import { clearBits } from "../vmcore/pfn-bits.ts";
import { batches } from "./batches.ts";
import { packBatches } from "./packing.ts";

/** Reads all kept pages once. @throws LibcError; Interrupted */
export async function withoutZeroPages(
  libc: Libc,
  job: Job,
  memory: CrashMemory,
  kept: KeptPages,
): Promise<KeptPages> {
  const data = new KeptPages();
  using packer = createPacker(libc, "none", memory.pageSize, batchPages(memory.pageSize));
  job.start("find zero pages", kept.count * memory.pageSize);
  let done = 0;
  try {
    for (let first = 0; first < memory.endPfn; first += PIECE_PFNS) {
      const bits = kept.bits(first / PIECE_PFNS).slice();
      const runs = kept.runs(first, Math.min(memory.endPfn, first + PIECE_PFNS));
      for (const { runs: parts, packed, unreadable } of packBatches(
        memory,
        packer,
        batches(runs, packer.capacity),
      )) {
        let index = 0;
        for (const { start, end } of parts) {
          for (let pfn = start; pfn < end; pfn++, index++) {
            const isZero =
              packed.sizes[index] === 0 && packed.words[2 * index] === 0 && packed.words[2 * index + 1] === 0;
            // A page that cannot be read is no zero page: the writer meets it again, and says so.
            if (isZero && !unreadable.includes(pfn)) clearBits(bits, pfn - first, pfn - first + 1);
          }
        }
        done += index * memory.pageSize;
        job.update(done);
        await job.breathe();
      }
      data.push(bits);
    }
  } finally {
    job.end();
  }
  return data;
}
