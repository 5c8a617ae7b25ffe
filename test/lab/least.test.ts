/** The search for the least memory that works, on attempts that are known. */
import { expect, test } from "bun:test";
import { leastMemory } from "./least.ts";

/** Works from so many MiB on; what was tried is kept. */
function from(needed: number): { attempt: (memMiB: number) => Promise<number | undefined>; tried: number[] } {
  const tried: number[] = [];
  const attempt = async (memMiB: number) => {
    tried.push(memMiB);
    return memMiB >= needed ? memMiB * 10 : undefined;
  };
  return { attempt, tried };
}

test.each([
  [96, 96, [96, 80], 96, 80],
  [96, 128, [128, 112, 96, 80], 96, 80],
  [150, 128, [128, 144, 160], 160, 144],
  [1, 32, [32, 16], 16, 0],
])("%d MiB needed, %d likely: tries %j", async (needed, likely, expected, works, fails) => {
  const { attempt, tried } = from(needed);
  expect(await leastMemory(attempt, likely, 448)).toEqual({ works, result: works * 10, fails });
  expect(tried).toEqual(expected);
});

test("nothing works: it ends at the most", async () => {
  const { attempt, tried } = from(1000);
  expect(await leastMemory(attempt, 400, 448)).toBeUndefined();
  expect(tried).toEqual([400, 416, 432, 448]);
});
