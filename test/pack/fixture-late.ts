/** The part of fixture.ts that is imported late; its loop is long enough for the JIT to compile it. */

/** 0² + 1² + ... + (n-1)², modulo 2^32. */
export function sumOfSquares(n: number): number {
  let sum = 0;
  for (let i = 0; i < n; i++) sum = (sum + Math.imul(i, i)) >>> 0;
  return sum;
}
