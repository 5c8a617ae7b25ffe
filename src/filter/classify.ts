/**
 * The filter's hot loop, in WASM (src/kernels/assembly/classify.ts): struct pages in, counts by kind out, and the
 * bits of pages that are left out cleared.
 *
 * The order of the tests is makedumpfile's (__exclude_unnecessary_pages), so that counts by kind are comparable;
 * the first that fits decides, for a whole block of 2^order pages. Two things differ: a poisoned page is left out
 * even as the tail of a block that is kept, as touching it may end the machine; and a block never reaches beyond
 * the pages that there are.
 */
import type { Libc } from "../../ffi/libc.ts";
import { type PrivateKernels, privateKernels } from "../kernels/module.ts";
import type { PageCounts } from "./counts.ts";
import type { PageLayout } from "./page-layout.ts";

/** Bits of the dump level that are asked for by name (makedumpfile(8), "-d"); the kernel knows all. */
export const LEVEL_ZERO = 1;
const LEVEL_CACHE = 2;
const LEVEL_CACHE_PRIVATE = 4;

/** As the kernel counts them. */
const COUNTED = ["cache", "cachePrivate", "user", "free", "hwpoison", "offline"] as const;

export class Classifier {
  /** most struct pages at a time */
  readonly capacity: number;
  /** Where struct pages are to be put: address of `capacity` of them. */
  readonly address: number;
  /** The same memory, for who has them already. */
  readonly input: Uint8Array<ArrayBuffer>;
  readonly #own: PrivateKernels;
  readonly #bits: Uint8Array;
  readonly #bitsAt: number;
  readonly #counts: PageCounts;
  readonly #counted: Uint32Array;

  /**
   * @param level of which only bits are set that the layout can tell
   * @param counts are added to
   */
  constructor(libc: Libc, layout: PageLayout, level: number, counts: PageCounts, capacity: number) {
    const inputBytes = Math.ceil((capacity * layout.size) / 64) * 64;
    const bitsBytes = Math.ceil(capacity / 8) + 16;
    this.#own = privateKernels(inputBytes + bitsBytes);
    const { kernels, base } = this.#own;
    const { buffer } = kernels.memory;
    this.capacity = capacity;
    this.address = libc.backend.addressOf(buffer) + base;
    this.input = new Uint8Array(buffer, base, inputBytes);
    this.#bitsAt = base + inputBytes;
    this.#bits = new Uint8Array(buffer, this.#bitsAt, bitsBytes);
    this.#counts = counts;
    this.#counted = new Uint32Array(buffer, kernels.classifyCounts(), COUNTED.length);
    const words = layoutWords(layout, level);
    new Int32Array(buffer, kernels.classifyLayout(), words.length).set(words);
  }

  /**
   * Classifies PFNs `first` to `first + count`, whose struct pages are in `input`. Calls come in ascending order;
   * blocks go on from one to the next.
   *
   * @param bits the pages' bits, cleared for what is left out; the bit of `first` is number `firstBit`
   */
  classify(first: number, count: number, bits: Uint8Array, firstBit: number): void {
    const from = firstBit >> 3;
    const to = Math.ceil((firstBit + count) / 8);
    this.#bits.set(bits.subarray(from, to));
    this.#own.kernels.classifyPages(this.#own.base, first, count, this.#bitsAt, firstBit & 7);
    bits.set(this.#bits.subarray(0, to - from), from);
    for (const [index, kind] of COUNTED.entries()) {
      this.#counts[kind] += this.#counted[index] as number;
      this.#counted[index] = 0;
    }
  }
}

/** The layout as the kernel has it; see the offsets there. */
function layoutWords(layout: PageLayout, level: number): Int32Array {
  const bytes = (words: number) => (words < 0 ? -1 : words * 4);
  const halves = (value: bigint) => [
    Number(BigInt.asIntN(32, value)),
    Number(BigInt.asIntN(32, value >> 32n)),
  ];
  const { hugetlb } = layout;
  const destructor = hugetlb?.by === "destructor" ? hugetlb : undefined;
  const words = [
    ...[layout.size, layout.flags, bytes(layout.compoundHead)],
    // What is not known is not asked for: its levels are taken out before.
    ...[layout.mapcount, layout.mapping, layout.private].map((at) => Math.max(0, bytes(at))),
    ...[layout.order, layout.orders],
    // Bit 4 has the effect of bit 2: cache without private data is counted as such.
    (level & LEVEL_CACHE_PRIVATE) !== 0 ? level | LEVEL_CACHE : level,
    destructor?.size ?? 0,
    destructor?.offset ?? 0,
    0, // 64-bit words follow, aligned
    ...halves(destructor?.value ?? 0n),
    ...[layout.head, layout.lru, layout.privateFlag, layout.swapcache].flatMap(halves),
    ...[layout.swapbacked, layout.slabFlag, layout.hwpoison].flatMap(halves),
    ...halves(hugetlb?.by === "flag" ? hugetlb.bit : 0n),
    ...[layout.slabType, layout.buddyType, layout.offlineType, layout.unacceptedType].flatMap(typeTest),
    ...typeTest(hugetlb?.by === "type" ? hugetlb.value : undefined),
  ];
  return Int32Array.from(words, (word) => word | 0);
}

/**
 * How a page type is compared: mask and value; no page is of a type that is not known. Since 6.12 it is the top
 * byte, and the exported value's other bits are zeros, so that whatever they will hold one day does not matter;
 * before, the whole word.
 */
function typeTest(value: number | undefined): [mask: number, value: number] {
  if (value === undefined) return [0, 1];
  return [(value & 0xffffff) === 0 ? 0xff000000 : -1, value];
}
