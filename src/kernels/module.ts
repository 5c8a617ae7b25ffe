/**
 * The one WASM module with all hot loops, compiled when it is first asked for: programs that never need it
 * (Bun has its own XXH3) do not pay for it.
 */
import { KERNELS_BASE64 } from "./kernels.generated.ts";

const WASM_PAGE = 64 << 10;

/** What assembly/index.ts exports. Addresses and sizes are bytes in `memory`; a u64 result arrives signed. */
export interface Kernels {
  readonly memory: WebAssembly.Memory;
  xxh3Input(): number;
  xxh3InputSize(): number;
  xxh3Short(length: number): bigint;
  xxh3Start(): void;
  xxh3Blocks(count: number): void;
  xxh3Finish(from: number, length: number, total: number): bigint;
  /** See assembly/pack.ts; a u32 result arrives signed. */
  packPages(codec: number, input: number, count: number, size: number, out: number, results: number): number;
  findUniform(input: number, count: number, size: number, results: number): void;
  /** See assembly/classify.ts. */
  classifyLayout(): number;
  classifyCounts(): number;
  classifyPages(pages: number, first: number, count: number, bits: number, firstBit: number): void;
  /** 0, or 1 where the stream is damaged */
  lzoDecompress(from: number, length: number, out: number, size: number): number;
  snappyDecompress(from: number, length: number, out: number, size: number): number;
}

/** An instance with memory of its own behind what the kernels use themselves. */
export interface PrivateKernels {
  readonly kernels: Kernels;
  /** where that memory begins, in the instance's memory */
  readonly base: number;
}

let compiled: WebAssembly.Module | undefined;
let instance: Kernels | undefined;

/** The module's exports. Its memory is fixed: it does not grow, so views of it stay valid. */
export function kernels(): Kernels {
  instance ??= instantiate();
  return instance;
}

/** A new instance, for who works on pages. @param bytes of memory that are its own; fixed from then on */
export function privateKernels(bytes: number): PrivateKernels {
  const own = instantiate();
  const base = own.memory.buffer.byteLength;
  own.memory.grow(Math.ceil(bytes / WASM_PAGE));
  return { kernels: own, base };
}

function instantiate(): Kernels {
  compiled ??= new WebAssembly.Module(
    Uint8Array.from(atob(KERNELS_BASE64), (character) => character.charCodeAt(0)),
  );
  return new WebAssembly.Instance(compiled).exports as unknown as Kernels;
}
