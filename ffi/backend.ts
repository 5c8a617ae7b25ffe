/**
 * What a JavaScript runtime must give for vmcopy to call libc, and the choice of the runtime at hand.
 */
import type { AioCalls, Calls, TimerCalls } from "./symbols.ts";

export interface Backend {
  readonly runtime: "bun" | "deno";
  /** libc's functions; a failed call returns -1 and leaves its reason in {@link Backend.errno}. */
  readonly calls: Calls;
  /** aio_read(3) and what belongs to it, where libc has it */
  readonly aio?: AioCalls | undefined;
  /** timer_create(2) and what belongs to it, where libc has it */
  readonly timers?: TimerCalls | undefined;
  /** errno of the last failed call on this thread. Ask at once: the next call may change it. */
  errno(): number;
  /** Native memory as an ArrayBuffer without a copy. `address` must stay mapped for as long as it is used. */
  view(address: number, length: number): ArrayBuffer;
  /**
   * Where a buffer lies that does not move: a WASM instance's memory, which must not grow afterwards. Whoever uses
   * the address keeps the instance.
   */
  addressOf(buffer: ArrayBuffer): number;
  /** The 32-bit word at an address, which must be mapped. */
  peek(address: number): number;
}

/**
 * Loads libc through the runtime this program runs on.
 *
 * @throws Error where neither glibc nor musl can be loaded, or the runtime has no FFI
 */
export async function loadBackend(): Promise<Backend> {
  if ("Deno" in globalThis) return (await import("./deno.ts")).denoBackend();
  return (await import("./bun.ts")).bunBackend();
}
