// Adler-32 (RFC 1950): a is 1 and all bytes, b the sum of what a was after each byte, both modulo 65521.

const BASE: u32 = 65521;
const BLOCK: u32 = 32;
/** No sum of so many bytes overflows: 128 blocks in lanes of 16 bits, all of it in 32 bits. */
const STRETCH: u32 = 4096;

function sumLanes(sums: v128): u32 {
  return (
    i32x4.extract_lane(sums, 0) +
    i32x4.extract_lane(sums, 1) +
    i32x4.extract_lane(sums, 2) +
    i32x4.extract_lane(sums, 3)
  );
}

/** @param length a multiple of 32 */
export function adler32(at: usize, length: u32): u32 {
  let a: u32 = 1;
  let b: u32 = 0;
  while (length > 0) {
    const part = min(length, STRETCH);
    const end = at + part;
    /** bytes so far, what that was before each block, and bytes by their place in a block */
    let bytes = i32x4.splat(0);
    let before = i32x4.splat(0);
    let first = i32x4.splat(0);
    let second = i32x4.splat(0);
    let third = i32x4.splat(0);
    let fourth = i32x4.splat(0);
    while (at < end) {
      const low = v128.load(at);
      const high = v128.load(at, 16);
      at += BLOCK;
      before = i32x4.add(before, bytes);
      const pairs = i16x8.add(i16x8.extadd_pairwise_i8x16_u(low), i16x8.extadd_pairwise_i8x16_u(high));
      bytes = i32x4.add(bytes, i32x4.extadd_pairwise_i16x8_u(pairs));
      first = i16x8.add(first, i16x8.extend_low_i8x16_u(low));
      second = i16x8.add(second, i16x8.extend_high_i8x16_u(low));
      third = i16x8.add(third, i16x8.extend_low_i8x16_u(high));
      fourth = i16x8.add(fourth, i16x8.extend_high_i8x16_u(high));
    }
    let placed = i32x4.dot_i16x8_s(first, i16x8(32, 31, 30, 29, 28, 27, 26, 25));
    placed = i32x4.add(placed, i32x4.dot_i16x8_s(second, i16x8(24, 23, 22, 21, 20, 19, 18, 17)));
    placed = i32x4.add(placed, i32x4.dot_i16x8_s(third, i16x8(16, 15, 14, 13, 12, 11, 10, 9)));
    placed = i32x4.add(placed, i32x4.dot_i16x8_s(fourth, i16x8(8, 7, 6, 5, 4, 3, 2, 1)));
    b = (b + a * part + BLOCK * sumLanes(before) + sumLanes(placed)) % BASE;
    a = (a + sumLanes(bytes)) % BASE;
    length -= part;
  }
  return (b << 16) | a;
}
