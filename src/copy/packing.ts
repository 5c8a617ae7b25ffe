/**
 * Kept pages on their way into a dump: read, packed, handed over in PFN order. On this thread, or on workers
 * (workers.ts): whoever takes the packed pages cannot tell.
 */
import type { PackedPages, PagePacker } from "../codec/packed.ts";
import type { CrashMemory, PageReader } from "../vmcore/memory.ts";
import type { Batch } from "./batches.ts";

/** One batch, packed. Good until the next one is asked for. */
export interface PackedBatch extends Batch {
  readonly packed: PackedPages;
  /** pages that could not be read: zeros in `packed` */
  readonly unreadable: readonly number[];
}

/** Reads a batch to a packer's input. @returns PFNs that could not be read @throws LibcError */
export function readBatch(reader: PageReader, batch: Batch, packer: PagePacker): number[] {
  const unreadable: number[] = [];
  let address = packer.input;
  for (const { start, end } of batch.runs) {
    const bad = reader.read(start, end - start, address);
    if (bad.length > 0) unreadable.push(...bad);
    address += (end - start) * packer.pageSize;
  }
  return unreadable;
}

/** Packs on this thread. @yields one for each batch, in order @throws LibcError */
export function* packBatches(
  memory: CrashMemory,
  packer: PagePacker,
  work: Iterable<Batch>,
): Generator<PackedBatch> {
  using reader = memory.pages();
  for (const batch of work) {
    const unreadable = readBatch(reader, batch, packer);
    yield { ...batch, unreadable, packed: packer.pack(batch.pages) };
  }
}

/** Pages as they are, for a format that has them so. @yields one for each batch, in order @throws LibcError */
export function* plainBatches(
  memory: CrashMemory,
  packer: PagePacker,
  work: Iterable<Batch>,
): Generator<PackedBatch> {
  using reader = memory.pages();
  const none = new Uint32Array(0);
  for (const batch of work) {
    const unreadable = readBatch(reader, batch, packer);
    const length = batch.pages * packer.pageSize;
    const packed = {
      count: batch.pages,
      address: packer.input,
      length,
      sizes: none,
      flags: none,
      words: none,
    };
    yield { ...batch, unreadable, packed };
  }
}
