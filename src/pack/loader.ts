/**
 * The dynamic loader as the kernel would have laid it out in memory, cut in two: what is only read or executed,
 * and what is written. The loader is position independent, so the image may lie at any page.
 */

import { alignDown, alignUp, type Elf64, ET_DYN, loadSegments, PackError, PF_W } from "./elf64.ts";

/** Offsets count from the image's beginning, where the loader's own ELF header lies (what AT_BASE points to). */
export interface LoaderImage {
  readOnly: Uint8Array;
  writableOffset: number;
  /** Data and bss, up to the end of a page: the loader's first allocations use what bss leaves of it. */
  writable: Uint8Array;
  entry: number;
}

/**
 * Lays out a dynamic loader.
 *
 * @param page the page size both parts are aligned to, in bytes
 * @throws PackError if it is not position independent, or its writable segments are not its last ones
 */
export function loaderImage(loader: Elf64, page: number): LoaderImage {
  const bad = (reason: string) => new PackError(`Cannot embed ${loader.name} as dynamic loader: ${reason}`);
  const loads = loadSegments(loader);
  if (loader.type !== ET_DYN) throw bad(`it is not position independent (e_type ${loader.type})`);
  if (loads[0]?.address !== 0) throw bad(`it does not begin at address 0 (p_vaddr ${loads[0]?.address})`);

  const firstWritable = loads.findIndex((header) => (header.flags & PF_W) !== 0);
  const data = loads[firstWritable];
  if (
    !data ||
    firstWritable === 0 ||
    loads.slice(firstWritable).some((header) => (header.flags & PF_W) === 0)
  ) {
    throw bad("its writable segments are not its last ones");
  }
  const ends = loads.map((header) => header.address + header.memorySize);
  const size = alignUp(Math.max(...ends), page);
  if (size > loader.bytes.length + 2 ** 24) throw bad(`it is absurdly large in memory (${size} bytes)`);
  const image = new Uint8Array(size);
  for (const header of loads) {
    image.set(loader.bytes.subarray(header.offset, header.offset + header.fileSize), header.address);
  }
  const writableOffset = alignDown(data.address, page);
  const readOnlyEnd = Math.max(...ends.slice(0, firstWritable));
  if (readOnlyEnd > writableOffset) throw bad("its read-only and its writable part share a page");
  return {
    readOnly: image.subarray(0, readOnlyEnd),
    writableOffset,
    writable: image.subarray(writableOffset),
    entry: loader.entry,
  };
}
