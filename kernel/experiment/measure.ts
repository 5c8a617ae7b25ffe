// Boots a kernel, crashes it, and measures in its capture kernel: once by the clock, once by counting instructions.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { sizeArgument } from "../../src/units.ts";
import { type Crash, crashAndCapture } from "../../test/lab/lab.ts";
import type { Kernel } from "../../test/lab/packages.ts";
import { type Bench, joinReports, readBench, readCopyFigures } from "./figures.ts";
import type { CopyFigures, Guest } from "./results.ts";

const MIB = 2 ** 20;

/** Room for a window of 512 MiB inside one PT_LOAD. */
export const GUEST: Guest = { memMiB: 1024, crashkernel: "256M" };

/** How much is measured. */
export interface Plan {
  /** bytes of each row by the clock */
  readonly bytes: number;
  /** rounds of which the median counts */
  readonly repeat: number;
  /** bytes of the rows that are counted: windows below 2 MiB, and from there on; null leaves counting out */
  readonly counted: { readonly small: number; readonly large: number } | null;
}

export const WHOLE: Plan = { bytes: 256 * MIB, repeat: 3, counted: { small: 16 * MIB, large: 256 * MIB } };
export const QUICK: Plan = { bytes: 64 * MIB, repeat: 1, counted: null };

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

/** Two to three minutes. @throws Error where the guest did not measure all it should have */
export async function measureTimes(kernel: Kernel, plan: Plan): Promise<Timed> {
  const settings = { BYTES: sizeArgument(plan.bytes), REPEAT: String(plan.repeat) };
  return await inGuest(kernel, "wall.sh", settings, { workload: WORKLOAD }, (directory) => ({
    wall: readBench(directory, "bench"),
    tables: readBench(directory, "tables"),
    copy: readCopyFigures(directory),
  }));
}

/**
 * Under `-icount shift=0`, where an instruction is a nanosecond of the guest, however fast the host: what another guest
 * does beside it changes nothing.
 */
export async function countInstructions(kernel: Kernel, plan: Plan): Promise<Bench | null> {
  if (plan.counted === null) return null;
  const { small, large } = plan.counted;
  const settings = { SMALL: sizeArgument(small), LARGE: sizeArgument(large), REPEAT: String(plan.repeat) };
  const devices = ["-icount", "shift=0,sleep=off"];
  return await inGuest(kernel, "instructions.sh", settings, { devices }, (directory) =>
    joinReports(readBench(directory, "small"), readBench(directory, "large")),
  );
}

async function inGuest<Result>(
  kernel: Kernel,
  script: string,
  settings: Record<string, string>,
  more: Partial<Crash>,
  read: (directory: string) => Result,
): Promise<Result> {
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`);
  const capture = await crashAndCapture({
    ...GUEST,
    // One processor, as most capture kernels have, and icount needs.
    cpus: 1,
    kernel,
    captureScript: `${lines.join("")}${readFileSync(join(import.meta.dir, script), "utf8")}`,
    timeoutSeconds: 3600,
    ...more,
  });
  try {
    return read(capture.results);
  } finally {
    capture.dispose();
  }
}
