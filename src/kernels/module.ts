/**
 * The one WASM module with all hot loops, compiled when it is first asked for: programs that never need it
 * (Bun has its own XXH3) do not pay for it.
 */
import { KERNELS_BASE64 } from "./kernels.generated.ts";

/** What assembly/index.ts exports. Addresses and sizes are bytes in `memory`; a u64 result arrives signed. */
export interface Kernels {
  readonly memory: WebAssembly.Memory;
  xxh3Input(): number;
  xxh3InputSize(): number;
  xxh3Short(length: number): bigint;
  xxh3Start(): void;
  xxh3Blocks(count: number): void;
  xxh3Finish(from: number, length: number, total: number): bigint;
}

let instance: Kernels | undefined;

/** The module's exports. Its memory is fixed: it does not grow, so views of it stay valid. */
export function kernels(): Kernels {
  if (!instance) {
    const wasm = Uint8Array.from(atob(KERNELS_BASE64), (character) => character.charCodeAt(0));
    instance = new WebAssembly.Instance(new WebAssembly.Module(wasm)).exports as unknown as Kernels;
  }
  return instance;
}
