// Snappy's raw block format (google/snappy, format_description.txt): the length as a varint, then elements by the
// low two bits of a tag byte:
//   00  literals: (tag >> 2) + 1 of them; 60 to 63: the length less one in the next 1 to 4 bytes
//   01  copy of 4 + ((tag >> 2) & 7) bytes, offset ((tag >> 5) << 8) + next byte
//   10  copy of 1 + (tag >> 2) bytes, offset in the next two bytes
//   11  as 10, offset in four bytes
import { earlier, forgetPlaces, nextMatch, rememberPlace } from "./match";
import { copyMatch, matchLength, wildCopy } from "./page";

const TAIL: usize = 12;
/** A copy's offset has two bytes. */
const MOST_DISTANCE: usize = 0xffff;
/** Of {@link nextMatch}: as small as snappy in C makes real pages, in less time than smaller. */
const GROWTH: usize = 3;

function literals(out: usize, from: usize, count: usize): usize {
  if (count === 0) return out;
  const n = count - 1;
  if (n < 60) {
    store<u8>(out++, <u8>(n << 2));
  } else if (n < 256) {
    store<u8>(out, 60 << 2);
    store<u8>(out + 1, <u8>n);
    out += 2;
  } else {
    store<u8>(out, 61 << 2);
    store<u16>(out + 1, <u16>n);
    out += 3;
  }
  wildCopy(out, from, count);
  return out + count;
}

/**
 * Compresses a page of up to 64 KiB. `out` needs room for size + size / 6 + 48 bytes; `page` is read up to 16 bytes
 * behind its end.
 *
 * @returns bytes at `out`
 */
export function snappyCompress(page: usize, size: u32, out: usize): u32 {
  forgetPlaces();
  const start = out;
  let rest = size;
  while (rest >= 128) {
    store<u8>(out++, <u8>(rest | 128));
    rest >>= 7;
  }
  store<u8>(out++, <u8>rest);
  const end = page + size;
  const last = end - TAIL;
  let anchor = page;
  let at = page + 1;
  while (true) {
    at = nextMatch(page, at, last, MOST_DISTANCE, GROWTH);
    if (at === 0) break;
    let from = earlier;
    const distance = at - from;
    let length = 4 + matchLength(from + 4, at + 4, end);
    let begin = at;
    while (begin > anchor && from > page && load<u8>(begin - 1) === load<u8>(from - 1)) {
      begin--;
      from--;
      length++;
    }
    out = literals(out, anchor, begin - anchor);
    anchor = begin + length;
    at = anchor;
    while (length > 64) {
      // What is left must be 4 or more, for the short form.
      const part: usize = length >= 68 ? 64 : 60;
      store<u8>(out, <u8>(((part - 1) << 2) | 2));
      store<u16>(out + 1, <u16>distance);
      out += 3;
      length -= part;
    }
    if (length <= 11 && distance < 2048) {
      store<u8>(out, <u8>(1 | ((length - 4) << 2) | ((distance >> 8) << 5)));
      store<u8>(out + 1, <u8>distance);
      out += 2;
    } else {
      store<u8>(out, <u8>(((length - 1) << 2) | 2));
      store<u16>(out + 1, <u16>distance);
      out += 3;
    }
    if (at >= last) break;
    rememberPlace(page, at - 2);
  }
  return <u32>(literals(out, anchor, end - anchor) - start);
}

/**
 * Decompresses to exactly `size` bytes at `out`, which needs no room behind them.
 *
 * @returns 0, or 1 where the stream is damaged
 */
export function snappyDecompress(from: usize, length: u32, out: usize, size: u32): u32 {
  const inEnd = from + length;
  const begin = out;
  const limit = out + size;
  let stated: u64 = 0;
  for (let shift: u64 = 0; ; shift += 7) {
    if (from >= inEnd || shift > 28) return 1;
    const byte = <u64>load<u8>(from++);
    stated |= (byte & 127) << shift;
    if (byte < 128) break;
  }
  if (stated !== <u64>size) return 1;
  while (from < inEnd) {
    const tag = <usize>load<u8>(from++);
    const kind = tag & 3;
    let count: usize = 0;
    let distance: usize = 0;
    if (kind === 0) {
      count = (tag >> 2) + 1;
      if (count > 60) {
        const bytes = count - 60;
        if (from + bytes > inEnd) return 1;
        count = 0;
        for (let i: usize = 0; i < bytes; i++) count |= (<usize>load<u8>(from + i)) << (i << 3);
        // A length of 2^32 would be 0 here; no page is as large.
        if (count >= <usize>size) return 1;
        count++;
        from += bytes;
      }
      if (count > inEnd - from || count > limit - out) return 1;
      memory.copy(out, from, count);
      out += count;
      from += count;
      continue;
    }
    if (kind === 1) {
      if (from >= inEnd) return 1;
      count = 4 + ((tag >> 2) & 7);
      distance = ((tag >> 5) << 8) + <usize>load<u8>(from++);
    } else {
      const bytes: usize = kind === 2 ? 2 : 4;
      if (from + bytes > inEnd) return 1;
      count = 1 + (tag >> 2);
      distance = kind === 2 ? <usize>load<u16>(from) : <usize>load<u32>(from);
      from += bytes;
    }
    if (distance === 0 || distance > out - begin || count > limit - out) return 1;
    copyMatch(out, distance, count, limit);
    out += count;
  }
  return out === limit ? 0 : 1;
}
