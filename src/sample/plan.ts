/**
 * The pretended machine: which physical memory it has, and where its kernel lies.
 *
 * The map is that of a PC as kexec describes it to the capture kernel:
 *
 *   0x1000      low memory; ends inside a page, where firmware tables begin
 *   1 MiB       RAM up to the crash kernel's reservation, which is not part of a vmcore. In three pieces: the
 *               boot loader's setup data was a piece of its own, its borders inside pages
 *   ...         RAM above the reservation
 *   4 GiB       the rest, where the machine has more than 3 GiB
 *
 * and first of all the kernel image at its own addresses: the same pages a second time.
 */
import { Random } from "./random.ts";

export const PAGE = 4096;
const MIB = 2 ** 20;
const GIB = 2 ** 30;
/** Pages for which one decision is made whether they hold anything: 2 MiB. */
export const CHUNK_PAGES = 512;
/** What a kernel image of Debian 6.1 takes, _stext to _end, in pages. */
export const FULL_IMAGE_PAGES = (40 * MIB) / PAGE;
/** SECTION_SIZE_BITS 27: the unit in which the kernel keeps account of memory. */
export const PFNS_PER_SECTION = 2 ** 15;
/** SIZE(page) */
export const STRUCT_PAGE = 64;
/** Pages that the struct pages of a chunk, and of a section, take. */
export const STRUCT_PAGES_PER_CHUNK = (CHUNK_PAGES * STRUCT_PAGE) / PAGE;
const SECTION_STRUCT_PAGES = (PFNS_PER_SECTION * STRUCT_PAGE) / PAGE;
/** Pages of the printk ring: see log.ts. */
export const LOG_PAGES = 8;
/** A smaller machine has no room to align its struct pages. */
const LEAST_LARGE_STRUCTS = 64 * MIB;
const LEAST_SIZE = MIB;
/** Below this, the fixed parts of a sample (kernel image, low memory) leave no room to spread data thinly. */
const LEAST_SPARSE_SIZE = 4 * MIB;
/** Four levels of page tables map 64 TiB of RAM; the holes below 4 GiB count too. */
const MOST_RAM = 64 * 1024 * GIB - 8 * GIB;
/** CONFIG_NR_CPUS of Debian's kernels. */
const MOST_CPUS = 8192;
const KERNEL_MAP = 0xffffffff80000000n;
const DIRECT_MAP = 0xffff888000000000n;

export interface SampleOptions {
  /** Bytes of memory that are in use; about a third of these are zero pages, as on a busy machine. */
  readonly size: number;
  /** Bytes of memory that the vmcore shows; `size` unless told. What is more than `size` was never touched. */
  readonly ram?: number;
  /** 0 or more; 1 unless told. The same options give the same bytes. */
  readonly seed?: number;
  /** 4 unless told */
  readonly cpus?: number;
}

/** A piece of memory that becomes a PT_LOAD. */
export interface MemoryRange {
  readonly kind: "kernel" | "ram";
  readonly physicalAddress: bigint;
  readonly virtualAddress: bigint;
  /** bytes */
  readonly size: number;
  /** the whole pages that it touches, from this PFN on */
  readonly firstPfn: number;
  readonly pages: number;
}

export interface Machine {
  readonly seed: number;
  readonly cpus: number;
  /** virtual address of physical address 0 */
  readonly directMap: bigint;
  readonly kernel: {
    readonly firstPfn: number;
    /** of the image, _stext to _end */
    readonly pages: number;
    /** virtual address of _stext */
    readonly virtualAddress: bigint;
    /** how far KASLR moved it */
    readonly offset: bigint;
    /** physical address = virtual address - 0xffffffff80000000 + physBase */
    readonly physBase: bigint;
  };
  /** Pages right after the kernel image that are its own, up to endPfn: see objects.ts. */
  readonly reserved: {
    /** struct pages that serve for every section, and whether 2 MiB of them are mapped at once */
    readonly structsPfn: number;
    readonly structPages: number;
    readonly largeStructs: boolean;
    /** a page of struct pages that serves for all memory of the kernel's own */
    readonly kernelStructsPfn: number;
    /** the printk ring */
    readonly logPfn: number;
    /** the array of pointers to pages of struct mem_section */
    readonly rootsPfn: number;
    readonly sectionsPfn: number;
    /** page tables, all but the first */
    readonly tablesPfn: number;
    readonly endPfn: number;
  };
  /** one more than the highest PFN */
  readonly endPfn: number;
  /** chunks that are in use, and of how many, spread evenly over the PFNs */
  readonly busyChunks: number;
  readonly totalChunks: number;
  /** in the order of the program headers: the kernel image, then RAM by address */
  readonly memory: readonly MemoryRange[];
}

/**
 * Plans the machine.
 *
 * @throws RangeError for an option out of its range
 */
export function planMachine(options: SampleOptions): Machine {
  const { size, ram = size, seed = 1, cpus = 4 } = options;
  check(options);
  const random = new Random(seed, 0, 1);
  const ranges = memoryRanges(Math.floor(ram / PAGE));
  const endPfn = Math.ceil((ranges.at(-1) as Range).end / PAGE);

  // The image is a sixteenth of what is in use, so that small samples are not all kernel.
  const pages = Math.min(FULL_IMAGE_PAGES, Math.floor(size / PAGE / 16));
  const large = size >= LEAST_LARGE_STRUCTS;
  const reservedPages = reserve(0, endPfn, large).endPfn + (large ? CHUNK_PAGES : 0); // the last: to align them
  const firstPfn = kernelPfn(ranges, pages + reservedPages, random);
  const offset = BigInt(random.below(256) * 2 * MIB);
  const virtualAddress = KERNEL_MAP + 0x1000000n + offset;
  const spare = 64 * 1024 - Math.ceil((endPfn * PAGE) / GIB);
  const directMap = DIRECT_MAP + BigInt(random.below(Math.min(512, spare + 1))) * BigInt(GIB);

  const image = { start: firstPfn * PAGE, end: (firstPfn + pages) * PAGE };
  const totalChunks = Math.ceil(endPfn / CHUNK_PAGES);
  const fixedPages = 2 * pages + reservedPages + 4 + Math.ceil(cpus / 8); // the last: headers and notes
  const spread = Math.floor((Math.floor(size / PAGE) - fixedPages) / CHUNK_PAGES);
  if (ram > size && spread < 0) {
    const least = Math.ceil((fixedPages * PAGE * 8) / 7);
    throw new RangeError(
      `Cannot make a sample: for so much ram, size must be at least ${least}, for its kernel's own tables (${size})`,
    );
  }
  return {
    seed,
    cpus,
    directMap,
    kernel: {
      firstPfn,
      pages,
      virtualAddress,
      offset,
      physBase: BigInt(image.start) - virtualAddress + KERNEL_MAP,
    },
    reserved: reserve(firstPfn + pages, endPfn, large),
    endPfn,
    busyChunks: ram > size ? Math.min(spread, totalChunks) : totalChunks,
    totalChunks,
    memory: [
      describe("kernel", image, virtualAddress),
      ...ranges.map((range) => describe("ram", range, directMap + BigInt(range.start))),
    ],
  };
}

/**
 * Lays out the reserved pages from `first` on; how many there are depends on the RAM that they describe.
 *
 * @param largeStructs whether the struct pages are to be mapped by leaves of 2 MiB
 */
function reserve(first: number, endPfn: number, largeStructs: boolean): Machine["reserved"] {
  const structsPfn = largeStructs ? Math.ceil(first / CHUNK_PAGES) * CHUNK_PAGES : first;
  const structPages = Math.min(
    SECTION_STRUCT_PAGES,
    Math.ceil(endPfn / CHUNK_PAGES) * STRUCT_PAGES_PER_CHUNK,
  );
  const kernelStructsPfn = structsPfn + structPages;
  const logPfn = kernelStructsPfn + 1;
  const rootsPfn = logPfn + LOG_PAGES;
  const sectionsPfn = rootsPfn + 4; // 2048 roots of 8 bytes
  const tablesPfn = sectionsPfn + Math.ceil(endPfn / PFNS_PER_SECTION / (PAGE / 16));
  const directMapTables = 1 + Math.ceil((endPfn * PAGE) / (512 * GIB)); // it need not begin at a table's begin
  const imageTables = 4;
  // Below the top: one, one for each GiB of struct pages, one for most sections, one for each with memory of the kernel's own.
  const structTables = 1 + Math.ceil((endPfn * STRUCT_PAGE) / GIB) + 1 + 10;
  return {
    ...{ structsPfn, structPages, largeStructs, kernelStructsPfn, logPfn, rootsPfn, sectionsPfn, tablesPfn },
    endPfn: tablesPfn + directMapTables + imageTables + structTables,
  };
}

/**
 * Chunks whose struct pages say that they are the kernel's own: its image and what is reserved behind it, and those
 * that RAM does not fill. Whole chunks, for no block of other pages reaches over a chunk's border.
 */
export function kernelChunks({ kernel, reserved, memory }: Machine): Set<number> {
  const chunks = new Set([0]);
  const first = Math.floor(kernel.firstPfn / CHUNK_PAGES);
  for (let chunk = first; chunk * CHUNK_PAGES < reserved.endPfn; chunk++) chunks.add(chunk);
  for (const { firstPfn, pages } of memory) {
    for (const border of [firstPfn, firstPfn + pages]) {
      if (border % CHUNK_PAGES !== 0) chunks.add(Math.floor(border / CHUNK_PAGES));
    }
  }
  return chunks;
}

function describe(kind: MemoryRange["kind"], { start, end }: Range, virtualAddress: bigint): MemoryRange {
  const firstPfn = Math.floor(start / PAGE);
  const pages = Math.ceil(end / PAGE) - firstPfn;
  return { kind, physicalAddress: BigInt(start), virtualAddress, size: end - start, firstPfn, pages };
}

/** Bytes, end exclusive. */
interface Range {
  readonly start: number;
  readonly end: number;
}

/** The pieces of RAM in ascending order, `pages` whole pages in all (and a shared one at each border inside a page). */
function memoryRanges(pages: number): Range[] {
  const low = Math.min(0x9f, Math.floor(pages / 4));
  const reservation = Math.min(256 * MIB, Math.ceil((pages * PAGE) / 4 / (2 * MIB)) * 2 * MIB) / PAGE;
  const firmware = 32; // ACPI tables below 3 GiB
  const room = (3 * GIB) / PAGE - 0x100 - reservation - firmware;
  const below4g = Math.min(pages - low, room);
  let below = below4g - Math.min(4096, Math.floor(below4g / 16));
  // The kernel reserves at a multiple of 16 MiB; what is over goes above the reservation.
  if (below > 16384) below -= (0x100 + below) % 4096;
  const ranges: Range[] = [];
  const add = (pfn: number, count: number) => ranges.push({ start: pfn * PAGE, end: (pfn + count) * PAGE });

  ranges.push({ start: PAGE, end: (1 + low) * PAGE - 0x400 });
  const setup = 0x100 + Math.floor((below * 5) / 8);
  const setupPages = Math.min(16, Math.floor(below / 64));
  const setupRange = { start: setup * PAGE + 0x18, end: (setup + setupPages) * PAGE + 0x858 };
  ranges.push({ start: 0x100 * PAGE, end: setupRange.start }, setupRange);
  ranges.push({ start: setupRange.end, end: (0x100 + below) * PAGE });
  add(0x100 + below + reservation, below4g - below);
  if (pages - low > below4g) add((4 * GIB) / PAGE, pages - low - below4g);
  return ranges;
}

/** Where the kernel lies: at 16 MiB or above and 2 MiB aligned, if the RAM below the setup data has room for that. */
function kernelPfn(ranges: readonly Range[], pages: number, random: Random): number {
  const end = Math.floor((ranges[1] as Range).end / PAGE);
  const step = (2 * MIB) / PAGE;
  for (const first of [(16 * MIB) / PAGE, step]) {
    const places = Math.floor((end - pages - first) / step) + 1;
    if (places > 0) return first + step * random.below(places);
  }
  return 0x100;
}

function check({ size, ram = size, seed = 1, cpus = 4 }: SampleOptions): void {
  const whole = (name: string, value: number, least: number, most: number) => {
    if (Number.isSafeInteger(value) && value >= least && value <= most) return;
    throw new RangeError(
      `Cannot make a sample: ${name} must be a whole number from ${least} to ${most} (${value})`,
    );
  };
  whole("size", size, LEAST_SIZE, MOST_RAM);
  whole("ram", ram, LEAST_SIZE, MOST_RAM);
  whole("seed", seed, 0, Number.MAX_SAFE_INTEGER);
  whole("cpus", cpus, 1, MOST_CPUS);
  if (ram < size) throw new RangeError(`Cannot make a sample: ram is smaller than size (${ram} < ${size})`);
  if (ram > size && size < LEAST_SPARSE_SIZE) {
    throw new RangeError(
      `Cannot make a sample: with more ram than size, size must be at least ${LEAST_SPARSE_SIZE} (${size})`,
    );
  }
}
