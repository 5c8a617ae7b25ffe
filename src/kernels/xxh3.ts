/**
 * XXH3, 64 bits, seed 0, default secret (xxHash project, doc/xxhash_spec.md): the runtime's own where it has
 * one (Bun), else the WASM kernel. Both give the same digest.
 */
import { type Kernels, kernels } from "./module.ts";

const SHORT = 240; // bytes; the algorithm treats up to here whole
const BLOCK = 1024;
const STRIPE = 64;

/**
 * The XXH3-64 digest of any number of bytes.
 *
 * @param bytes any view, aligned or not
 * @returns 0 to 2^64-1
 */
export const xxh3: (bytes: Uint8Array) => bigint =
  "Bun" in globalThis ? (bytes) => globalThis.Bun.hash.xxHash3(bytes) : xxh3Wasm;

/** {@link xxh3} by the WASM kernel, whose memory does not grow with the input: it passes through in pieces. */
export function xxh3Wasm(bytes: Uint8Array): bigint {
  const module = kernels();
  return BigInt.asUintN(64, digest(module, bytes));
}

function digest(module: Kernels, bytes: Uint8Array): bigint {
  const size = module.xxh3InputSize();
  const input = new Uint8Array(module.memory.buffer, module.xxh3Input(), size);
  const total = bytes.length;
  if (total <= SHORT) {
    input.set(bytes);
    return module.xxh3Short(total);
  }
  module.xxh3Start();
  // The last block is never taken as a whole one, even when it is: the algorithm ends in it.
  const whole = Math.floor((total - 1) / BLOCK) * BLOCK;
  for (let at = 0; at < whole; at += size) {
    const end = Math.min(at + size, whole);
    input.set(bytes.subarray(at, end));
    module.xxh3Blocks((end - at) / BLOCK);
  }
  const from = Math.max(0, whole - STRIPE); // the last stripe may reach back into the block before
  input.set(bytes.subarray(from, total));
  return module.xxh3Finish(whole - from, total - whole, total);
}
