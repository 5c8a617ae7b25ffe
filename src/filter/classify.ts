/**
 * The hot loop: struct pages in, kinds out, and the bits of pages that are left out cleared.
 *
 * The order of the tests is makedumpfile's (__exclude_unnecessary_pages), so that counts by kind are comparable;
 * the first that fits decides, for a whole block of 2^order pages. Two things differ: a poisoned page is left out
 * even as the tail of a block that is kept, as touching it may end the machine; and a block never reaches beyond
 * the pages that there are.
 *
 * In JavaScript over an Int32Array a page takes a few nanoseconds; the loop reads five words of each.
 */
import { clearBits } from "../vmcore/pfn-bits.ts";
import type { PageCounts } from "./counts.ts";
import type { FlagBit, PageLayout } from "./page-layout.ts";

/** Dump level bits (makedumpfile(8), "-d"). */
export const LEVEL_ZERO = 1;
export const LEVEL_CACHE = 2;
export const LEVEL_CACHE_PRIVATE = 4;
export const LEVEL_USER = 8;
export const LEVEL_FREE = 16;

type Counted = "cache" | "cachePrivate" | "user" | "free" | "hwpoison" | "offline";

/** Orders above are no orders: the word is something else. */
const MOST_ORDER = 63;

export class Classifier {
  readonly #layout: PageLayout;
  readonly #level: number;
  readonly #counts: PageCounts;
  /** A block goes on up to this PFN, with this kind. */
  #blockEnd = 0;
  #blockKind: Counted = "free";

  /** @param level of which only bits are set that the layout can tell @param counts are added to */
  constructor(layout: PageLayout, level: number, counts: PageCounts) {
    this.#layout = layout;
    // Bit 4 has the effect of bit 2: cache without private data is counted as such.
    this.#level = (level & LEVEL_CACHE_PRIVATE) !== 0 ? level | LEVEL_CACHE : level;
    this.#counts = counts;
  }

  /**
   * Classifies PFNs `first` to `first + count`, whose struct pages lie one behind the other. Calls come in
   * ascending order; blocks go on from one to the next.
   *
   * @param words the struct pages, and at least one more where a block of several begins with the last
   * @param bits the pages' bits, cleared for what is left out; the bit of `first` is number `firstBit`
   */
  classify(words: Int32Array, first: number, count: number, bits: Uint8Array, firstBit: number): void {
    const layout = this.#layout;
    const level = this.#level;
    const stride = layout.size >> 2;
    const { compoundHead, mapcount, mapping } = layout;
    const { word: headWord, mask: headMask } = layout.head;
    const { word: lruWord, mask: lruMask } = layout.lru;
    const { word: privateWord, mask: privateMask } = layout.privateFlag;
    const { word: cacheWord, mask: cacheMask } = layout.swapcache;
    const { word: backedWord, mask: backedMask } = layout.swapbacked;
    const { word: slabWord, mask: slabMask } = layout.slabFlag;
    const { word: poisonWord, mask: poisonMask } = layout.hwpoison;
    const slab = typeTest(layout.slabType);
    const buddy = typeTest(layout.buddyType);
    const unaccepted = typeTest(layout.unacceptedType);
    const offline = typeTest(layout.offlineType);
    const wantsFree = (level & LEVEL_FREE) !== 0;
    const wantsCache = (level & (LEVEL_CACHE | LEVEL_CACHE_PRIVATE)) !== 0;
    const wantsPrivate = (level & LEVEL_CACHE_PRIVATE) !== 0;
    const wantsUser = (level & LEVEL_USER) !== 0;
    const wantsKind = wantsCache || wantsUser;

    let index = 0;
    if (this.#blockEnd > first) index = this.#take(this.#blockKind, first, first, count, bits, firstBit);
    while (index < count) {
      const at = index * stride;
      const isPoisoned = ((words[at + poisonWord] as number) & poisonMask) !== 0;
      if (compoundHead >= 0 && ((words[at + compoundHead] as number) & 1) !== 0) {
        if (isPoisoned) this.#block("hwpoison", first + index, 1, first, count, bits, firstBit);
        index++;
        continue;
      }
      const type = mapcount < 0 ? 0 : (words[at + mapcount] as number);
      const isSlab = slab.known
        ? (type & slab.mask) === slab.value
        : ((words[at + slabWord] as number) & slabMask) !== 0;
      let kind: Counted | undefined;
      let order = 0;
      if (wantsFree && !isSlab && buddy.known && (type & buddy.mask) === buddy.value) {
        order = words[at + layout.private] as number;
        if (order >= 0 && order < layout.orders && words[at + layout.private + 1] === 0) kind = "free";
      } else if (wantsFree && unaccepted.known && (type & unaccepted.mask) === unaccepted.value) {
        kind = "free";
        order = layout.orders - 1;
      } else if (wantsKind) {
        const isAnonymous = ((words[at + mapping] as number) & 1) !== 0 && !isSlab;
        const isCache =
          ((words[at + lruWord] as number) & lruMask) !== 0 ||
          (((words[at + cacheWord] as number) & cacheMask) !== 0 &&
            (backedMask === 0 || ((words[at + backedWord] as number) & backedMask) !== 0));
        if (wantsCache && isCache && !isAnonymous) {
          const isPrivate = ((words[at + privateWord] as number) & privateMask) !== 0;
          if (!isPrivate && (level & LEVEL_CACHE) !== 0) kind = "cache";
          else if (wantsPrivate) kind = "cachePrivate";
        }
        const isHead = ((words[at + headWord] as number) & headMask) !== 0;
        if (
          kind === undefined &&
          wantsUser &&
          (isAnonymous || this.#isHugetlb(words, at, stride, type, isHead))
        ) {
          kind = "user";
        }
        if (kind !== undefined && isHead) order = this.#order(words, at, stride, first + index);
      }
      if (kind === undefined) {
        if (isPoisoned) kind = "hwpoison";
        else if (offline.known && !isSlab && (type & offline.mask) === offline.value) kind = "offline";
        order = 0;
      }
      if (kind === undefined) index++;
      else index = this.#block(kind, first + index, 2 ** order, first, count, bits, firstBit);
    }
  }

  /** Leaves out a block. @returns the index behind what of it lies here */
  #block(
    kind: Counted,
    pfn: number,
    pages: number,
    first: number,
    count: number,
    bits: Uint8Array,
    firstBit: number,
  ): number {
    this.#blockKind = kind;
    this.#blockEnd = pfn + pages;
    return this.#take(kind, pfn, first, count, bits, firstBit);
  }

  #take(
    kind: Counted,
    pfn: number,
    first: number,
    count: number,
    bits: Uint8Array,
    firstBit: number,
  ): number {
    const end = Math.min(this.#blockEnd, first + count);
    this.#counts[kind] += clearBits(bits, firstBit + pfn - first, firstBit + end - first);
    return end - first;
  }

  #isHugetlb(words: Int32Array, at: number, stride: number, type: number, isHead: boolean): boolean {
    const rule = this.#layout.hugetlb;
    if (rule === undefined) return false;
    if (rule.by === "type") return (type & typeTest(rule.value).mask) === rule.value;
    const second = at + stride;
    if (!isHead || second + stride > words.length) return false;
    if (rule.by === "flag") return isSet(words, second, rule.bit);
    if (rule.size === 1) return byteAt(words, second, rule.offset) === Number(rule.value);
    const low = words[second + rule.offset / 4] as number;
    const high = words[second + rule.offset / 4 + 1] as number;
    return ((BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)) === rule.value;
  }

  /** Of a head page; 0 where what stands there is none. */
  #order(words: Int32Array, at: number, stride: number, pfn: number): number {
    if (at + 2 * stride > words.length) return 0;
    const order = byteAt(words, at + stride, this.#layout.order);
    return order <= MOST_ORDER && pfn % 2 ** order === 0 ? order : 0;
  }
}

function isSet(words: Int32Array, at: number, { word, mask }: FlagBit): boolean {
  return ((words[at + word] as number) & mask) !== 0;
}

function byteAt(words: Int32Array, at: number, offset: number): number {
  if (offset < 0) return MOST_ORDER + 1;
  return ((words[at + (offset >> 2)] as number) >>> ((offset & 3) * 8)) & 0xff;
}

/**
 * How a page type is compared: since 6.12 it is the top byte, and the exported value's other bits are zeros, so
 * that whatever they will hold one day does not matter; before, the whole word.
 */
function typeTest(value: number | undefined): { known: boolean; mask: number; value: number } {
  if (value === undefined) return { known: false, mask: 0, value: 1 };
  return { known: true, mask: (value & 0xffffff) === 0 ? 0xff000000 | 0 : -1, value: value | 0 };
}
