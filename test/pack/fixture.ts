/**
 * The program that executable.test.ts builds: a small one that needs what vmcopy needs, libc over FFI, the JIT,
 * `await import()`, and says in JSON what it found; into the file REPORT too, where that is set.
 */
import { dlopen, FFIType, type Pointer, read } from "bun:ffi";
import { readdirSync, readlinkSync, writeFileSync } from "node:fs";

const PROT_READ = 1;
const MAP_PRIVATE_ANONYMOUS = 0x22;

const libc = dlopen("libc.so.6", {
  getpid: { args: [], returns: FFIType.i32 },
  mmap: {
    args: [FFIType.ptr, FFIType.u64, FFIType.i32, FFIType.i32, FFIType.i32, FFIType.i64],
    returns: FFIType.ptr,
  },
  munmap: { args: [FFIType.ptr, FFIType.u64], returns: FFIType.i32 },
}).symbols;

const mapping = libc.mmap(null, 4096, PROT_READ, MAP_PRIVATE_ANONYMOUS, -1, 0) as Pointer;
const firstByte = read.u8(mapping, 0);
const unmapped = libc.munmap(mapping, 4096);

const { sumOfSquares } = await import("./fixture-late.ts");

const numbers = readdirSync("/proc/self/fd").sort((a, b) => Number(a) - Number(b));
const descriptors = numbers.flatMap((name) => {
  try {
    return [readlinkSync(`/proc/self/fd/${name}`)];
  } catch {
    return []; // the directory's own descriptor, closed by now
  }
});

const report = JSON.stringify({
  pid: libc.getpid(),
  firstByte,
  unmapped,
  sum: sumOfSquares(3_000_000),
  arguments: process.argv.slice(2),
  standard: descriptors.slice(0, 3),
  openLibraries: descriptors.filter((target) => target.includes("memfd:lib")),
});
if (process.env.REPORT) writeFileSync(process.env.REPORT, report);
console.log(report);
