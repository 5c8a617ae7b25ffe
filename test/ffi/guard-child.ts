/**
 * Raises real SIGBUS: maps a file, makes it shorter, touches what is gone. A program of its own, run by
 * guard.test.ts under Bun and Deno, as the signal may end it.
 *
 * Arguments: what to do, and a file it may write. Prints one JSON object where it survives.
 */
import process from "node:process";
import { O_CREAT, O_RDWR } from "../../ffi/constants.ts";
import { File } from "../../ffi/file.ts";
import { FaultGuard } from "../../ffi/guard.ts";
import { Libc } from "../../ffi/libc.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { SIGACTION } from "../../ffi/structs.ts";

const [what = "", path = ""] = process.argv.slice(2);
const SIGBUS = 7;
const PAGES = what === "many" ? 40_000 : 16;
const KEPT = 5;
const libc = await Libc.load();
const PAGE = libc.pageSize;
using file = File.open(libc, path, O_RDWR | O_CREAT, 0o600);
file.truncate(PAGES * PAGE);
{
  using page = Mapping.buffer(libc, PAGE);
  page.bytes().fill(0xa5);
  for (let i = 0; i < KEPT; i++) file.pwrite(page.address, PAGE, i * PAGE);
}
const mapping = Mapping.ofFile(libc, file, 0, PAGES * PAGE);
const handler = (): string => {
  const at = libc.structure();
  libc.backend.calls.sigaction(SIGBUS, 0, at);
  return libc.structureView.getBigUint64(SIGACTION.sa_sigaction, true).toString(16);
};
const before = handler();
const guard = new FaultGuard(libc);
const during = handler();
file.truncate(KEPT * PAGE);

/** The first byte of each page, by a C function or by JavaScript. */
function firstBytes(byMemcpy: boolean): number[] {
  if (!byMemcpy) return Array.from({ length: PAGES }, (_, page) => mapping.bytes(page * PAGE, 1)[0] ?? -1);
  using copy = Mapping.buffer(libc, PAGES * PAGE);
  copy.bytes().fill(0x77);
  libc.backend.calls.memcpy(copy.address, mapping.address, PAGES * PAGE);
  return Array.from({ length: PAGES }, (_, page) => copy.bytes(page * PAGE, 1)[0] ?? -1);
}

const pagesOf = () => guard.faults().map((address) => (address - mapping.address) / PAGE);
let result: object;
if (what === "watched" || what === "memcpy" || what === "many") {
  guard.watch(mapping);
  const seen = firstBytes(what === "memcpy");
  const faults = pagesOf();
  guard.unwatch();
  const forgotten = guard.faults().length;
  guard[Symbol.dispose]();
  result =
    what === "many"
      ? { zeros: seen.filter((byte) => byte === 0).length, faults: faults.length, last: faults.at(-1) }
      : { seen, faults, forgotten };
} else if (what === "dispose") {
  guard[Symbol.dispose]();
  guard[Symbol.dispose]();
  result = { replaced: during !== before, restored: handler() === before };
} else {
  // What is not watched, or no longer, still ends the program.
  if (what === "elsewhere") {
    using other = Mapping.buffer(libc, PAGE);
    guard.watch(other);
    firstBytes(true);
  } else if (what === "unwatched") {
    guard.watch(mapping);
    guard.unwatch();
    firstBytes(true);
  } else {
    guard.watch(mapping);
    guard[Symbol.dispose]();
    firstBytes(true);
  }
  result = { survived: true };
}
console.log(JSON.stringify(result));
