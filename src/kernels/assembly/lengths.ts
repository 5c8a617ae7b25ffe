// What a block with codes of its own begins with: their lengths, as runs, which have a Huffman code too (RFC 1951,
// section 3.2.7).
import { addExtra, buildCode, costOf } from "./huffman";
import { clear } from "./page";

/** Lengths of both codes, a byte each, one code behind the other. */
export const LENGTHS = memory.data(320 + 96, 16);
const NO_LENGTH: u8 = 0xff;
/** The same as runs: symbols of 5 bits, and extra bits. */
const ITEMS = memory.data(2 * 328, 16);
const REPEAT: u32 = 16;
const ZEROS: u32 = 17;
const MANY_ZEROS: u32 = 18;
/** An even number; the last does not occur. */
const ITEM_SYMBOLS: usize = 20;
const ITEM_LIMIT: u32 = 7;
const ITEM_COUNTS = memory.data(4 * 20, 16);
const ITEM_CODES = memory.data(4 * 20, 16);
const ITEM_LENGTHS = memory.data(32, 16);
const ITEM_ORDER = memory.data<u8>([16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]);

let itemsEnd: usize = 0;
let itemsUsed: usize = 0;
/** What {@link writeLengths} has not written yet, and how many bits that is. */
export let headerBits: u64 = 0;
export let headerFilled: u64 = 0;

function putItem(at: usize, symbol: u32, extra: u32): usize {
  store<u16>(at, <u16>(symbol | (extra << 5)));
  const count = ITEM_COUNTS + ((<usize>symbol) << 2);
  store<u32>(count, load<u32>(count) + 1);
  return at + 2;
}

/** Lengths repeated, so many times, as items. @returns their end */
function putRun(out: usize, length: u32, run: u32): usize {
  if (length === 0) {
    for (; run >= 11; run -= min<u32>(run, 138)) out = putItem(out, MANY_ZEROS, min<u32>(run, 138) - 11);
    if (run >= 3) return putItem(out, ZEROS, run - 3);
  } else {
    out = putItem(out, length, 0);
    for (run--; run >= 3; run -= min<u32>(run, 6)) out = putItem(out, REPEAT, min<u32>(run, 6) - 3);
  }
  for (; run > 0; run--) out = putItem(out, length, 0);
  return out;
}

function changes(at: usize): u64 {
  return <u64>i8x16.bitmask(i8x16.ne(v128.load(at), v128.load(at, 1)));
}

/** The first `count` of LENGTHS as ITEMS. @returns their end */
function collectItems(count: usize): usize {
  clear(ITEM_COUNTS, 4 * ITEM_SYMBOLS);
  store<u8>(LENGTHS + count, NO_LENGTH);
  let out: usize = ITEMS;
  let first: usize = LENGTHS;
  const end = LENGTHS + count;
  for (let block: usize = LENGTHS; block < end; block += 64) {
    let ends =
      changes(block) |
      (changes(block + 16) << 16) |
      (changes(block + 32) << 32) |
      (changes(block + 48) << 48);
    while (ends !== 0) {
      const next = block + <usize>ctz(ends) + 1;
      ends &= ends - 1;
      if (next > end) break;
      const length = <u32>load<u8>(first);
      const run = <u32>(next - first);
      first = next;
      if (run < 3) {
        store<u32>(out, length * 0x10001);
        out += <usize>(run << 1);
        const counted = ITEM_COUNTS + <usize>(length << 2);
        store<u32>(counted, load<u32>(counted) + run);
      } else {
        out = putRun(out, length, run);
      }
    }
  }
  return out;
}

/** @param count LENGTHS of both codes @returns bits that the block's header takes, about */
export function packLengths(count: usize): u32 {
  itemsEnd = collectItems(count);
  buildCode(ITEM_COUNTS, 0, ITEM_SYMBOLS, ITEM_LIMIT, ITEM_CODES, ITEM_LENGTHS);
  addExtra(ITEM_CODES + 4 * REPEAT, 2);
  addExtra(ITEM_CODES + 4 * ZEROS, 3);
  addExtra(ITEM_CODES + 4 * MANY_ZEROS, 7);
  itemsUsed = 19;
  while (load<u8>(ITEM_LENGTHS + <usize>load<u8>(ITEM_ORDER + itemsUsed - 1)) === 0) itemsUsed--;
  return 17 + 3 * <u32>itemsUsed + costOf(ITEM_COUNTS, ITEM_CODES, ITEM_SYMBOLS);
}

/** Writes the header of what was packed last, as a last block's. @returns where it ends, but for the bits left */
export function writeLengths(literals: usize, distances: usize, out: usize): usize {
  let bits: u64 = 5 | ((literals - 257) << 3) | ((distances - 1) << 8) | ((itemsUsed - 4) << 13);
  store<u16>(out, <u16>bits);
  out += 2;
  bits >>= 16;
  let filled: u64 = 1;
  // At most 58 bits.
  for (let i: usize = 0; i < itemsUsed; i++) {
    bits |= (<u64>load<u8>(ITEM_LENGTHS + <usize>load<u8>(ITEM_ORDER + i))) << filled;
    filled += 3;
  }
  for (let at: usize = ITEMS; at < itemsEnd; at += 2) {
    store<u64>(out, bits);
    out += <usize>((filled >> 3) & 7);
    bits >>= filled & 56;
    filled &= 7;
    const item = <u64>load<u16>(at);
    const code = <u64>load<u32>(ITEM_CODES + <usize>((item & 31) << 2));
    bits |= (((code >> 8) & 0xffff) | ((item >> 5) << (code >> 24))) << filled;
    filled += code & 63;
  }
  headerBits = bits;
  headerFilled = filled;
  return out;
}
