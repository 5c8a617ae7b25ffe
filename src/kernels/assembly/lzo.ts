// LZO1X: what every LZO1X decoder takes, and a decoder. Written from the description of the stream format
// (Linux, Documentation/staging/lzo.rst).
//
// A stream is instructions, each with the literals that follow it:
//   0000LLLL            after a match: 3 + L literals; L = 0: 18 + 255 for each zero byte + the first other one
//   0000DDSS H          after 1 to 3 literals: 2 bytes from distance 1 + 4H + D
//   0000DDSS H          after 4 or more literals: 3 bytes from distance 2049 + 4H + D
//   0001HLLL DDDDDDSS D  2 + L bytes (0: extended, from 9) from distance 16384 + D (H on top); 16384 itself: the end
//   001LLLLL DDDDDDSS D  2 + L bytes (0: extended, from 33) from distance 1 + D
//   01LDDDSS H, 1LLDDDSS H  3 to 8 bytes from distance 1 + 8H + D
//   first byte 18 and more: that less 17 literals
// SS: 0 to 3 literals that follow a match.
import { earlier, forgetPlaces, nextMatch, rememberPlace } from "./match";
import { copyMatch, matchLength, wildCopy } from "./page";

const NEAR: usize = 0x800;
const MIDDLE: usize = 0x4000;
const FAR: usize = 0xbfff;
/** No match begins in a page's last bytes: whole words can be read there. */
const TAIL: usize = 12;
/** Of {@link nextMatch}: as small as LZO in C makes real pages, in less time than smaller. */
const GROWTH: usize = 2;

/** An instruction, and what of the length it has no room for: `rest` is 1 or more. */
function extended(out: usize, instruction: u8, rest: usize): usize {
  store<u8>(out++, instruction);
  while (rest > 255) {
    store<u8>(out++, 0);
    rest -= 255;
  }
  store<u8>(out++, <u8>rest);
  return out;
}

function literals(start: usize, out: usize, from: usize, count: usize): usize {
  if (count === 0) return out;
  if (out === start && count <= 238) {
    store<u8>(out++, <u8>(17 + count));
  } else if (count <= 3) {
    store<u8>(out - 2, load<u8>(out - 2) | <u8>count);
  } else if (count <= 18) {
    store<u8>(out++, <u8>(count - 3));
  } else {
    out = extended(out, 0, count - 18);
  }
  wildCopy(out, from, count);
  return out + count;
}

/**
 * Compresses a page. `out` needs room for size + size / 16 + 80 bytes; `page` is read up to 16 bytes behind its end.
 *
 * @returns bytes at `out`
 */
export function lzoCompress(page: usize, size: u32, out: usize): u32 {
  forgetPlaces();
  const start = out;
  const end = page + size;
  const last = end - TAIL;
  let anchor = page;
  let at = page + 1;
  while (true) {
    at = nextMatch(page, at, last, FAR, GROWTH);
    if (at === 0) break;
    let from = earlier;
    const distance = at - from;
    let length = 4 + matchLength(from + 4, at + 4, end);
    // What is equal before it belongs to it too.
    let begin = at;
    while (begin > anchor && from > page && load<u8>(begin - 1) === load<u8>(from - 1)) {
      begin--;
      from--;
      length++;
    }
    out = literals(start, out, anchor, begin - anchor);
    if (length <= 8 && distance <= NEAR) {
      const d = distance - 1;
      store<u8>(out, <u8>(((length - 1) << 5) | ((d & 7) << 2)));
      store<u8>(out + 1, <u8>(d >> 3));
      out += 2;
    } else {
      let d = distance;
      if (distance <= MIDDLE) {
        d -= 1;
        if (length <= 33) store<u8>(out++, <u8>(0x20 | (length - 2)));
        else out = extended(out, 0x20, length - 33);
      } else {
        d -= MIDDLE;
        const high = <u8>(0x10 | ((d >> 11) & 8));
        if (length <= 9) store<u8>(out++, high | <u8>(length - 2));
        else out = extended(out, high, length - 9);
      }
      store<u16>(out, <u16>(d << 2));
      out += 2;
    }
    at = begin + length;
    anchor = at;
    if (at >= last) break;
    rememberPlace(page, at - 2);
  }
  out = literals(start, out, anchor, end - anchor);
  store<u8>(out, 0x11);
  store<u16>(out + 1, 0);
  return <u32>(out + 3 - start);
}

/**
 * Decompresses to exactly `size` bytes at `out`, which needs no room behind them. `from` is read up to 16 bytes
 * behind its end, inside this memory.
 *
 * @returns 0, or 1 where the stream is damaged
 */
export function lzoDecompress(from: usize, length: u32, out: usize, size: u32): u32 {
  const inEnd = from + length;
  const begin = out;
  const limit = out + size;
  /** 0: after a match, 1 to 3: so many literals before, 4: more */
  let state: u32 = 0;
  if (length < 3) return 1;
  const first = <usize>load<u8>(from);
  if (first > 17) {
    const count = first - 17;
    from++;
    if (from + count > inEnd || out + count > limit) return 1;
    memory.copy(out, from, count);
    out += count;
    from += count;
    state = count < 4 ? <u32>count : 4;
  }
  while (true) {
    if (from >= inEnd) return 1;
    const op = <usize>load<u8>(from++);
    let count: usize = 0;
    let distance: usize = 0;
    let next: usize = 0;
    if (op < 16) {
      if (state === 0) {
        count = op + 3;
        if (op === 0) {
          count = 18;
          while (true) {
            if (from >= inEnd) return 1;
            const byte = <usize>load<u8>(from++);
            if (byte !== 0) {
              count += byte;
              break;
            }
            count += 255;
            if (count > size) return 1;
          }
        }
        if (from + count > inEnd || out + count > limit) return 1;
        memory.copy(out, from, count);
        out += count;
        from += count;
        state = 4;
        continue;
      }
      if (from >= inEnd) return 1;
      next = op & 3;
      distance = (op >> 2) + ((<usize>load<u8>(from++)) << 2) + 1;
      count = 2;
      if (state === 4) {
        distance += NEAR;
        count = 3;
      }
    } else if (op >= 64) {
      if (from >= inEnd) return 1;
      next = op & 3;
      distance = 1 + ((op >> 2) & 7) + ((<usize>load<u8>(from++)) << 3);
      count = (op >> 5) + 1;
    } else {
      const isMiddle = op >= 32;
      count = op & (isMiddle ? 31 : 7);
      if (count === 0) {
        count = isMiddle ? 31 : 7;
        while (true) {
          if (from >= inEnd) return 1;
          const byte = <usize>load<u8>(from++);
          if (byte !== 0) {
            count += byte;
            break;
          }
          count += 255;
          if (count > size) return 1;
        }
      }
      count += 2;
      if (from + 2 > inEnd) return 1;
      const word = <usize>load<u16>(from);
      from += 2;
      next = word & 3;
      if (isMiddle) {
        distance = 1 + (word >> 2);
      } else {
        distance = MIDDLE + ((op & 8) << 11) + (word >> 2);
        if (distance === MIDDLE) return out === limit && from === inEnd && count === 3 ? 0 : 1;
      }
    }
    if (distance > out - begin || out + count > limit) return 1;
    copyMatch(out, distance, count, limit);
    out += count;
    if (from + next > inEnd || out + next > limit) return 1;
    for (let i: usize = 0; i < next; i++) store<u8>(out + i, load<u8>(from + i));
    out += next;
    from += next;
    state = <u32>next;
  }
}
