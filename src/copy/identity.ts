/** What tells one crash from another: the vmcore's headers and notes (registers, VMCOREINFO, crash time). */
import { hexDigest } from "../dump/digests.ts";
import { xxh3 } from "../kernels/xxh3.ts";
import type { Vmcore } from "../vmcore/vmcore.ts";

const MOST = 1 << 20;

/** XXH3-64 of everything before the first PT_LOAD's data, of at most 1 MiB. @returns hexadecimal digits */
export function sourceIdentity(vmcore: Vmcore): string {
  const firstMemory = vmcore.ranges.find(({ mappable }) => mappable)?.offset ?? vmcore.size;
  return hexDigest(xxh3(vmcore.read(0, Math.min(firstMemory, MOST))));
}
