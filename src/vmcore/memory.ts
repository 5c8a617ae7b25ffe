/**
 * A crashed machine's memory as pages, wherever it comes from: /proc/vmcore, an ELF dump, a kdump-compressed one,
 * or either of these flattened. What filters, compresses and compares pages knows no file formats; it knows this.
 */
import type { Vmcoreinfo } from "./vmcoreinfo.ts";

/** Page frame numbers from `start` up to, and without, `end`. */
export interface PfnRun {
  readonly start: number;
  readonly end: number;
}

/** As `uname -m` says it; anything else cannot be translated, only copied. */
export type Architecture = "x86_64" | "aarch64" | "other";

/** What kind of file the pages come from. */
export type MemoryFormat = "raw" | "elf" | "kdump";

export interface CrashMemory extends Disposable {
  readonly path: string;
  readonly format: MemoryFormat;
  /** the file is a flattened stream of `format` */
  readonly flattened: boolean;
  readonly architecture: Architecture;
  /** of the crashed kernel, in bytes */
  readonly pageSize: number;
  /** one more than the highest PFN of `ram` */
  readonly endPfn: number;
  /**
   * RAM of the crashed machine: ascending, disjoint, not touching. The first page of a PT_LOAD is rounded down
   * and its last one up, so that partial pages are RAM too.
   */
  readonly ram: readonly PfnRun[];
  /** The ELF notes as they stand, of all PT_NOTEs: each padded to 4 bytes. */
  readonly noteBytes: Uint8Array;
  /** CPUs that saved their registers: NT_PRSTATUS notes. */
  readonly cpus: number;
  readonly info: Vmcoreinfo;
  /** What was left out when this file was written: 0 for a vmcore and whatever else holds all pages. */
  readonly dumpLevel: number;
  /** The file says of itself that it is not whole. */
  readonly incomplete: boolean;
  /** Whether a page is in the file. */
  holds(pfn: number): boolean;
  /** The pages of [start, end) that are in the file: ascending, disjoint runs. */
  stored(start: number, end: number): Iterable<PfnRun>;
  /** A reader of its own: buffers, windows. Each thread takes one. */
  pages(): PageReader;
}

/** Reads pages into memory that is given by its address. */
export interface PageReader extends Disposable {
  /**
   * Reads `count` pages from `pfn` on, to `address`. A page that is not in the file, or cannot be read, is zeros.
   *
   * @returns the PFNs that are in the file and could not be read; empty almost always
   * @throws LibcError where the file as such cannot be read
   */
  read(pfn: number, count: number, address: number): readonly number[];
}

/** Small reads of physical memory, for tables and structures; not for pages by the thousand. */
export interface PhysicalReader {
  /**
   * `length` bytes at a physical address. They may cross pages.
   *
   * @returns undefined where a page of them is not in the file or cannot be read
   */
  readPhysical(address: bigint, length: number): Uint8Array | undefined;
}
