// What every codec needs of a page: whether it repeats one word, copies, and the length of a match.

/** Whether all 64-bit words of a page are the same; `size` is a multiple of 64. */
export function isUniform(page: usize, size: u32): bool {
  const word = v128.splat<u64>(load<u64>(page));
  // Most pages differ within the first words.
  if (load<u64>(page, 8) !== load<u64>(page)) return false;
  let at = page;
  const end = page + size;
  while (at < end) {
    const a = v128.xor(v128.load(at), word);
    const b = v128.xor(v128.load(at, 16), word);
    const c = v128.xor(v128.load(at, 32), word);
    const d = v128.xor(v128.load(at, 48), word);
    if (v128.any_true(v128.or(v128.or(a, b), v128.or(c, d)))) return false;
    at += 64;
  }
  return true;
}

/**
 * How many bytes are equal from `a` and `b` on, up to `end` of b. May read 8 bytes behind `end`, inside this memory.
 */
export function matchLength(a: usize, b: usize, end: usize): usize {
  const start = b;
  while (b < end) {
    const difference = load<u64>(a) ^ load<u64>(b);
    if (difference !== 0) {
      b += <usize>(ctz(difference) >> 3);
      return (b < end ? b : end) - start;
    }
    a += 8;
    b += 8;
  }
  return end - start;
}

/** Zeros, up to 15 more than `length`. For a KiB or so: to call the runtime's own takes longer. */
export function clear(at: usize, length: usize): void {
  for (const end = at + length; at < end; at += 16) v128.store(at, i32x4.splat(0));
}

/** Copies 16 bytes at a time: up to 15 more than `length` are written. */
export function wildCopy(to: usize, from: usize, length: usize): void {
  const end = to + length;
  while (to < end) {
    v128.store(to, v128.load(from));
    to += 16;
    from += 16;
  }
}

/**
 * Copies a match: `distance` bytes back from `to`, which may overlap. With room for 16 bytes behind it, 16 or 8 at a
 * time; bytes behind `length` may be written then.
 */
export function copyMatch(to: usize, distance: usize, length: usize, limit: usize): void {
  let from = to - distance;
  const end = to + length;
  if (end + 16 <= limit) {
    if (distance >= 16) {
      while (to < end) {
        v128.store(to, v128.load(from));
        to += 16;
        from += 16;
      }
      return;
    }
    if (distance >= 8) {
      while (to < end) {
        store<u64>(to, load<u64>(from));
        to += 8;
        from += 8;
      }
      return;
    }
  }
  while (to < end) store<u8>(to++, load<u8>(from++));
}
