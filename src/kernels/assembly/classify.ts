// Struct pages in, kinds out, and the bits of pages that are left out cleared. See src/filter/classify.ts, which says
// what the rules are and fills in the layout.

/** The layout, words of 32 bits, offsets in bytes; -1: not known. */
const LAYOUT = memory.data(160, 16);
const SIZE: usize = 0;
const FLAGS: usize = 4;
const COMPOUND_HEAD: usize = 8;
const MAPCOUNT: usize = 12;
const MAPPING: usize = 16;
const PRIVATE: usize = 20;
const ORDER: usize = 24;
const ORDERS: usize = 28;
const LEVEL: usize = 32;
// A destructor of 1 or 8 bytes (0: none) in the second struct page.
const DESTRUCTOR_SIZE: usize = 36;
const DESTRUCTOR: usize = 40;
// Words of 64 bits: a value, and bits of page.flags, 0: not known.
const DESTRUCTOR_VALUE: usize = 48;
const HEAD: usize = 56;
const LRU: usize = 64;
const PRIVATE_FLAG: usize = 72;
const SWAPCACHE: usize = 80;
const SWAPBACKED: usize = 88;
const SLAB_FLAG: usize = 96;
const HWPOISON: usize = 104;
const HUGETLB_FLAG: usize = 112;
// Types: mask and value of _mapcount; a mask of 0 with a value of 1 fits no page.
const SLAB: usize = 120;
const BUDDY: usize = 128;
const OFFLINE: usize = 136;
const UNACCEPTED: usize = 144;
const HUGETLB_TYPE: usize = 152;

/** Kinds, and what of each was left out so far. */
const COUNTS = memory.data(6 * 4, 16);
const CACHE: u32 = 0;
const CACHE_PRIVATE: u32 = 1;
const USER: u32 = 2;
const FREE: u32 = 3;
const POISONED: u32 = 4;
const OFF: u32 = 5;
const NONE: u32 = 6;

/** A block goes on up to this PFN, with this kind. */
let blockEnd: u64 = 0;
let blockKind: u32 = NONE;

export function classifyLayout(): usize {
  return LAYOUT;
}

export function classifyCounts(): usize {
  return COUNTS;
}

function field(at: usize): i32 {
  return load<i32>(LAYOUT + at);
}

function flag(at: usize): u64 {
  return load<u64>(LAYOUT + at);
}

/** Clears bits [start, end). @returns how many of them were set */
function clear(bits: usize, start: u32, end: u32): u32 {
  let count: u32 = 0;
  while (start < end) {
    if ((start & 63) === 0 && end - start >= 64) {
      const at = bits + <usize>(start >> 3);
      count += <u32>popcnt(load<u64>(at));
      store<u64>(at, 0);
      start += 64;
      continue;
    }
    const at = bits + <usize>(start >> 3);
    const stop = min(end, (start | 7) + 1);
    const mask = ((1 << (stop - (start & ~7))) - 1) & ~((1 << (start & 7)) - 1);
    const byte = <u32>load<u8>(at);
    count += <u32>popcnt(byte & mask);
    store<u8>(at, <u8>(byte & ~mask));
    start = stop;
  }
  return count;
}

/** Clears the bits of a block from its page number `index` on. @returns the number of the page behind it */
function leaveOut(kind: u32, index: u32, first: u64, count: u32, bits: usize, firstBit: u32): u32 {
  const end = <u32>(min(blockEnd, first + <u64>count) - first);
  const counter = COUNTS + <usize>(kind << 2);
  store<u32>(counter, load<u32>(counter) + clear(bits, firstBit + index, firstBit + end));
  return end;
}

/** {@link leaveOut} of a single page. */
function leavePage(kind: u32, bit: u32, bits: usize): void {
  const at = bits + <usize>(bit >> 3);
  const byte = <u32>load<u8>(at);
  const counter = COUNTS + <usize>(kind << 2);
  store<u32>(counter, load<u32>(counter) + ((byte >> (bit & 7)) & 1));
  store<u8>(at, <u8>(byte & ~(1 << (bit & 7))));
}

/** Whether the second struct page, if it is there, says so by its flags or by a destructor. */
function saysHugetlb(second: usize, end: usize): bool {
  if (second + <usize>field(SIZE) > end) return false;
  if (flag(HUGETLB_FLAG) !== 0) return (load<u64>(second + <usize>field(FLAGS)) & flag(HUGETLB_FLAG)) !== 0;
  const width = field(DESTRUCTOR_SIZE);
  if (width === 0) return false;
  const at = second + <usize>field(DESTRUCTOR);
  const value = flag(DESTRUCTOR_VALUE);
  return width === 1 ? <u64>load<u8>(at) === value : load<u64>(at) === value;
}

/**
 * Classifies PFNs `first` to `first + count`, whose struct pages lie at `pages`. Calls come in ascending order.
 *
 * @param bits the pages' bits, 8 bytes aligned; that of `first` is number `firstBit`
 */
export function classifyPages(pages: usize, first: f64, count: u32, bits: usize, firstBit: u32): void {
  // In locals: the compiler must take it that a store changes what is in memory.
  const size = <usize>field(SIZE);
  const flagsAt = <usize>field(FLAGS);
  const hasTails = field(COMPOUND_HEAD) >= 0;
  const compoundHead = <usize>max(0, field(COMPOUND_HEAD));
  const mapcount = <usize>field(MAPCOUNT);
  const mapping = <usize>field(MAPPING);
  const privateAt = <usize>field(PRIVATE);
  const level = field(LEVEL);
  const wantsFree = (level & 16) !== 0;
  const wantsCache = (level & 6) !== 0;
  const wantsCleanCache = (level & 2) !== 0;
  const wantsPrivateCache = (level & 4) !== 0;
  const wantsUser = (level & 8) !== 0;
  const head = flag(HEAD);
  const lru = flag(LRU);
  const privateFlag = flag(PRIVATE_FLAG);
  const swapcache = flag(SWAPCACHE);
  const swapbacked = flag(SWAPBACKED);
  const slabFlag = flag(SLAB_FLAG);
  const hwpoison = flag(HWPOISON);
  const slabMask = field(SLAB);
  const slabValue = field(SLAB + 4);
  const buddyMask = field(BUDDY);
  const buddyValue = field(BUDDY + 4);
  const offlineMask = field(OFFLINE);
  const offlineValue = field(OFFLINE + 4);
  const unacceptedMask = field(UNACCEPTED);
  const unacceptedValue = field(UNACCEPTED + 4);
  const hugetlbMask = field(HUGETLB_TYPE);
  const hugetlbValue = field(HUGETLB_TYPE + 4);
  const slabIsType = slabMask !== 0;
  const end = pages + <usize>count * size;
  const firstPfn = <u64>first;
  let index: u32 = 0;
  if (blockEnd > firstPfn) index = leaveOut(blockKind, 0, firstPfn, count, bits, firstBit);
  while (index < count) {
    const page = pages + <usize>index * size;
    const flags = load<u64>(page + flagsAt);
    if (hasTails && (load<u8>(page + compoundHead) & 1) !== 0) {
      if ((flags & hwpoison) !== 0) leavePage(POISONED, firstBit + index, bits);
      index++;
      continue;
    }
    const type = load<i32>(page + mapcount);
    const isSlab = slabIsType ? (type & slabMask) === slabValue : (flags & slabFlag) !== 0;
    let kind: u32 = NONE;
    let order: u32 = 0;
    let said: u64 = 0;
    if (wantsFree && !isSlab && (type & buddyMask) === buddyValue) {
      said = load<u64>(page + privateAt);
      if (said < <u64>field(ORDERS)) {
        kind = FREE;
        order = <u32>said;
      }
    } else if (wantsFree && (type & unacceptedMask) === unacceptedValue) {
      kind = FREE;
      order = <u32>(field(ORDERS) - 1);
    } else if (wantsCache || wantsUser) {
      const isAnonymous = !isSlab && (load<u8>(page + mapping) & 1) !== 0;
      if (wantsCache && !isAnonymous) {
        const isCache =
          (flags & lru) !== 0 ||
          ((flags & swapcache) !== 0 && (swapbacked === 0 || (flags & swapbacked) !== 0));
        if (isCache) {
          if ((flags & privateFlag) === 0 && wantsCleanCache) kind = CACHE;
          else if (wantsPrivateCache) kind = CACHE_PRIVATE;
        }
      }
      if (kind === NONE && wantsUser) {
        if (isAnonymous) kind = USER;
        else if (hugetlbMask !== 0) {
          if ((type & hugetlbMask) === hugetlbValue) kind = USER;
        } else if ((flags & head) !== 0 && saysHugetlb(page + size, end)) kind = USER;
      }
      if (kind !== NONE && (flags & head) !== 0 && page + 2 * size <= end && field(ORDER) >= 0) {
        order = <u32>load<u8>(page + size + <usize>field(ORDER));
        // What is no order, or cannot be one here, is something else.
        if (order >= 64 || ((firstPfn + <u64>index) & (((<u64>1) << order) - 1)) !== 0) order = 0;
      }
    }
    if (kind === NONE) {
      if ((flags & hwpoison) !== 0) kind = POISONED;
      else if (!isSlab && (type & offlineMask) === offlineValue) kind = OFF;
      if (kind === NONE) {
        index++;
        continue;
      }
    }
    if (order === 0) {
      leavePage(kind, firstBit + index, bits);
      index++;
      continue;
    }
    blockKind = kind;
    // No block is larger than the memory there is: 2^40 pages are.
    blockEnd = firstPfn + <u64>index + ((<u64>1) << min<u32>(order, 40));
    index = leaveOut(kind, index, firstPfn, count, bits, firstBit);
  }
}
