/** Random numbers that come again: each case of a property test has a seed, and a failure names it. */

export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** The next 32 bits (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }

  /** A whole number from 0 to `limit - 1`. */
  below(limit: number): number {
    return Math.floor((this.next() / 2 ** 32) * limit);
  }

  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  chance(share: number): boolean {
    return this.next() / 2 ** 32 < share;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  fill(bytes: Uint8Array): Uint8Array {
    for (let at = 0; at < bytes.length; at += 4) {
      const word = this.next();
      for (let i = 0; i < 4 && at + i < bytes.length; i++) bytes[at + i] = word >>> (8 * i);
    }
    return bytes;
  }
}

/**
 * Runs a property on so many random cases. VMCOPY_TEST_SEED=N runs the one case N.
 *
 * @throws Error naming the seed of the case that failed
 */
export async function property(
  cases: number,
  check: (random: Random, seed: number) => void | Promise<void>,
): Promise<void> {
  const only = process.env.VMCOPY_TEST_SEED;
  const first = only === undefined ? 1 : Number(only);
  for (let seed = first; seed < first + (only === undefined ? cases : 1); seed++) {
    try {
      await check(new Random(seed), seed);
    } catch (error) {
      throw new Error(
        `case ${seed} failed (run it alone: VMCOPY_TEST_SEED=${seed}): ${(error as Error).message}`,
        { cause: error },
      );
    }
  }
}
