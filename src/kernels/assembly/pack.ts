// A batch of pages, packed back to back: uniform pages told apart, the others compressed where that makes them
// smaller.
import { zlibCompress } from "./deflate";
import { lzoCompress } from "./lzo";
import { isUniform } from "./page";
import { snappyCompress } from "./snappy";

const ZLIB: u32 = 1;
const LZO: u32 = 2;
const SNAPPY: u32 = 4;

/**
 * @param codec a descriptor's flag: 0 raw, 1 zlib, 2 LZO, 4 snappy
 * @param out room for all pages as they are, and size / 4 + 128 bytes more
 * @param results for each page four 32-bit words: size (0: uniform), flags, low and high half of its word
 * @returns bytes at `out`
 */
export function packPages(codec: u32, input: usize, count: u32, size: u32, out: usize, results: usize): u32 {
  const start = out;
  for (let i: u32 = 0; i < count; i++, input += size, results += 16) {
    if (isUniform(input, size)) {
      store<u64>(results, 0);
      store<u64>(results, load<u64>(input), 8);
      continue;
    }
    let packed = size;
    if (codec === LZO) packed = lzoCompress(input, size, out);
    else if (codec === SNAPPY) packed = snappyCompress(input, size, out);
    else if (codec === ZLIB) packed = zlibCompress(input, size, out);
    const isSmaller = packed < size;
    if (!isSmaller) memory.copy(out, input, size);
    packed = isSmaller ? packed : size;
    store<u32>(results, packed);
    store<u32>(results, isSmaller ? codec : 0, 4);
    out += packed;
  }
  return <u32>(out - start);
}

/** Which pages repeat one word. Results as {@link packPages} has them: size 0 or the page's. */
export function findUniform(input: usize, count: u32, size: u32, results: usize): void {
  for (let i: u32 = 0; i < count; i++, input += size, results += 16) {
    const uniform = isUniform(input, size);
    store<u64>(results, uniform ? 0 : <u64>size);
    store<u64>(results, uniform ? load<u64>(input) : 0, 8);
  }
}
