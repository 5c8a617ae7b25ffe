/**
 * A libc that fails when told to: a backend whose chosen calls go through a rule first.
 *
 * @example
 * const libc = new Libc(inject(await loadBackend(), { pwrite: failAfterBytes(1 << 20, "ENOSPC") }));
 *
 * A rule keeps its own count: make a new one for each test.
 */
import type { Backend } from "../../ffi/backend.ts";
import { errnoNumber } from "../../ffi/errno.ts";
import { type Calls, SYMBOLS, type SymbolName } from "../../ffi/symbols.ts";

/** A call on its way to libc. */
export interface Call {
  readonly name: SymbolName;
  readonly args: readonly number[];
  /** which call of this function it is, from 1 */
  readonly nth: number;
  /** Makes the call fail: `return call.fail("EIO")`. */
  fail(errno: string | number): number;
}

export type Real = (...args: number[]) => number;
/** Decides what a call gives: `real(...call.args)`, `call.fail(errno)`, or something of its own. */
export type Rule = (call: Call, real: Real) => number;
export type Rules = Partial<Record<SymbolName, Rule>>;

const PAGE = 4096;

/** A backend that puts the named calls through their rules; all others are as they were. */
export function inject(backend: Backend, rules: Rules): Backend {
  let injected: number | undefined;
  const calls = Object.fromEntries(
    (Object.keys(SYMBOLS) as SymbolName[]).map((name) => {
      const real: Real = (...args) => {
        injected = undefined;
        return (backend.calls[name] as Real)(...args);
      };
      const rule = rules[name];
      if (rule === undefined) return [name, real];
      let nth = 0;
      const fail = (errno: string | number) => {
        injected = typeof errno === "string" ? errnoNumber(errno) : errno;
        return -1;
      };
      return [name, (...args: number[]) => rule({ name, args, nth: ++nth, fail }, real)];
    }),
  ) as Calls;
  // Every read passes through its rule: none is made on another thread.
  return { ...backend, aio: undefined, calls, errno: () => injected ?? backend.errno() };
}

/** Rules one around the other: the first is asked first, and its `real` is the next. */
export function chain(...rules: readonly [Rule, ...Rule[]]): Rule {
  const [first, second, ...rest] = rules;
  if (second === undefined) return first;
  const inner = chain(second, ...rest);
  return (call, real) => first(call, (...args) => inner({ ...call, args }, real));
}

/** Fails the Nth call, from 1; or several: failNth([2, 3], "EAGAIN"). */
export function failNth(n: number | readonly number[], errno: string | number): Rule {
  const which = new Set([n].flat());
  return (call, real) => (which.has(call.nth) ? call.fail(errno) : real(...call.args));
}

/**
 * A bad stretch of a file, one page unless told. pread and pwrite give what lies before it, then fail, as the
 * kernel does; mmap fails where it would reach into it.
 */
export function failAtOffset(offset: number, errno: string | number, length = PAGE): Rule {
  return (call, real) => {
    const { start, size } = extentOf(call);
    if (start >= offset + length || start + size <= offset) return real(...call.args);
    if (start >= offset || call.name === "mmap") return call.fail(errno);
    return real(...withSize(call, offset - start));
  };
}

/** Moves at most so many bytes a call. */
export function shortWrites(maxBytes: number): Rule {
  return (call, real) => real(...withSize(call, Math.min(maxBytes, sizeOf(call))));
}

/** Lets so many bytes through, all calls taken together; the rest of them fail. */
export function failAfterBytes(bytes: number, errno: string | number): Rule {
  let left = bytes;
  return (call, real) => {
    const size = sizeOf(call);
    if (left === 0 && size > 0) return call.fail(errno);
    const moved = real(...withSize(call, Math.min(left, size)));
    if (moved > 0) left -= moved;
    return moved;
  };
}

/** Every Nth call is interrupted (EINTR) before it did anything. @param n at least 2 */
export function interruptEvery(n: number): Rule {
  if (n < 2) throw new RangeError(`Cannot interrupt every call: none would ever be made (${n})`);
  let count = 0;
  return (call, real) => (++count % n === 0 ? call.fail("EINTR") : real(...call.args));
}

/** Notes the arguments of each call, and makes it. */
export function record(into: (readonly number[])[]): Rule {
  return (call, real) => {
    into.push(call.args);
    return real(...call.args);
  };
}

/** Where the number of bytes stands among the arguments. */
const SIZE_AT: Partial<Record<SymbolName, number>> = { read: 2, write: 2, pread: 2, pwrite: 2, mmap: 1 };
const OFFSET_AT: Partial<Record<SymbolName, number>> = { pread: 3, pwrite: 3, mmap: 5 };

function argument(call: Call, places: typeof SIZE_AT, what: string): number {
  const place = places[call.name];
  if (place === undefined) throw new RangeError(`Cannot inject into ${call.name}: it has no ${what}`);
  return place;
}

function sizeOf(call: Call): number {
  return call.args[argument(call, SIZE_AT, "size")] as number;
}

function extentOf(call: Call): { start: number; size: number } {
  // Anonymous memory (fd -1) is no part of any file.
  if (call.name === "mmap" && call.args[4] === -1) return { start: -Infinity, size: 0 };
  return { start: call.args[argument(call, OFFSET_AT, "offset")] as number, size: sizeOf(call) };
}

function withSize(call: Call, size: number): number[] {
  return call.args.with(argument(call, SIZE_AT, "size"), size);
}
