// XXH3, 64 bits, seed 0, default secret: written from the algorithm's public description
// (xxHash project, doc/xxhash_spec.md, "XXH3 Algorithm Overview").
//
// The caller copies input to xxh3Input() and calls
//   up to 240 bytes:  xxh3Short(length)
//   more:             xxh3Start(), xxh3Blocks(count) for every whole block of 1024 bytes except that the
//                     last byte of the input is never among them, then xxh3Finish(...) with the rest.
// So this memory holds one piece of the input at a time, however long the input is.

// biome-ignore-start lint/correctness/noPrecisionLoss: AssemblyScript's u64 holds them whole
const PRIME32_1: u64 = 0x9e3779b1;
const PRIME32_2: u64 = 0x85ebca77;
const PRIME32_3: u64 = 0xc2b2ae3d;
const PRIME64_1: u64 = 0x9e3779b185ebca87;
const PRIME64_2: u64 = 0xc2b2ae3d27d4eb4f;
const PRIME64_3: u64 = 0x165667b19e3779f9;
const PRIME64_4: u64 = 0x85ebca77c2b2ae63;
const PRIME64_5: u64 = 0x27d4eb2f165667c5;
const PRIME_MX1: u64 = 0x165667919e3779f9;
const PRIME_MX2: u64 = 0x9fb21c651e98df25;
// biome-ignore-end lint/correctness/noPrecisionLoss: as above

const STRIPE: u32 = 64;
const STRIPES_PER_BLOCK: u32 = 16; // (secret size - STRIPE) / 8
const BLOCK: u32 = STRIPE * STRIPES_PER_BLOCK;
const INPUT_SIZE: u32 = 64 * 1024; // a multiple of BLOCK, small enough for a CPU's second cache (256 KiB is no faster)

// The 192 bytes of the default secret, from the specification.
const SECRET = memory.data<u8>([
  0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c, 0xde, 0xd4,
  0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f, 0xcb, 0x79, 0xe6, 0x4e,
  0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21, 0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43,
  0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6, 0x81, 0x3a, 0x26, 0x4c, 0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb,
  0x88, 0xd0, 0x65, 0x8b, 0x1b, 0x53, 0x2e, 0xa3, 0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19,
  0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8, 0xa8, 0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7,
  0xc7, 0x0b, 0x4f, 0x1d, 0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31, 0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78,
  0x73, 0x64, 0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb, 0xc3, 0xc5, 0x81, 0xa0, 0xff, 0xfa, 0x13, 0x63, 0xeb,
  0x17, 0x0d, 0xdd, 0x51, 0xb7, 0xf0, 0xda, 0x49, 0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e, 0x2b, 0x16,
  0xbe, 0x58, 0x7d, 0x47, 0xa1, 0xfc, 0x8f, 0xf8, 0xb8, 0xd1, 0x7a, 0xd0, 0x31, 0xce, 0x45, 0xcb, 0x3a, 0x8f,
  0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b, 0x40, 0x7e,
]);
const ACC = memory.data(64, 16); // eight 64-bit accumulators
const INPUT = memory.data(64 * 1024, 64);

/** Where the caller puts its bytes. */
export function xxh3Input(): usize {
  return INPUT;
}

/** How many bytes fit there: whole blocks of 1024. */
export function xxh3InputSize(): u32 {
  return INPUT_SIZE;
}

function secret64(at: usize): u64 {
  return load<u64>(SECRET + at);
}

/** The two halves of the 128-bit product, xored. */
function fold64(a: u64, b: u64): u64 {
  const aLow = a & 0xffffffff;
  const aHigh = a >> 32;
  const bLow = b & 0xffffffff;
  const bHigh = b >> 32;
  const low = aLow * bLow;
  const middle = aHigh * bLow + (low >> 32); // cannot overflow: (2^32-1)^2 + 2^32-1 < 2^64
  const cross = aLow * bHigh + (middle & 0xffffffff);
  const high = aHigh * bHigh + (middle >> 32) + (cross >> 32);
  return high ^ ((cross << 32) | (low & 0xffffffff));
}

function avalanche(hash: u64): u64 {
  let h = hash;
  h ^= h >> 37;
  h *= PRIME_MX1;
  return h ^ (h >> 32);
}

function avalanche64(hash: u64): u64 {
  let h = hash;
  h ^= h >> 33;
  h *= PRIME64_2;
  h ^= h >> 29;
  h *= PRIME64_3;
  return h ^ (h >> 32);
}

function mix16(at: usize, secret: usize): u64 {
  return fold64(load<u64>(at) ^ secret64(secret), load<u64>(at, 8) ^ secret64(secret + 8));
}

/** The digest of the first `length` bytes at xxh3Input(), length at most 240. */
export function xxh3Short(length: u32): u64 {
  if (length > 128) return hash129to240(length);
  if (length > 16) return hash17to128(length);
  if (length > 8) {
    const low = load<u64>(INPUT) ^ secret64(24) ^ secret64(32);
    const high = load<u64>(INPUT + length - 8) ^ secret64(40) ^ secret64(48);
    return avalanche(<u64>length + bswap<u64>(low) + high + fold64(low, high));
  }
  if (length >= 4) {
    const first = <u64>load<u32>(INPUT);
    const last = <u64>load<u32>(INPUT + length - 4);
    let h = (last + (first << 32)) ^ secret64(8) ^ secret64(16);
    h ^= rotl<u64>(h, 49) ^ rotl<u64>(h, 24);
    h *= PRIME_MX2;
    h ^= (h >> 35) + <u64>length;
    h *= PRIME_MX2;
    return h ^ (h >> 28);
  }
  if (length > 0) {
    const first = <u32>load<u8>(INPUT);
    const middle = <u32>load<u8>(INPUT + (length >> 1));
    const last = <u32>load<u8>(INPUT + length - 1);
    const combined = (first << 16) | (middle << 24) | last | (length << 8);
    return avalanche64(<u64>(combined ^ load<u32>(SECRET) ^ load<u32>(SECRET, 4)));
  }
  return avalanche64(secret64(56) ^ secret64(64));
}

function hash17to128(length: u32): u64 {
  const end = INPUT + length;
  let h = <u64>length * PRIME64_1;
  if (length > 96) h += mix16(INPUT + 48, 96) + mix16(end - 64, 112);
  if (length > 64) h += mix16(INPUT + 32, 64) + mix16(end - 48, 80);
  if (length > 32) h += mix16(INPUT + 16, 32) + mix16(end - 32, 48);
  return avalanche(h + mix16(INPUT, 0) + mix16(end - 16, 16));
}

function hash129to240(length: u32): u64 {
  let h = <u64>length * PRIME64_1;
  for (let i: u32 = 0; i < 8; i++) h += mix16(INPUT + 16 * i, 16 * i);
  h = avalanche(h);
  const rounds = length / 16;
  for (let i: u32 = 8; i < rounds; i++) h += mix16(INPUT + 16 * i, 16 * (i - 8) + 3);
  return avalanche(h + mix16(INPUT + length - 16, 136 - 17));
}

/** Begins the digest of an input longer than 240 bytes. */
export function xxh3Start(): void {
  store<u64>(ACC, PRIME32_3, 0);
  store<u64>(ACC, PRIME64_1, 8);
  store<u64>(ACC, PRIME64_2, 16);
  store<u64>(ACC, PRIME64_3, 24);
  store<u64>(ACC, PRIME64_4, 32);
  store<u64>(ACC, PRIME32_2, 40);
  store<u64>(ACC, PRIME64_5, 48);
  store<u64>(ACC, PRIME32_1, 56);
}

// One stripe's quarter into two accumulators: each takes the product of its key's halves and its neighbour's
// input. extmul is one instruction on a CPU, i64x2.mul five: 18 against 11 GB/s; without SIMD it is 10 GB/s.
function mixLanes(acc: v128, input: v128, secret: v128): v128 {
  const key = v128.xor(input, secret);
  const low = v128.shuffle<u32>(key, key, 0, 2, 0, 2);
  const high = v128.shuffle<u32>(key, key, 1, 3, 1, 3);
  const swapped = v128.shuffle<u64>(input, input, 1, 0);
  return i64x2.add(i64x2.add(acc, swapped), i64x2.extmul_low_i32x4_u(low, high));
}

function scramble(acc: v128, secret: v128): v128 {
  const mixed = v128.xor(v128.xor(acc, i64x2.shr_u(acc, 47)), secret);
  return i64x2.mul(mixed, i64x2.splat(PRIME32_1));
}

function stripes(from: usize, count: u32, secretAt: usize): void {
  let a = v128.load(ACC, 0);
  let b = v128.load(ACC, 16);
  let c = v128.load(ACC, 32);
  let d = v128.load(ACC, 48);
  for (let i: u32 = 0; i < count; i++) {
    const at = from + i * STRIPE;
    const secret = SECRET + secretAt + i * 8;
    a = mixLanes(a, v128.load(at, 0), v128.load(secret, 0));
    b = mixLanes(b, v128.load(at, 16), v128.load(secret, 16));
    c = mixLanes(c, v128.load(at, 32), v128.load(secret, 32));
    d = mixLanes(d, v128.load(at, 48), v128.load(secret, 48));
  }
  v128.store(ACC, a, 0);
  v128.store(ACC, b, 16);
  v128.store(ACC, c, 32);
  v128.store(ACC, d, 48);
}

/** Takes the first `count` blocks of 1024 bytes at xxh3Input(). */
export function xxh3Blocks(count: u32): void {
  for (let i: u32 = 0; i < count; i++) {
    stripes(INPUT + i * BLOCK, STRIPES_PER_BLOCK, 0);
    for (let lane: usize = 0; lane < 64; lane += 16) {
      v128.store(ACC + lane, scramble(v128.load(ACC + lane), v128.load(SECRET + 128 + lane)));
    }
  }
}

/**
 * Takes the rest, and gives the digest.
 *
 * @param from where in xxh3Input() the rest begins; at least 64 bytes of input lie before its end
 * @param length bytes of the rest, 1 to 1024
 * @param total bytes of the whole input, an integer
 */
export function xxh3Finish(from: u32, length: u32, total: f64): u64 {
  const at = INPUT + from;
  stripes(at, (length - 1) / STRIPE, 0);
  stripes(at + length - STRIPE, 1, 128 - 7); // the last 64 bytes, wherever stripes fall
  let h = <u64>total * PRIME64_1;
  for (let i: usize = 0; i < 64; i += 16) {
    h += fold64(load<u64>(ACC + i) ^ secret64(11 + i), load<u64>(ACC + i, 8) ^ secret64(19 + i));
  }
  return avalanche(h);
}
