// A page's sequences as one block of deflate (RFC 1951): with codes of its own, or with the fixed ones where they take
// less.
import { buildCode, costOf } from "./huffman";
import { clear } from "./page";

/**
 * A sequence is literals and the match behind them. A word of 64 bits, from the lowest:
 * 17 how many literals, 9 the match's length (0: none, the last), 5 its code less 257, 5 its extra bits,
 * 5 the distance's code, 13 its extra bits.
 */
export const SEQUENCES = memory.data(8 * ((1 << 14) + 8), 16);
const RUN_BITS: u64 = 17;
const LENGTH_BITS: u64 = 9;

/** How often each symbol occurs. */
export const LITERAL_COUNTS = memory.data(4 * 288, 16);
export const DISTANCE_COUNTS = memory.data(4 * 32, 16);
const LITERALS: u32 = 286;
const DISTANCES: u32 = 30;
const END: u32 = 256;
const FIRST_LENGTH: usize = 257;

const LITERAL_CODES = memory.data(4 * 288, 16);
const DISTANCE_CODES = memory.data(4 * 32, 16);
const FIXED_LITERALS = memory.data(4 * 288, 16);
const FIXED_DISTANCES = memory.data(4 * 32, 16);
/** Four literals and what is left of a byte fit in 64 bits. */
const LITERAL_LIMIT: u32 = 14;
const DISTANCE_LIMIT: u32 = 15;

/** Lengths of both codes, one behind the other. */
const LENGTHS = memory.data(320 + 96, 16);
const LENGTHS_END: u8 = 0xff;
/** The same as symbols of the code for lengths: 5 bits of symbol, and extra bits. */
const ITEMS = memory.data(2 * 320, 16);
const ITEM_COUNTS = memory.data(4 * 20, 16);
const ITEM_CODES = memory.data(4 * 20, 16);
const ITEM_LENGTHS = memory.data(32, 16);
const ITEM_SYMBOLS: u32 = 20;
const ITEM_LIMIT: u32 = 7;
const ITEM_ORDER = memory.data<u8>([16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]);
const REPEAT: u32 = 16;
const ZEROS: u32 = 17;
const MANY_ZEROS: u32 = 18;

/** For a length less 3: its code less 257, << 8 its extra bits. */
export const LENGTH_SLOTS = memory.data(2 * 256, 16);

// @ts-expect-error: decorator
@inline
function lengthExtra(slot: u32): u32 {
  return slot < 8 || slot === 28 ? 0 : (slot >> 2) - 1;
}

// @ts-expect-error: decorator
@inline
function distanceExtra(slot: u32): u32 {
  return slot < 4 ? 0 : (slot >> 1) - 1;
}

// @ts-expect-error: decorator
@inline
function addExtra(entry: usize, extra: u32): void {
  const length = load<u8>(entry);
  store<u8>(entry, length + <u8>extra);
  store<u8>(entry, length, 3);
}

function addExtraBits(literalCodes: usize, distanceCodes: usize): void {
  for (let slot: usize = 8; slot < 28; slot++) {
    addExtra(literalCodes + ((FIRST_LENGTH + slot) << 2), lengthExtra(<u32>slot));
  }
  for (let slot: usize = 4; slot < 30; slot++) addExtra(distanceCodes + (slot << 2), distanceExtra(<u32>slot));
}

function prepare(): void {
  for (let length: u32 = 0, slot: u32 = 0; slot < 29; slot++) {
    // The last code is for 258 alone.
    if (slot === 28) length = 255;
    const extra = lengthExtra(slot);
    for (let i: u32 = 0; i < 1 << extra && length < 256; i++, length++) {
      store<u16>(LENGTH_SLOTS + (length << 1), <u16>(slot | (i << 8)));
    }
  }
  // The fixed code is what comes of these counts.
  for (let symbol: usize = 0; symbol < 288; symbol++) {
    const length: u32 = symbol < 144 ? 8 : symbol < 256 ? 9 : symbol < 280 ? 7 : 8;
    store<u32>(LITERAL_COUNTS + (symbol << 2), 1 << (9 - length));
  }
  buildCode(LITERAL_COUNTS, 1, 288, 9, FIXED_LITERALS, LENGTHS);
  for (let symbol: usize = 0; symbol < 32; symbol++) store<u32>(DISTANCE_COUNTS + (symbol << 2), 1);
  buildCode(DISTANCE_COUNTS, 1, 32, 5, FIXED_DISTANCES, LENGTHS);
  addExtraBits(FIXED_LITERALS, FIXED_DISTANCES);
}
prepare();

// @ts-expect-error: decorator
@inline
function putItem(at: usize, symbol: u32, extra: u32): usize {
  store<u16>(at, <u16>(symbol | (extra << 5)));
  const count = ITEM_COUNTS + (<usize>symbol << 2);
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

// @ts-expect-error: decorator
@inline
function changes(at: usize): u64 {
  return <u64>(i8x16.bitmask(i8x16.ne(v128.load(at), v128.load(at, 1))));
}

/** The lengths as ITEMS. @returns their end */
function collectItems(count: usize): usize {
  clear(ITEM_COUNTS, 80);
  store<u8>(LENGTHS + count, LENGTHS_END);
  let out: usize = ITEMS;
  let first: usize = LENGTHS;
  const end = LENGTHS + count;
  for (let block: usize = LENGTHS; block < end; block += 64) {
    let ends = changes(block) | (changes(block + 16) << 16) | (changes(block + 32) << 32) | (changes(block + 48) << 48);
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

/**
 * Writes the sequences up to `sequencesEnd` as a last block, unless that takes more than `room` bytes. Up to 8 bytes
 * more are written.
 *
 * @param page whose literals they are; it is read up to 4 bytes behind its end
 * @returns where it ends; 0 where there is no room
 */
export function writeBlock(page: usize, sequencesEnd: usize, out: usize, room: u32): usize {
  store<u32>(LITERAL_COUNTS, load<u32>(LITERAL_COUNTS, 4 * END) + 1, 4 * END);
  const fixed = 3 + costOf(LITERAL_COUNTS, FIXED_LITERALS, 288) + costOf(DISTANCE_COUNTS, FIXED_DISTANCES, 32);
  buildCode(LITERAL_COUNTS, 810, LITERALS, LITERAL_LIMIT, LITERAL_CODES, LENGTHS);
  let literalsUsed: usize = LITERALS;
  while (load<u8>(LENGTHS + literalsUsed - 1) === 0) literalsUsed--;
  buildCode(DISTANCE_COUNTS, 1, DISTANCES, DISTANCE_LIMIT, DISTANCE_CODES, LENGTHS + literalsUsed);
  let distancesUsed: usize = DISTANCES;
  while (load<u8>(LENGTHS + literalsUsed + distancesUsed - 1) === 0) distancesUsed--;
  const itemsEnd = collectItems(literalsUsed + distancesUsed);
  buildCode(ITEM_COUNTS, 1, ITEM_SYMBOLS, ITEM_LIMIT, ITEM_CODES, ITEM_LENGTHS);
  addExtraBits(LITERAL_CODES, DISTANCE_CODES);
  addExtra(ITEM_CODES + 4 * REPEAT, 2);
  addExtra(ITEM_CODES + 4 * ZEROS, 3);
  addExtra(ITEM_CODES + 4 * MANY_ZEROS, 7);
  let itemsUsed: usize = 19;
  while (load<u8>(ITEM_LENGTHS + <usize>load<u8>(ITEM_ORDER + itemsUsed - 1)) === 0) itemsUsed--;
  const dynamic =
    17 +
    3 * <u32>itemsUsed +
    costOf(ITEM_COUNTS, ITEM_CODES, 20) +
    costOf(LITERAL_COUNTS, LITERAL_CODES, 288) +
    costOf(DISTANCE_COUNTS, DISTANCE_CODES, 32);
  if (min<u32>(fixed, dynamic) > room << 3) return 0;

  let literalCodes: usize = FIXED_LITERALS;
  let distanceCodes: usize = FIXED_DISTANCES;
  let bits: u64 = 3;
  let filled: u64 = 3;
  if (dynamic < fixed) {
    literalCodes = LITERAL_CODES;
    distanceCodes = DISTANCE_CODES;
    bits = 5 | ((literalsUsed - 257) << 3) | ((distancesUsed - 1) << 8) | ((itemsUsed - 4) << 13);
    filled = 17;
    store<u64>(out, bits);
    out += 2;
    bits >>= 16;
    filled -= 16;
    for (let i: usize = 0; i < itemsUsed; i++) {
      bits |= <u64>load<u8>(ITEM_LENGTHS + <usize>load<u8>(ITEM_ORDER + i)) << filled;
      filled += 3;
    }
    // At most 58 bits.
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
  }

  let literal = page;
  for (let at: usize = SEQUENCES; at < sequencesEnd; at += 8) {
    const sequence = load<u64>(at);
    let run = <usize>(sequence & 0x1ffff);
    while (run >= 4) {
      store<u64>(out, bits);
      out += <usize>((filled >> 3) & 7);
      bits >>= filled & 56;
      filled &= 7;
      const four = load<u32>(literal);
      literal += 4;
      run -= 4;
      const a = <u64>load<u32>(literalCodes + ((four & 255) << 2));
      const b = <u64>load<u32>(literalCodes + (((four >> 8) & 255) << 2));
      const c = <u64>load<u32>(literalCodes + (((four >> 16) & 255) << 2));
      const d = <u64>load<u32>(literalCodes + ((four >> 24) << 2));
      const ab = a + b;
      const abBits = (a >> 8) | ((b >> 8) << a);
      const cdBits = (c >> 8) | ((d >> 8) << c);
      bits |= (abBits | (cdBits << ab)) << filled;
      filled += ab + c + d;
    }
    store<u64>(out, bits);
    out += <usize>((filled >> 3) & 7);
    bits >>= filled & 56;
    filled &= 7;
    const three = load<u32>(literal);
    literal += run;
    const a = <u64>(run > 0 ? load<u32>(literalCodes + ((three & 255) << 2)) : 0);
    const b = <u64>(run > 1 ? load<u32>(literalCodes + (((three >> 8) & 255) << 2)) : 0);
    const c = <u64>(run > 2 ? load<u32>(literalCodes + (((three >> 16) & 255) << 2)) : 0);
    const ab = a + b;
    const abBits = (a >> 8) | ((b >> 8) << a);
    bits |= (abBits | ((c >> 8) << ab)) << filled;
    filled += ab + c;
    const length = <usize>((sequence >> RUN_BITS) & 511);
    if (length === 0) break;
    literal += length;
    store<u64>(out, bits);
    out += <usize>((filled >> 3) & 7);
    bits >>= filled & 56;
    filled &= 7;
    const match = <u64>load<u32>(literalCodes + (FIRST_LENGTH << 2) + (<usize>((sequence >> 26) & 31) << 2));
    const back = <u64>load<u32>(distanceCodes + (<usize>((sequence >> 36) & 31) << 2));
    const matchBits = ((match >> 8) & 0xffff) | (((sequence >> 31) & 31) << (match >> 24));
    const backBits = ((back >> 8) & 0xffff) | ((sequence >> 41) << (back >> 24));
    bits |= (matchBits | (backBits << match)) << filled;
    filled += match + back;
  }
  store<u64>(out, bits);
  out += <usize>((filled >> 3) & 7);
  bits >>= filled & 56;
  filled &= 7;
  const end = <u64>load<u32>(literalCodes + (END << 2));
  bits |= ((end >> 8) & 0xffff) << filled;
  filled += end & 63;
  store<u64>(out, bits);
  return out + <usize>((filled + 7) >> 3);
}
