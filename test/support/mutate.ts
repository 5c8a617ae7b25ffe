/** Makes hostile files of good ones: bits flipped, bytes replaced, fields set to extreme values, ends cut off. */
import type { Random } from "./random.ts";

/** A part of a file that is mutated. */
export interface Region {
  /** bytes from the file's start */
  readonly offset: number;
  /** bytes */
  readonly length: number;
}

const EXTREMES = [
  0n,
  1n,
  0xffn,
  0xffffn,
  0xffff_fffen,
  0xffff_ffffn,
  0x7fff_ffffn,
  1n << 31n,
  1n << 32n,
  (1n << 53n) + 1n,
  (1n << 63n) - 1n,
  1n << 63n,
  (1n << 64n) - 1n,
  4095n,
  4096n,
];

/**
 * A mutated copy.
 *
 * @returns the bytes, and in words what was done to them
 */
export function mutate(
  random: Random,
  bytes: Uint8Array,
  regions: readonly Region[],
): { bytes: Uint8Array<ArrayBuffer>; what: string } {
  const copy = new Uint8Array(bytes);
  const done: string[] = [];
  const times = random.pick([1, 1, 1, 2, 3, 8]);
  for (let i = 0; i < times; i++) {
    const region = random.pick(regions);
    const at = region.offset + random.below(region.length);
    switch (random.below(5)) {
      case 0: {
        const bit = random.below(8);
        copy[at] = (copy[at] ?? 0) ^ (1 << bit);
        done.push(`bit ${bit} of byte ${at} flipped`);
        break;
      }
      case 1:
        copy[at] = random.below(256);
        done.push(`byte ${at} set to ${copy[at]}`);
        break;
      case 2: {
        const length = Math.min(random.between(1, 16), region.offset + region.length - at);
        random.fill(copy.subarray(at, at + length));
        done.push(`${length} random bytes at ${at}`);
        break;
      }
      default: {
        const width = random.pick([2, 4, 8]);
        // Fields lie at multiples of their width, mostly.
        const place = region.offset + Math.floor((at - region.offset) / width) * width;
        const extreme = random.pick(EXTREMES);
        const little = random.chance(0.8);
        const value = BigInt.asUintN(width * 8, extreme);
        for (let k = 0; k < width && place + k < region.offset + region.length; k++) {
          copy[place + (little ? k : width - 1 - k)] = Number((value >> BigInt(8 * k)) & 0xffn);
        }
        done.push(`${width} bytes at ${place} set to ${value} (${little ? "little" : "big"}-endian)`);
      }
    }
  }
  if (!random.chance(0.1)) return { bytes: copy, what: done.join(", ") };
  const length = random.below(copy.length + 1);
  return { bytes: copy.slice(0, length), what: `${done.join(", ")}, cut to ${length} bytes` };
}
