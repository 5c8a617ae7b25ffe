import { describe, expect, it } from "bun:test";
import { fileURLToPath } from "node:url";
import { kernels } from "../../src/kernels/module.ts";
import { xxh3, xxh3Wasm } from "../../src/kernels/xxh3.ts";

const native = (bytes: Uint8Array) => Bun.hash.xxHash3(bytes);

/** Bytes that differ from run to run only where `seed` does. */
function noise(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

describe("XXH3", () => {
  // As `xxhsum -H3` prints them.
  it.each([
    ["", 1, 0x2d06800538d394c2n],
    ["a", 1, 0xe6c632b61e964e1fn],
    ["abc", 1, 0x78af5f94892f3950n],
    ["vmcore", 6, 0x3d9ee6367bb0103an],
    ["vmcore", 30, 0xeec9874024c55682n],
    ["vmcore", 1000, 0xa1702ff67c7ad64dn],
  ])("of %p, %d times, is the reference's", (text, times, digest) => {
    const bytes = new TextEncoder().encode(text.repeat(times));
    expect(xxh3(bytes)).toBe(digest);
    expect(xxh3Wasm(bytes)).toBe(digest);
  });

  it("is the same by WASM and by the runtime for each length up to 600, and around pieces", () => {
    const bytes = noise(300_000);
    const piece = kernels().xxh3InputSize();
    const lengths = Array.from({ length: 601 }, (_, length) => length);
    for (const edge of [1024, 2048, piece, piece + 1024, 2 * piece, 4 * piece]) {
      for (let by = -65; by <= 65; by++) lengths.push(edge + by);
    }
    for (const length of lengths) {
      const part = bytes.subarray(0, length);
      expect(`${length}: ${xxh3Wasm(part)}`).toBe(`${length}: ${native(part)}`);
    }
  });

  it("is the same for unaligned views and for zeros", () => {
    const bytes = noise(70_000);
    for (let at = 1; at < 9; at++) {
      for (const length of [3, 7, 15, 100, 200, 241, 5000, 66_000]) {
        const part = bytes.subarray(at, at + length);
        expect(xxh3Wasm(part)).toBe(native(part));
        expect(xxh3Wasm(new Uint8Array(length))).toBe(native(new Uint8Array(length)));
      }
    }
  });

  it("is the same for many MiB, and its memory does not grow", () => {
    const bytes = noise(9 << 20);
    const before = kernels().memory.buffer.byteLength;
    for (const length of [1 << 20, (4 << 20) + 1, 5_000_003, bytes.length]) {
      expect(xxh3Wasm(bytes.subarray(0, length))).toBe(native(bytes.subarray(0, length)));
    }
    expect(kernels().memory.buffer.byteLength).toBe(before);
    expect(before).toBeLessThanOrEqual(256 * 1024);
  });

  it("changes with any one bit", () => {
    for (const length of [1, 4, 12, 60, 130, 240, 241, 1025, 70_000]) {
      const bytes = noise(length);
      const digest = xxh3Wasm(bytes);
      for (let bit = 0; bit < 8 * length; bit += length > 2000 ? 997 : 1) {
        const at = bit >> 3;
        bytes[at] = (bytes[at] as number) ^ (1 << (bit & 7));
        expect(xxh3Wasm(bytes)).not.toBe(digest);
        bytes[at] = (bytes[at] as number) ^ (1 << (bit & 7));
      }
    }
  });

  it("is the same under Deno", async () => {
    const root = fileURLToPath(new URL("../..", import.meta.url));
    const sizes = [0, 1, 5, 16, 100, 240, 241, 65_536, 200_001];
    const script = `import { xxh3 } from "./src/kernels/xxh3.ts";
      console.log([${sizes}].map((size) => xxh3(new Uint8Array(size).map((_, i) => i * 7))).join());`;
    const deno = Bun.spawn([`${root}node_modules/.bin/deno`, "eval", "--ext=ts", script], {
      cwd: root,
      stderr: "pipe",
    });
    const output = (await new Response(deno.stdout).text()).trim();
    expect(output).toBe(sizes.map((size) => native(new Uint8Array(size).map((_, i) => i * 7))).join());
  });
});
