/** libc through Deno.dlopen. Addresses cross as `usize`, so that no pointer object is needed for them. */
import type { Backend } from "./backend.ts";
import { type Calls, type CType, libcNames, SYMBOLS } from "./symbols.ts";

/** The part of Deno's API that is used here; its own types would clash with Bun's. */
interface DenoRuntime {
  build: { arch: string };
  dlopen(
    library: string,
    symbols: Record<string, { parameters: string[]; result: string }>,
  ): { symbols: Record<string, (...args: number[]) => number | bigint> };
  UnsafePointer: {
    create(address: bigint): object;
    of(buffer: ArrayBuffer): object;
    value(pointer: object): bigint;
  };
  UnsafePointerView: {
    new (pointer: object): { getInt32(): number; getUint32(): number };
    getArrayBuffer(pointer: object, length: number): ArrayBuffer;
  };
}

const TYPES: Record<CType, string> = {
  i32: "i32",
  u32: "u32",
  i64: "i64",
  addr: "usize",
  size: "usize",
  handle: "u64",
};

/** Loads the first libc that can be opened. @throws Error naming every file tried */
export function denoBackend(): Backend {
  const runtime = (globalThis as unknown as { Deno: DenoRuntime }).Deno;
  const table = Object.fromEntries(
    Object.entries(SYMBOLS).map(([name, { args, returns }]) => [
      name,
      { parameters: args.map((type) => TYPES[type]), result: TYPES[returns] },
    ]),
  );
  const failures: string[] = [];
  for (const library of libcNames(runtime.build.arch)) {
    try {
      const { symbols } = runtime.dlopen(library, table);
      const functions = Object.entries(SYMBOLS).map(([name, { returns }]) => {
        const call = symbols[name] as (...args: number[]) => number | bigint;
        // Deno gives every 64-bit result as a bigint.
        return [name, returns === "i32" ? call : (...args: number[]) => Number(call(...args))];
      });
      const calls = Object.fromEntries(functions) as Calls;
      const errnoView = new runtime.UnsafePointerView(
        runtime.UnsafePointer.create(BigInt(calls.__errno_location())),
      );
      return {
        runtime: "deno",
        calls,
        errno: () => errnoView.getInt32(),
        view: (address, length) =>
          runtime.UnsafePointerView.getArrayBuffer(runtime.UnsafePointer.create(BigInt(address)), length),
        addressOf: (buffer) => Number(runtime.UnsafePointer.value(runtime.UnsafePointer.of(buffer))),
        peek: (address) =>
          new runtime.UnsafePointerView(runtime.UnsafePointer.create(BigInt(address))).getUint32(),
      };
    } catch (error) {
      failures.push(`${library}: ${(error as Error).message}`);
    }
  }
  throw new Error(`Cannot load libc: ${failures.join("; ")}`);
}
