/** How large a chunk is: small, but never so small that the digests of a large vmcore fill the memory. */
import { expect, it } from "bun:test";
import { chunkSizeFor } from "../../src/vmcore/window.ts";

const KIB = 2 ** 10;
const GIB = 2 ** 30;

it.each([
  [0, 256 * KIB],
  [16 * GIB, 256 * KIB],
  [16 * GIB + 1, 1024 * KIB],
  [64 * GIB, 1024 * KIB],
  [64 * GIB + 1, 4096 * KIB],
  [1024 * GIB, 4096 * KIB],
])("of %d bytes: %d", (size, chunk) => {
  expect(chunkSizeFor(size)).toBe(chunk);
});
