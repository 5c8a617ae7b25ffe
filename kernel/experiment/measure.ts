// Boots a kernel, crashes it, and measures in its capture kernel: once by the clock, once by counting instructions.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { sizeArgument } from "../../src/units.ts";
import { type Crash, crashAndCapture } from "../../test/lab/lab.ts";
import type { Kernel } from "../../test/lab/packages.ts";
import { type Bench, readBench, readCopyFigures, readRows } from "./figures.ts";
import type { CopyFigures, Guest, Plan } from "./results.ts";

const MIB = 2 ** 20;

/** Room for a window of 512 MiB inside one PT_LOAD. */
export const GUEST: Guest = { memMiB: 1024, crashkernel: "256M" };

export const WHOLE: Plan = { small: 64 * MIB, large: 768 * MIB, repeat: 5, copies: 3, counts: true };
export const QUICK: Plan = { small: 16 * MIB, large: 128 * MIB, repeat: 1, copies: 1, counts: false };

/**
 * qemu carries out `rep movsb` byte by byte, some 2 ns each: where a kernel copies by it, nothing else could be seen in
 * the times of read. Without this feature, as on the processor of 2013, it copies 8 bytes at a time.
 */
const PROCESSOR = ["erms", "fsrm"].flatMap((feature) => ["-global", `max-x86_64-cpu.${feature}=off`]);

/** By the clock. */
export interface Timed {
  readonly wall: Bench;
  readonly tables: Bench;
  readonly copy: CopyFigures;
}

/** A quarter of the memory is noise: a machine whose pages are all zero would make copy look fast. */
const WORKLOAD = `
  mkdir /noise && mount -t tmpfs noise /noise && dd if=/dev/urandom of=/noise/file bs=1M count=256 2> /dev/null
`;

/** Some two minutes. @throws Error where the guest did not measure all it should have */
export async function measureTimes(kernel: Kernel, plan: Plan): Promise<Timed> {
  const more = { workload: WORKLOAD, devices: PROCESSOR };
  return await inGuest(kernel, plan, ["bench.sh", "copies.sh"], more, (directory) => ({
    wall: readRows(directory),
    tables: readBench(directory, "tables"),
    copy: readCopyFigures(directory),
  }));
}

/**
 * Under `-icount shift=0`, where an instruction is a nanosecond of the guest, however fast the host: what another guest
 * does beside it changes nothing. Nor does the number of bytes: for small windows a quarter is enough.
 */
export async function countInstructions(kernel: Kernel, plan: Plan): Promise<Bench | null> {
  if (!plan.counts) return null;
  const devices = [...PROCESSOR, "-icount", "shift=0,sleep=off"];
  return await inGuest(kernel, { ...plan, small: plan.small / 4 }, ["bench.sh"], { devices }, readRows);
}

async function inGuest<Result>(
  kernel: Kernel,
  { small, large, repeat, copies }: Plan,
  scripts: readonly string[],
  more: Partial<Crash>,
  read: (directory: string) => Result,
): Promise<Result> {
  const settings = { SMALL: sizeArgument(small), LARGE: sizeArgument(large), REPEAT: repeat, COPIES: copies };
  const capture = await crashAndCapture({
    ...GUEST,
    // One processor, as most capture kernels have, and icount needs.
    cpus: 1,
    kernel,
    captureScript: [
      ...Object.entries(settings).map(([name, value]) => `${name}=${value}\n`),
      ...scripts.map((script) => readFileSync(join(import.meta.dir, script), "utf8")),
    ].join(""),
    timeoutSeconds: 3600,
    ...more,
  });
  try {
    return read(capture.results);
  } finally {
    capture.dispose();
  }
}
