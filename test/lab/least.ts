// The least crashkernel= with which something works: from a likely one downwards in steps, or upwards where that fails.

/** Debian's kernels reserve in steps of 16 MiB. */
export const STEP = 16;

/** What an attempt left; undefined where it did not work. */
export type Attempt<Result> = (memMiB: number) => Promise<Result | undefined>;

export interface Least<Result> {
  /** MiB */
  readonly works: number;
  readonly result: Result;
  /** MiB, one step below */
  readonly fails: number;
}

/**
 * Two attempts where `likely` is the answer.
 *
 * @param likely MiB @param most MiB @returns undefined where not even the most works
 */
export async function leastMemory<Result>(
  attempt: Attempt<Result>,
  likely: number,
  most: number,
): Promise<Least<Result> | undefined> {
  let works: { memMiB: number; result: Result } | undefined;
  let fails = 0;
  for (let memMiB = likely; memMiB > 0 && memMiB <= most; ) {
    const result = await attempt(memMiB);
    if (result === undefined) {
      fails = Math.max(fails, memMiB);
      if (works !== undefined) break;
      memMiB += STEP;
      continue;
    }
    works = { memMiB, result };
    if (fails > 0) break;
    memMiB -= STEP;
  }
  return works === undefined ? undefined : { works: works.memMiB, result: works.result, fails };
}
