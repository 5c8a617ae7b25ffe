// Struct pages in, kinds out, and the bits of pages that are left out cleared. See src/filter/classify.ts, which says
// what the rules are and fills in the layout.

/** The layout, 32-bit words in this order; offsets in bytes, -1: not known. A bit is an offset and a mask. */
const LAYOUT = memory.data(256, 16);
const SIZE: usize = 0;
const COMPOUND_HEAD: usize = 4;
const MAPCOUNT: usize = 8;
const MAPPING: usize = 12;
const PRIVATE: usize = 16;
const HEAD: usize = 20;
const LRU: usize = 28;
const PRIVATE_FLAG: usize = 36;
const SWAPCACHE: usize = 44;
const SWAPBACKED: usize = 52;
const SLAB_FLAG: usize = 60;
const HWPOISON: usize = 68;
// Types: whether it is known, the mask and the value of _mapcount.
const SLAB: usize = 76;
const BUDDY: usize = 88;
const OFFLINE: usize = 100;
const UNACCEPTED: usize = 112;
const HUGETLB_TYPE: usize = 124;
// In the second struct page: a flag, or a destructor of 1 or 8 bytes (0: none) at an offset, and its value.
const HUGETLB_FLAG: usize = 136;
const DESTRUCTOR: usize = 144;
const DESTRUCTOR_VALUE: usize = 152;
const ORDER: usize = 160;
const ORDERS: usize = 164;
const LEVEL: usize = 168;

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

function isSet(page: usize, bit: usize): bool {
  return (load<i32>(page + <usize>field(bit)) & field(bit + 4)) !== 0;
}

function isType(type: i32, which: usize): bool {
  return field(which) !== 0 && (type & field(which + 4)) === field(which + 8);
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

function leaveOut(kind: u32, from: u64, first: u64, count: u32, bits: usize, firstBit: u32): u32 {
  const stop = min(blockEnd, first + <u64>count);
  const index = <u32>(from - first);
  const end = <u32>(stop - first);
  const counter = COUNTS + <usize>(kind << 2);
  store<u32>(counter, load<u32>(counter) + clear(bits, firstBit + index, firstBit + end));
  return end;
}

function isHugetlb(page: usize, last: usize, type: i32, isHead: bool): bool {
  if (field(HUGETLB_TYPE) !== 0) return isType(type, HUGETLB_TYPE);
  const size = <usize>field(SIZE);
  const second = page + size;
  if (!isHead || second + size > last) return false;
  if (field(HUGETLB_FLAG + 4) !== 0) return isSet(second, HUGETLB_FLAG);
  const width = field(DESTRUCTOR + 4);
  if (width === 0) return false;
  const at = second + <usize>field(DESTRUCTOR);
  const value = load<u64>(LAYOUT + DESTRUCTOR_VALUE);
  return width === 1 ? <u64>load<u8>(at) === value : load<u64>(at) === value;
}

/**
 * Classifies PFNs `first` to `first + count`, whose struct pages lie at `pages`. Calls come in ascending order.
 *
 * @param bits the pages' bits, 8 bytes aligned; that of `first` is number `firstBit`
 */
export function classifyPages(pages: usize, first: f64, count: u32, bits: usize, firstBit: u32): void {
  const size = <usize>field(SIZE);
  const last = pages + <usize>count * size;
  const level = field(LEVEL);
  const wantsFree = (level & 16) !== 0;
  const wantsCache = (level & 6) !== 0;
  const wantsUser = (level & 8) !== 0;
  const firstPfn = <u64>first;
  const compoundHead = field(COMPOUND_HEAD);
  const mapcount = field(MAPCOUNT);
  const privateAt = <usize>field(PRIVATE);
  const mapping = <usize>field(MAPPING);
  const slabIsType = field(SLAB) !== 0;
  let index: u32 = 0;
  if (blockEnd > firstPfn) index = leaveOut(blockKind, firstPfn, firstPfn, count, bits, firstBit);
  while (index < count) {
    const page = pages + <usize>index * size;
    const isPoisoned = isSet(page, HWPOISON);
    if (compoundHead >= 0 && (load<u32>(page + <usize>compoundHead) & 1) !== 0) {
      if (isPoisoned) {
        blockEnd = firstPfn + <u64>index + 1;
        leaveOut(POISONED, firstPfn + <u64>index, firstPfn, count, bits, firstBit);
      }
      index++;
      continue;
    }
    const type = mapcount < 0 ? 0 : load<i32>(page + <usize>mapcount);
    const isSlab = slabIsType ? isType(type, SLAB) : isSet(page, SLAB_FLAG);
    let kind: u32 = NONE;
    let order: u32 = 0;
    if (wantsFree && !isSlab && isType(type, BUDDY)) {
      const said = load<u64>(page + privateAt);
      if (said < <u64>field(ORDERS)) {
        kind = FREE;
        order = <u32>said;
      }
    } else if (wantsFree && isType(type, UNACCEPTED)) {
      kind = FREE;
      order = <u32>(field(ORDERS) - 1);
    } else if (wantsCache || wantsUser) {
      const isAnonymous = (load<u32>(page + mapping) & 1) !== 0 && !isSlab;
      const isCache =
        isSet(page, LRU) ||
        (isSet(page, SWAPCACHE) && (field(SWAPBACKED + 4) === 0 || isSet(page, SWAPBACKED)));
      if (wantsCache && isCache && !isAnonymous) {
        const isPrivate = isSet(page, PRIVATE_FLAG);
        if (!isPrivate && (level & 2) !== 0) kind = CACHE;
        else if ((level & 4) !== 0) kind = CACHE_PRIVATE;
      }
      const isHead = isSet(page, HEAD);
      if (kind === NONE && wantsUser && (isAnonymous || isHugetlb(page, last, type, isHead))) kind = USER;
      if (kind !== NONE && isHead && page + 2 * size <= last && field(ORDER) >= 0) {
        order = <u32>load<u8>(page + size + <usize>field(ORDER));
        // What is no order, or cannot be one here, is something else.
        if (order >= 64 || ((firstPfn + <u64>index) & (((<u64>1) << order) - 1)) !== 0) order = 0;
      }
    }
    if (kind === NONE) {
      order = 0;
      if (isPoisoned) kind = POISONED;
      else if (!isSlab && isType(type, OFFLINE)) kind = OFF;
    }
    if (kind === NONE) {
      index++;
      continue;
    }
    const pfn = firstPfn + <u64>index;
    blockKind = kind;
    // No block is larger than the memory there is: 2^40 pages are.
    blockEnd = pfn + ((<u64>1) << min<u32>(order, 40));
    index = leaveOut(kind, pfn, firstPfn, count, bits, firstBit);
  }
}
