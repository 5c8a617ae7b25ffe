/** libc through bun:ffi. */
import { dlopen, FFIType, type Pointer, ptr, read, toArrayBuffer } from "bun:ffi";
import type { Backend } from "./backend.ts";
import {
  AIO_SYMBOLS,
  type AioCalls,
  type Calls,
  type CFunction,
  type CType,
  libcNames,
  SYMBOLS,
  TIMER_SYMBOLS,
  type TimerCalls,
} from "./symbols.ts";

/** `i64_fast` gives a number where the value fits one; every offset, size and user-space address does. */
const TYPES: Record<CType, FFIType> = {
  i32: FFIType.i32,
  u32: FFIType.u32,
  i64: FFIType.i64_fast,
  addr: FFIType.u64_fast,
  size: FFIType.u64_fast,
  handle: FFIType.u64,
};

/** Loads the first libc that can be opened. @throws Error naming every file tried */
export function bunBackend(): Backend {
  const failures: string[] = [];
  for (const library of libcNames(process.arch)) {
    try {
      const calls = load(library, SYMBOLS) as Calls;
      // errno lives at one address for the life of a thread.
      const errnoAddress = calls.__errno_location() as Pointer;
      return {
        runtime: "bun",
        calls,
        aio: optional(() => load(library, AIO_SYMBOLS) as AioCalls),
        timers: optional(() => load(library, TIMER_SYMBOLS) as TimerCalls),
        errno: () => read.i32(errnoAddress, 0),
        view: (address, length) => toArrayBuffer(address as Pointer, 0, length),
        addressOf: (buffer) => ptr(buffer),
        peek: (address) => read.u32(address as Pointer, 0),
      };
    } catch (error) {
      failures.push(`${library}: ${(error as Error).message}`);
    }
  }
  throw new Error(`Cannot load libc: ${failures.join("; ")}`);
}

function load(library: string, symbols: Record<string, CFunction>): unknown {
  const table = Object.entries(symbols).map(([name, { args, returns }]) => [
    name,
    { args: args.map((type) => TYPES[type]), returns: TYPES[returns] },
  ]);
  return dlopen(library, Object.fromEntries(table)).symbols;
}

/** What `load` gives; undefined where it throws. */
function optional<T>(load: () => T): T | undefined {
  try {
    return load();
  } catch {
    return undefined;
  }
}
