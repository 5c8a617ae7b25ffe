/**
 * What kind each page of the sample is: decided for 2 MiB at a time, from the seed and the place alone, so that
 * any page can be asked for in any order.
 *
 * Memory is not an even mix: whole stretches are free, page cache or anonymous memory, and within a stretch equal
 * pages come in runs. Of each sixteen chunks of 2 MiB, in an order of their own, some are of each such use;
 * together they make about 32 % zero pages, 21 % text, 32 % binary and 15 % random or compressed ones.
 */
import { CHUNK_PAGES, type Machine, PFNS_PER_SECTION } from "./plan.ts";
import { Random } from "./random.ts";

export const PAGE_KINDS = ["zero", "text", "binary", "random", "code", "kernel"] as const;
/**
 * zero; text: logs, settings, prose; binary: structures, pointers, small numbers; random: compressed or encrypted;
 * code: machine code of the kernel image; kernel: the sample's own tables, which are right and can be used.
 */
export type PageKind = (typeof PAGE_KINDS)[number];

export const ZERO = 0;
export const TEXT = 1;
export const BINARY = 2;
export const RANDOM = 3;
export const CODE = 4;
export const KERNEL = 5;

/** The use of a chunk: hundredths of its pages that are zero, text, binary (the rest is random), and its longest runs. */
interface Use {
  readonly zero: number;
  readonly text: number;
  readonly binary: number;
  /** runs of 1 to 2^order pages */
  readonly order: number;
}
export const FREE: Use = { zero: 80, text: 5, binary: 7, order: 7 };
export const CACHE: Use = { zero: 10, text: 58, binary: 12, order: 6 };
export const ANONYMOUS: Use = { zero: 25, text: 12, binary: 56, order: 4 };
const SLAB: Use = { zero: 15, text: 10, binary: 75, order: 3 };
export const ARCHIVE: Use = { zero: 2, text: 0, binary: 3, order: 8 };
const USES = [
  ...Array<Use>(4).fill(FREE),
  ...Array<Use>(4).fill(CACHE),
  ...Array<Use>(5).fill(ANONYMOUS),
  ...Array<Use>(2).fill(SLAB),
  ARCHIVE,
];

const SECTION_CHUNKS = PFNS_PER_SECTION / CHUNK_PAGES;

/** Gives the kind of pages as an index into {@link PAGE_KINDS}. */
export class KindMap {
  readonly #machine: Machine;
  readonly #phase: number;
  readonly #kinds = new Uint8Array(CHUNK_PAGES);
  #chunk = -1;

  constructor(machine: Machine) {
    this.#machine = machine;
    this.#phase = new Random(machine.seed, 0, 2).below(2 ** 20);
  }

  /** Whether any page of a chunk (PFNs from chunk * CHUNK_PAGES on) may be other than zero. */
  mayHoldData(chunk: number): boolean {
    const { kernel, reserved } = this.#machine;
    const end = reserved.endPfn;
    return this.#isBusy(chunk) || ((chunk + 1) * CHUNK_PAGES > kernel.firstPfn && chunk * CHUNK_PAGES < end);
  }

  kindOf(pfn: number): number {
    const image = this.#machine.kernel;
    const inImage = pfn - image.firstPfn;
    if (inImage >= 0 && inImage < image.pages) return imageKind(inImage / image.pages);
    const chunk = Math.floor(pfn / CHUNK_PAGES);
    if (!this.#isBusy(chunk)) return ZERO;
    if (chunk !== this.#chunk) this.#lay(chunk);
    return this.#kinds[pfn - chunk * CHUNK_PAGES] as number;
  }

  /** Spreads the busy chunks evenly. The product stays below 2^50: there are at most 2^25 chunks. */
  #isBusy(chunk: number): boolean {
    const { busyChunks, totalChunks } = this.#machine;
    return (chunk * busyChunks + this.#phase) % totalChunks < busyChunks;
  }

  #lay(chunk: number): void {
    const use = useOf(this.#machine.seed, chunk);
    const random = new Random(this.#machine.seed, chunk, 3);
    for (let at = 0; at < CHUNK_PAGES; ) {
      const hundredth = random.below(100);
      let kind = RANDOM;
      if (hundredth < use.zero) kind = ZERO;
      else if (hundredth < use.zero + use.text) kind = TEXT;
      else if (hundredth < use.zero + use.text + use.binary) kind = BINARY;
      const end = Math.min(CHUNK_PAGES, at + 1 + random.below(1 << random.below(use.order + 1)));
      this.#kinds.fill(kind, at, end);
      at = end;
    }
    this.#chunk = chunk;
  }
}

/** Each group of sixteen chunks has all USES once, shuffled; the groups of a section are those of every section. */
export function useOf(seed: number, chunk: number): Use {
  const group = Math.floor((chunk % SECTION_CHUNKS) / USES.length);
  const random = new Random(seed, group, 4);
  const order = USES.map((_, index) => index);
  for (let i = order.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [order[i], order[j]] = [order[j] as number, order[i] as number];
  }
  return USES[order[chunk % USES.length] as number] as Use;
}

/** A kernel image, from its start (0) to its end (1), as Debian's 6.1 is: code, read-only data, data, bss. */
function imageKind(place: number): number {
  if (place < 0.35) return CODE;
  if (place < 0.4) return ZERO; // code ends, read-only data begins at the next 2 MiB
  if (place < 0.5) return TEXT;
  if (place < 0.6) return BINARY;
  if (place < 0.65) return RANDOM; // kallsyms and BTF are packed
  return place < 0.75 || place > 0.95 ? BINARY : ZERO;
}
