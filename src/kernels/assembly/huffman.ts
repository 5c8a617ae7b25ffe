// Huffman codes as deflate wants them (RFC 1951, section 3.2.2): canonical, no longer than a limit, complete.
//
// A code's entry is a word: how many bits with the extra ones behind it, lowest, as shifts take no more than 6 bits of
// a number; << 8 its bits, first one lowest; << 24 how many those are, where there are extra ones.
import { clear } from "./page";

/** Fewest codes that every decoder takes for a complete code. */
const LEAST: u32 = 2;
const MOST = 288;
const LONGEST: u32 = 15;

/** Used symbols as count << SYMBOL_BITS | symbol: in the symbols' order, and rarest first. */
const USED = memory.data(4 * (MOST + 4), 16);
const SORTED = memory.data(4 * (MOST + 4), 16);
const SYMBOL_BITS: u32 = 9;
const SYMBOL: u32 = 511;
/** How many of a bucket there are, then where its next one goes. */
const BUCKETS = memory.data(4 * 64, 16);
const LAST_BUCKET: u32 = 63;
/** So few are sorted without. */
const FEW: usize = 32;
/** Inner nodes of the tree in the order they are made: their counts, and the node that each is under. */
const NODES = memory.data(4 * (MOST + 4), 16);
const PARENTS = memory.data(4 * (MOST + 4), 16);
/** How many codes there are of a length; the next one, from bit 15 down. */
const LENGTH_COUNTS = memory.data(4 * (LONGEST + 1), 16);
const NEXT = memory.data(4 * (LONGEST + 1), 16);
/** A byte's bits in reverse. */
const REVERSED = memory.data(256, 16);

for (let byte: u32 = 0; byte < 256; byte++) {
  let bits: u32 = 0;
  for (let i: u32 = 0; i < 8; i++) bits |= ((byte >> i) & 1) << (7 - i);
  store<u8>(REVERSED + byte, <u8>bits);
}

function word(array: usize, index: usize): u32 {
  return load<u32>(array + (index << 2));
}

function setWord(array: usize, index: usize, value: u32): void {
  store<u32>(array + (index << 2), value);
}

/** Fills USED. @param symbols an even number @returns how many there are */
function collectUsed(counts: usize, symbols: usize): usize {
  let used: usize = USED;
  for (let symbol: usize = 0; symbol < symbols; symbol += 2) {
    const first = word(counts, symbol);
    const second = word(counts, symbol + 1);
    store<u32>(used, (first << SYMBOL_BITS) | <u32>symbol);
    used += (<usize>(first !== 0)) << 2;
    store<u32>(used, (second << SYMBOL_BITS) | <u32>(symbol + 1));
    used += (<usize>(second !== 0)) << 2;
  }
  return (used - USED) >> 2;
}

/**
 * USED to SORTED by buckets; all but the last are of keys equal but for `shift` bits.
 *
 * @returns how many are in order by themselves
 */
function sortByBuckets(used: usize, shift: u32): usize {
  clear(BUCKETS, 4 * (LAST_BUCKET + 1));
  for (let i: usize = 0; i < used; i++) {
    const at = <usize>min<u32>(word(USED, i) >> shift, LAST_BUCKET);
    setWord(BUCKETS, at, word(BUCKETS, at) + 1);
  }
  let sum: u32 = 0;
  for (let at: usize = 0; at <= <usize>LAST_BUCKET; at++) {
    const count = word(BUCKETS, at);
    setWord(BUCKETS, at, sum);
    sum += count;
  }
  for (let i: usize = 0; i < used; i++) {
    const key = word(USED, i);
    const at = <usize>min<u32>(key >> shift, LAST_BUCKET);
    const place = word(BUCKETS, at);
    setWord(BUCKETS, at, place + 1);
    setWord(SORTED, place, key);
  }
  return shift === SYMBOL_BITS ? word(BUCKETS, LAST_BUCKET - 1) : 0;
}

/** USED to SORTED. @param sum of all counts, about */
function sort(used: usize, sum: u32): void {
  let sorted: usize = 0;
  if (used > FEW) {
    // The average falls into one of the first 32 buckets.
    const octaves = 32 - clz(sum / used);
    sorted = sortByBuckets(used, SYMBOL_BITS + (octaves > 5 ? octaves - 5 : 0));
  } else {
    for (let i: usize = 0; i < used; i += 4) v128.store(SORTED + (i << 2), v128.load(USED + (i << 2)));
  }
  for (let i = sorted; i < used; i++) {
    const key = word(SORTED, i);
    let at = i;
    while (at > sorted && word(SORTED, at - 1) > key) {
      setWord(SORTED, at, word(SORTED, at - 1));
      at--;
    }
    setWord(SORTED, at, key);
  }
}

/** Joins the two rarest until one is left: both symbols and inner nodes are in order by themselves. */
function joinRarest(used: usize): void {
  const NEVER: u32 = 0xffffffff;
  setWord(SORTED, used, NEVER);
  setWord(SORTED, used + 1, NEVER);
  // Further nodes are not there yet.
  setWord(NODES, 0, NEVER);
  setWord(NODES, 1, NEVER);
  let leaf: usize = SORTED;
  let node: usize = 0;
  const last = used - 1;
  for (let next: usize = 0; next < last; next++) {
    const leafA = load<u32>(leaf) >> SYMBOL_BITS;
    const leafB = load<u32>(leaf, 4) >> SYMBOL_BITS;
    const nodeA = word(NODES, node);
    const nodeB = word(NODES, node + 1);
    const areLeaves = leafB <= nodeA;
    const areNodes = nodeB < leafA;
    // One that is not taken gets its parent when it is.
    setWord(PARENTS, node, <u32>next);
    setWord(PARENTS, node + 1, <u32>next);
    setWord(NODES, next, (areNodes ? nodeB : leafA) + (areLeaves ? leafB : nodeA));
    setWord(NODES, next + 2, NEVER);
    const nodes = 1 + <usize>areNodes - <usize>areLeaves;
    node += nodes;
    leaf += (2 - nodes) << 2;
  }
}

/** Fills LENGTH_COUNTS. */
function countLengths(used: usize, limit: u32): void {
  clear(LENGTH_COUNTS, 4 * (LONGEST + 1));
  // The root is the last node. A parent comes later than what is under it, so each depth's nodes lie together.
  let at = <i32>used - 3;
  let first: u32 = <u32>used - 2;
  let above: u32 = 1;
  let excess: u32 = 0;
  for (let length: u32 = 1; above > 0; length++) {
    const from = at;
    while (at >= 0 && word(PARENTS, at) >= first) at--;
    const nodes = <u32>(from - at);
    // What is under the depth above and no node is a code.
    const codes = 2 * above - nodes;
    above = nodes;
    first = <u32>(at + 1);
    if (length <= limit) setWord(LENGTH_COUNTS, length, codes);
    else excess += codes;
  }
  if (excess === 0) return;
  // Codes that are too long get the limit's length. That is more than fit, in units of such a code's share by:
  setWord(LENGTH_COUNTS, limit, word(LENGTH_COUNTS, limit) + excess);
  let over: i32 = -(1 << limit);
  for (let length: u32 = 1; length <= limit; length++)
    over += word(LENGTH_COUNTS, length) << (limit - length);
  for (; over > 0; over--) {
    // A shorter code becomes two of one bit more, of which one is for a code of the limit's length.
    let length = limit - 1;
    while (word(LENGTH_COUNTS, length) === 0) length--;
    setWord(LENGTH_COUNTS, length, word(LENGTH_COUNTS, length) - 1);
    setWord(LENGTH_COUNTS, length + 1, word(LENGTH_COUNTS, length + 1) + 2);
    setWord(LENGTH_COUNTS, limit, word(LENGTH_COUNTS, limit) - 1);
  }
}

/**
 * Makes the code for symbols that occur so often. Those that do not have no code (entry and length 0), but there are
 * two codes at least.
 *
 * @param counts words, one a symbol, changed where fewer than two are above 0
 * @param sum of them, about
 * @param symbols an even number
 * @param limit longest code, at most 15
 * @param codes entries, one a symbol
 * @param lengths bytes, one a symbol
 */
export function buildCode(
  counts: usize,
  sum: u32,
  symbols: usize,
  limit: u32,
  codes: usize,
  lengths: usize,
): void {
  clear(codes, 4 * symbols);
  clear(lengths, symbols);
  let used = collectUsed(counts, symbols);
  if (used < LEAST) {
    for (let symbol: usize = 0; used < LEAST; symbol++) {
      if (word(counts, symbol) > 0) continue;
      setWord(counts, symbol, 1);
      used++;
    }
    collectUsed(counts, symbols);
  }
  sort(used, sum);
  joinRarest(used);
  countLengths(used, limit);
  let code: u32 = 0;
  let at = SORTED + (used << 2);
  for (let length: u32 = 1; length <= limit; length++) {
    const count = word(LENGTH_COUNTS, length);
    setWord(NEXT, length, code);
    code += count << (16 - length);
    for (const stop = at - (count << 2); at > stop; ) {
      at -= 4;
      store<u8>(lengths + <usize>(load<u32>(at) & SYMBOL), <u8>length);
    }
  }
  for (let i: usize = 0; i < used; i++) {
    const symbol = <usize>(word(USED, i) & SYMBOL);
    const length = <u32>load<u8>(lengths + symbol);
    const bits = word(NEXT, length);
    setWord(NEXT, length, bits + (0x10000 >> length));
    const reversed =
      ((<u32>load<u8>(REVERSED + <usize>(bits & 255))) << 8) | <u32>load<u8>(REVERSED + <usize>(bits >> 8));
    setWord(codes, symbol, length | (reversed << 8));
  }
}

/** Lets a code's entry have so many extra bits. */
export function addExtra(entry: usize, extra: u32): void {
  const length = load<u8>(entry);
  store<u8>(entry, length + <u8>extra);
  store<u8>(entry, length, 3);
}

/** Bits that so many symbols take, with their extra bits. @param symbols a multiple of 4 */
export function costOf(counts: usize, codes: usize, symbols: usize): u32 {
  let sums = i32x4.splat(0);
  for (let at: usize = 0; at < symbols << 2; at += 16) {
    sums = i32x4.add(
      sums,
      i32x4.mul(v128.load(counts + at), v128.and(v128.load(codes + at), i32x4.splat(63))),
    );
  }
  return (
    i32x4.extract_lane(sums, 0) +
    i32x4.extract_lane(sums, 1) +
    i32x4.extract_lane(sums, 2) +
    i32x4.extract_lane(sums, 3)
  );
}
