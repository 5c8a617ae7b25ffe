/**
 * Random numbers for the sample: the same on every runtime, without BigInt, a few ns each.
 *
 * The generator is sfc32 (Chris Doty-Humphrey, PractRand); seeds are mixed with MurmurHash3's finalizer.
 */

/** A stream of 32-bit numbers that depends on its seeds only. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #count = 1;

  /**
   * @param seed a safe integer, 0 or more
   * @param stream which stream of that seed, such as a PFN; a safe integer, 0 or more
   * @param purpose keeps streams of different use apart, a small integer
   */
  constructor(seed: number, stream: number, purpose: number) {
    const low = mix(seed | 0, mix(stream | 0, purpose));
    const high = mix(Math.floor(seed / 2 ** 32) | 0, mix(Math.floor(stream / 2 ** 32) | 0, low));
    this.#a = low;
    this.#b = high;
    this.#c = mix(low, high);
    for (let round = 0; round < 12; round++) this.next();
  }

  /** 0 to 2^32-1 */
  next(): number {
    const result = (this.#a + this.#b + this.#count) | 0;
    this.#count = (this.#count + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + result) | 0;
    return result >>> 0;
  }

  /** 0 to `limit` - 1; `limit` at most 2^21, so that the product is exact. */
  below(limit: number): number {
    return Math.floor((this.next() * limit) / 2 ** 32);
  }

  /** Small numbers often, large ones seldom: 0 to `limit` - 1. */
  skewed(limit: number): number {
    return Math.min(this.below(limit), this.below(limit), this.below(limit));
  }

  fill(words: Uint32Array): void {
    for (let i = 0; i < words.length; i++) words[i] = this.next();
  }
}

function mix(value: number, other: number): number {
  let hash = Math.imul(value ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(other + 0x7f4a7c15, 0xc2b2ae35);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
