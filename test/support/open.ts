/** Opens vmcores for tests: bytes written to a file, opened by any libc, read through windows of any kind. */
import { writeFileSync } from "node:fs";
import { FaultGuard } from "../../ffi/guard.ts";
import type { Libc } from "../../ffi/libc.ts";
import { Vmcore } from "../../src/vmcore/vmcore.ts";
import { type Extent, joinExtents, type Method, WindowReader } from "../../src/vmcore/window.ts";

/** Writes bytes to a file and opens it as a vmcore. */
export function openBytes(libc: Libc, path: string, bytes: Uint8Array): Vmcore {
  writeFileSync(path, bytes);
  return Vmcore.open(libc, path);
}

export interface WindowsRead {
  readonly bytes: Uint8Array;
  /** of the windows, as they came */
  readonly extents: readonly Extent[];
  readonly unreadable: readonly Extent[];
  readonly counts: { mapped: number; fallback: number };
}

/** All of a vmcore through its windows, put together again. */
export function readWindows(vmcore: Vmcore, method: Method, mapSize: number): WindowsRead {
  using guard = new FaultGuard(vmcore.file.libc);
  using reader = new WindowReader(vmcore, method, mapSize, guard);
  const bytes = new Uint8Array(vmcore.size).fill(0xee);
  const extents: Extent[] = [];
  const unreadable: Extent[] = [];
  for (let offset = 0; offset < vmcore.size; ) {
    const window = reader.window(offset);
    if (window.offset !== offset || window.length <= 0) throw new Error(`a window at ${offset} is none`);
    bytes.set(window.bytes(), offset);
    unreadable.push(...window.unreadable());
    extents.push({ offset, length: window.length });
    offset += window.length;
    window.release();
  }
  return { bytes, extents, unreadable: joinExtents(unreadable), counts: { ...reader.counts } };
}
