/**
 * Every libc function that vmcopy calls, with its C types, in one table. Each backend turns the table into
 * callable functions; nothing else in the project declares a foreign function.
 *
 * All arguments and results are plain numbers. Memory is passed as an address, never as a JavaScript object:
 * the garbage collector then has no say over what the kernel reads or writes.
 */

/**
 * C types of the x86_64 and aarch64 Linux ABIs: `addr` and `size` are 64 bits wide and unsigned. A `handle` is 64 bits
 * that mean something to libc alone, all of them: a bigint.
 */
export type CType = "i32" | "u32" | "i64" | "addr" | "size" | "handle";

export interface CFunction {
  readonly args: readonly CType[];
  readonly returns: CType;
}

/**
 * libc's functions by name. `open`, `openat`, `ioctl` and `fcntl` are variadic in C; both ABIs pass integer
 * variadic arguments as they pass ordinary ones.
 */
export const SYMBOLS = {
  open: { args: ["addr", "i32", "u32"], returns: "i32" },
  openat: { args: ["i32", "addr", "i32", "u32"], returns: "i32" },
  close: { args: ["i32"], returns: "i32" },
  read: { args: ["i32", "addr", "size"], returns: "i64" },
  write: { args: ["i32", "addr", "size"], returns: "i64" },
  pread: { args: ["i32", "addr", "size", "i64"], returns: "i64" },
  pwrite: { args: ["i32", "addr", "size", "i64"], returns: "i64" },
  lseek: { args: ["i32", "i64", "i32"], returns: "i64" },
  mmap: { args: ["addr", "size", "i32", "i32", "i32", "i64"], returns: "i64" },
  munmap: { args: ["addr", "size"], returns: "i32" },
  mprotect: { args: ["addr", "size", "i32"], returns: "i32" },
  madvise: { args: ["addr", "size", "i32"], returns: "i32" },
  posix_fadvise: { args: ["i32", "i64", "i64", "i32"], returns: "i32" },
  fallocate: { args: ["i32", "i32", "i64", "i64"], returns: "i32" },
  ftruncate: { args: ["i32", "i64"], returns: "i32" },
  fsync: { args: ["i32"], returns: "i32" },
  fdatasync: { args: ["i32"], returns: "i32" },
  syncfs: { args: ["i32"], returns: "i32" },
  sync_file_range: { args: ["i32", "i64", "i64", "u32"], returns: "i32" },
  rename: { args: ["addr", "addr"], returns: "i32" },
  unlink: { args: ["addr"], returns: "i32" },
  mkdir: { args: ["addr", "u32"], returns: "i32" },
  rmdir: { args: ["addr"], returns: "i32" },
  mount: { args: ["addr", "addr", "addr", "size", "addr"], returns: "i32" },
  umount2: { args: ["addr", "i32"], returns: "i32" },
  /** void in C: what it returns means nothing */
  sync: { args: [], returns: "i32" },
  reboot: { args: ["u32"], returns: "i32" },
  statx: { args: ["i32", "addr", "i32", "u32", "addr"], returns: "i32" },
  fstatfs: { args: ["i32", "addr"], returns: "i32" },
  ioctl: { args: ["i32", "u32", "addr"], returns: "i32" },
  fcntl: { args: ["i32", "i32", "i64"], returns: "i32" },
  poll: { args: ["addr", "size", "i32"], returns: "i32" },
  flock: { args: ["i32", "i32"], returns: "i32" },
  memcmp: { args: ["addr", "addr", "size"], returns: "i32" },
  memcpy: { args: ["addr", "addr", "size"], returns: "addr" },
  sigaction: { args: ["i32", "addr", "addr"], returns: "i32" },
  sysconf: { args: ["i32"], returns: "i64" },
  /** system calls that libc has no function for: their number (SYS_...), then their arguments */
  syscall: { args: ["i64", "i64", "i64", "i64", "i64", "i64", "i64"], returns: "i64" },
  __errno_location: { args: [], returns: "addr" },
} as const satisfies Record<string, CFunction>;

/** Reading on a thread of libc's (aio_read(3)); glibc before 2.34 has these in another library: done without then. */
export const AIO_SYMBOLS = {
  aio_read: { args: ["addr"], returns: "i32" },
  aio_error: { args: ["addr"], returns: "i32" },
  aio_return: { args: ["addr"], returns: "i64" },
  aio_suspend: { args: ["addr", "i32", "addr"], returns: "i32" },
} as const satisfies Record<string, CFunction>;

/** Timers that call a function on a thread of libc's (timer_create(2)); glibc before 2.34 has these in other libraries. */
export const TIMER_SYMBOLS = {
  timer_create: { args: ["i32", "addr", "addr"], returns: "i32" },
  timer_settime: { args: ["handle", "i32", "addr", "addr"], returns: "i32" },
  dlsym: { args: ["addr", "addr"], returns: "addr" },
} as const satisfies Record<string, CFunction>;

export type SymbolName = keyof typeof SYMBOLS;

/** A table as functions: numbers in, a number out, no check made. */
type Functions<Table extends Record<string, CFunction>> = {
  [Name in keyof Table]: (...args: Numbers<Table[Name]["args"]>) => number;
};
export type Calls = Functions<typeof SYMBOLS>;
export type AioCalls = Functions<typeof AIO_SYMBOLS>;
export type TimerCalls = Functions<typeof TIMER_SYMBOLS>;

type Numbers<Types extends readonly CType[]> = {
  [Index in keyof Types]: Types[Index] extends "handle" ? bigint : number;
};

/** File names under which libc is loaded: glibc, then musl, for this machine's architecture. */
export function libcNames(architecture: string): string[] {
  const muslName = architecture === "arm64" || architecture === "aarch64" ? "aarch64" : "x86_64";
  return ["libc.so.6", `libc.musl-${muslName}.so.1`];
}
