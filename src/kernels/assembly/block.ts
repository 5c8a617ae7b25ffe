// A page's sequences as one block of deflate (RFC 1951): with codes of its own, or with the fixed ones where they take
// less.
import { addExtra, buildCode, costOf } from "./huffman";
import { headerBits, headerFilled, LENGTHS, packLengths, writeLengths } from "./lengths";

/**
 * A sequence is literals and the match behind them. A word of 64 bits, from the lowest:
 * 17 how many literals, 9 the match's length (0: none, the last), 5 its code less 257, 5 its extra bits,
 * 5 the distance's code, 13 its extra bits.
 */
export const SEQUENCES = memory.data(8 * ((1 << 14) + 8), 16);

/** How often each symbol occurs. */
export const LITERAL_COUNTS = memory.data(4 * 288, 16);
export const DISTANCE_COUNTS = memory.data(4 * 32, 16);
const LITERALS: usize = 286;
const DISTANCES: usize = 30;
const BLOCK_END: usize = 256;
const FIRST_LENGTH: usize = 257;

const LITERAL_CODES = memory.data(4 * 288, 16);
const DISTANCE_CODES = memory.data(4 * 32, 16);
const FIXED_LITERALS = memory.data(4 * 288, 16);
const FIXED_DISTANCES = memory.data(4 * 32, 16);
/** Four literals and what is left of a byte fit in 64 bits. */
const LITERAL_LIMIT: u32 = 14;
const DISTANCE_LIMIT: u32 = 15;

/** For a length less 3: its code less 257, << 8 its extra bits. */
export const LENGTH_SLOTS = memory.data(2 * 256, 16);
const LENGTH_258: u32 = 28;

function lengthExtra(slot: u32): u32 {
  return slot < 8 || slot === LENGTH_258 ? 0 : (slot >> 2) - 1;
}

function addExtraBits(literalCodes: usize, distanceCodes: usize): void {
  for (let slot: usize = 8; slot < LENGTH_258; slot++) {
    addExtra(literalCodes + ((FIRST_LENGTH + slot) << 2), lengthExtra(<u32>slot));
  }
  for (let slot: usize = 4; slot < DISTANCES; slot++) {
    addExtra(distanceCodes + (slot << 2), (<u32>slot >> 1) - 1);
  }
}

function prepare(): void {
  for (let slot: u32 = 0, length: u32 = 0; slot < LENGTH_258; slot++) {
    for (let i: u32 = 0; i < 1 << lengthExtra(slot); i++, length++) {
      store<u16>(LENGTH_SLOTS + (length << 1), <u16>(slot | (i << 8)));
    }
  }
  // The last has a code for itself, though the one before has room for it.
  store<u16>(LENGTH_SLOTS + 2 * 255, <u16>LENGTH_258);
  // Codes of 8, 9, 7 and 8 bits are what comes of these counts.
  for (let symbol: usize = 0; symbol < 288; symbol++) {
    const count: u32 = symbol < 144 ? 2 : symbol < 256 ? 1 : symbol < 280 ? 4 : 2;
    store<u32>(LITERAL_COUNTS + (symbol << 2), count);
  }
  buildCode(LITERAL_COUNTS, 512, 288, 9, FIXED_LITERALS, LENGTHS);
  for (let symbol: usize = 0; symbol < 32; symbol++) store<u32>(DISTANCE_COUNTS + (symbol << 2), 1);
  buildCode(DISTANCE_COUNTS, 32, 32, 5, FIXED_DISTANCES, LENGTHS);
  addExtraBits(FIXED_LITERALS, FIXED_DISTANCES);
}
prepare();

/**
 * Writes the sequences up to `sequencesEnd` as a last block, unless that takes more than `room` bytes. Up to 8 bytes
 * more are written.
 *
 * @param page whose literals they are; it is read up to 4 bytes behind its end
 * @returns where it ends; 0 where there is no room
 */
export function writeBlock(page: usize, sequencesEnd: usize, out: usize, room: u32): usize {
  store<u32>(LITERAL_COUNTS, 1, 4 * BLOCK_END);
  const fixed: u32 =
    3 + costOf(LITERAL_COUNTS, FIXED_LITERALS, 288) + costOf(DISTANCE_COUNTS, FIXED_DISTANCES, 32);
  // A symbol takes about 8 bits there.
  buildCode(LITERAL_COUNTS, fixed >> 3, LITERALS, LITERAL_LIMIT, LITERAL_CODES, LENGTHS);
  let literals = LITERALS;
  while (load<u8>(LENGTHS + literals - 1) === 0) literals--;
  buildCode(DISTANCE_COUNTS, 0, DISTANCES, DISTANCE_LIMIT, DISTANCE_CODES, LENGTHS + literals);
  let distances = DISTANCES;
  while (load<u8>(LENGTHS + literals + distances - 1) === 0) distances--;
  addExtraBits(LITERAL_CODES, DISTANCE_CODES);
  const dynamic =
    packLengths(literals + distances) +
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
    out = writeLengths(literals, distances, out);
    bits = headerBits;
    filled = headerFilled;
  }

  // The number of bits has others above its lowest 6 after a sum of entries; what uses it does not see them.
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
    const length = <usize>((sequence >> 17) & 511);
    if (length === 0) break;
    literal += length;
    store<u64>(out, bits);
    out += <usize>((filled >> 3) & 7);
    bits >>= filled & 56;
    filled &= 7;
    const match = <u64>(
      load<u32>(literalCodes + (FIRST_LENGTH << 2) + ((<usize>((sequence >> 26) & 31)) << 2))
    );
    const back = <u64>load<u32>(distanceCodes + ((<usize>((sequence >> 36) & 31)) << 2));
    const matchBits = ((match >> 8) & 0xffff) | (((sequence >> 31) & 31) << (match >> 24));
    const backBits = ((back >> 8) & 0xffff) | ((sequence >> 41) << (back >> 24));
    bits |= (matchBits | (backBits << match)) << filled;
    filled += match + back;
  }
  store<u64>(out, bits);
  out += <usize>((filled >> 3) & 7);
  bits >>= filled & 56;
  filled &= 7;
  const end = <u64>load<u32>(literalCodes + (BLOCK_END << 2));
  bits |= ((end >> 8) & 0xffff) << filled;
  filled += end & 63;
  store<u64>(out, bits);
  return out + <usize>((filled + 7) >> 3);
}
