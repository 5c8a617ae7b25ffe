// zlib streams (RFC 1950) of pages, as one block of deflate (RFC 1951).
//
// Of the last two places with the same four bytes, and the last one for the place behind, the longest match is taken.
//
// On 8192 pages of a busy machine at dump level 31, none of them uniform, in microseconds a page and of its size: 10.3
// and 0.269; by the runtime's libdeflate 1 17 and 0.274, by its zlib-ng 1 10.8 and 0.333; by zlib 1.2.13 at level 1, as
// makedumpfile has it, 32 (with its memory allocated once) and 0.272. Without the older place it makes 0.271, without
// the place behind 0.272, with neither 0.275, and takes 0.2 less.
import { adler32 } from "./adler";
import { DISTANCE_COUNTS, LENGTH_SLOTS, LITERAL_COUNTS, SEQUENCES, writeBlock } from "./block";
import { clear, matchLength } from "./page";

const HASH_BITS: u32 = 12;
/** For each hash the last two positions, the last one low: words of 32 bits. */
const TABLE = memory.data(1 << 14, 16);
const FAR: usize = 32768;
const LONGEST: usize = 258;
/** Bytes that are compared at once. */
const BLOCK: usize = 16;
/** No match begins in a page's last bytes: a block at the next place, too, is within the page. */
const TAIL: usize = BLOCK + 1;
/** CMF and FLG of a stream with a window of 32 KiB, made at level 1. */
const HEADER: u16 = 0x0178;

function slot(word: u32): usize {
  return TABLE + <usize>(((word * 0x9e3779b1) >> (32 - HASH_BITS)) << 2);
}

/** How many of the next 16 bytes are equal. */
function blockLength(a: usize, b: usize): usize {
  return <usize>ctz(i8x16.bitmask(i8x16.ne(v128.load(a), v128.load(b))) | (1 << BLOCK));
}

/** Puts a position in place. @returns the two that were there */
function exchange(place: usize, position: usize): u32 {
  const before = load<u32>(place);
  store<u32>(place, (before << 16) | <u32>position);
  return before;
}

function count(counts: usize, symbol: usize): void {
  const at = counts + (symbol << 2);
  store<u32>(at, load<u32>(at) + 1);
}

function countLiterals(from: usize, end: usize): void {
  while (from < end) count(LITERAL_COUNTS, <usize>load<u8>(from++));
}

/** Fills SEQUENCES and counts their symbols. @returns their end */
function findMatches(page: usize, size: u32): usize {
  memory.fill(TABLE, 0, 4 << HASH_BITS);
  clear(LITERAL_COUNTS, 4 * 288);
  clear(DISTANCE_COUNTS, 4 * 32);
  let out: usize = SEQUENCES;
  const end = page + size;
  const last = end - TAIL;
  let anchor = page;
  let at = page + 1;
  while (at < last) {
    const word = load<u32>(at);
    const positions = exchange(slot(word), at - page);
    let candidate = page + <usize>(positions & 0xffff);
    if (load<u32>(candidate) !== word || at - candidate > FAR) {
      at += 1 + ((at - anchor) >> 6);
      continue;
    }
    let length = blockLength(candidate, at);
    if (length < BLOCK) {
      const older = page + <usize>(positions >> 16);
      const olderLength = blockLength(older, at);
      if (olderLength > length && at - older <= FAR) {
        candidate = older;
        length = olderLength;
      }
    }
    if (length < BLOCK) {
      // One that begins a byte later may be longer.
      const laterPositions = exchange(slot(load<u32>(at, 1)), at + 1 - page);
      const later = page + <usize>(laterPositions & 0xffff);
      const laterLength = blockLength(later, at + 1);
      if (laterLength > length && at + 1 - later <= FAR) {
        at++;
        candidate = later;
        length = laterLength;
      }
    }
    if (length === BLOCK) length += matchLength(candidate + BLOCK, at + BLOCK, end);
    const distance = at - candidate;
    // What is equal before it belongs to it too.
    let begin = at;
    let from = candidate;
    while (begin > anchor && from > page && load<u8>(begin - 1) === load<u8>(from - 1)) {
      begin--;
      from--;
      length++;
    }
    countLiterals(anchor, begin);
    let run = <u64>(begin - anchor);
    at = begin + length;
    anchor = at;
    const d = distance - 1;
    const octave = 31 - clz(<u32>d | 1);
    // Two codes an octave.
    const extraBits = octave > 0 ? octave - 1 : 0;
    const distanceSlot = <usize>(octave << 1) + ((d >> extraBits) & 1);
    const extra = d & (((<usize>1) << extraBits) - 1);
    const back = (<u64>distanceSlot | ((<u64>extra) << 5)) << 36;
    while (true) {
      // What is left of a long one must be 3 or more.
      const part = length <= LONGEST ? length : length >= LONGEST + 3 ? LONGEST : length - 3;
      const codeAndExtra = <u64>load<u16>(LENGTH_SLOTS + ((part - 3) << 1));
      count(LITERAL_COUNTS, 257 + <usize>(codeAndExtra & 31));
      count(DISTANCE_COUNTS, distanceSlot);
      store<u64>(
        out,
        run | ((<u64>part) << 17) | ((codeAndExtra & 31) << 26) | ((codeAndExtra >> 8) << 31) | back,
      );
      out += 8;
      length -= part;
      if (length === 0) break;
      run = 0;
    }
    if (at < last) exchange(slot(load<u32>(at - 2)), at - 2 - page);
  }
  countLiterals(anchor, end);
  store<u64>(out, <u64>(end - anchor));
  return out + 8;
}

/**
 * Compresses a page of up to 64 KiB. `out` needs room for size + 8 bytes; `page` is read up to 8 bytes behind its
 * end.
 *
 * @returns bytes at `out`; `size` where there would not be fewer
 */
export function zlibCompress(page: usize, size: u32, out: usize): u32 {
  const end = writeBlock(page, findMatches(page, size), out + 2, size - 7);
  if (end === 0) return size;
  store<u16>(out, HEADER);
  store<u32>(end, bswap(adler32(page, size)));
  return <u32>(end + 4 - out);
}
