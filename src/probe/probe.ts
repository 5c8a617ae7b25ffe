/**
 * What a vmcore can do: the promises of the 2013 series one by one, then the known faults of today's kernels. Each
 * is tried on the file itself; where that cannot show it, the row says so.
 */
import { readFileSync } from "node:fs";
import { LibcError } from "../../ffi/errno.ts";
import type { Libc } from "../../ffi/libc.ts";
import { VmcopyError } from "../errors.ts";
import { Vmcore } from "../vmcore/vmcore.ts";
import { overlap, split } from "./faults.ts";
import { mapping } from "./mapping.ts";
import { notes, raggedEnds, reading } from "./reading.ts";
import {
  type FaultName,
  type FaultResult,
  type FaultRow,
  type Finding,
  fail,
  notApplicable,
  type ProbeReport,
  type PromiseResult,
  TITLES,
} from "./row.ts";
import { readSpeed, spanningSpeed } from "./speed.ts";
import { elf32, fileSize, headerBuffer, headerPadding, headerSize, objectOffsets } from "./structure.ts";
import { Subject } from "./subject.ts";

export interface ProbeOptions {
  /** false leaves out the one check that harms: see split() in faults.ts */
  readonly split: boolean;
  /** a clock, milliseconds; performance.now unless told */
  readonly now?: () => number;
}

type Check<Result extends string> = (subject: Subject) => Finding<Result>;

/** By patch, 1 to 13. */
const PROMISES: readonly Check<PromiseResult>[] = [
  headerBuffer,
  headerSize,
  headerPadding,
  () => notApplicable("types inside the kernel: nothing of them can be seen from outside"),
  elf32,
  () => notApplicable("runs where /proc/vmcore cannot be set up: cannot be seen from outside"),
  reading,
  () => notApplicable("removes code that nothing called: there is nothing to see"),
  notes,
  objectOffsets,
  fileSize,
  raggedEnds,
  mapping,
];

/** In the order they are tried: the one that changes the kernel's state comes last. */
const FAULTS: readonly (readonly [name: FaultName, title: string, check: Check<FaultResult>])[] = [
  ["overlap", "a window across objects fails beside one inside (EAGAIN)", overlap],
  ["spanning", "a window across objects is slow: mapped uncached", spanningSpeed],
  ["read", "read maps and unmaps each page", readSpeed],
  ["split", "unmapping part of a window breaks later windows across objects", split],
];

/**
 * Probes a vmcore.
 *
 * @param path /proc/vmcore, or a file, where what only a kernel can show is "not applicable"
 * @throws VmcopyError E_NOT_VMCORE or E_IO where it cannot be opened as a vmcore; an error in a check makes its row fail
 */
export function probe(libc: Libc, path: string, options: ProbeOptions): ProbeReport {
  using vmcore = Vmcore.open(libc, path);
  using subject = new Subject(vmcore, options.now ?? (() => performance.now()));
  const promises = TITLES.map((title, index) => {
    const check = PROMISES[index] as Check<PromiseResult>;
    return { patch: index + 1, title, ...attempt(() => check(subject), fail) };
  });
  const faults = FAULTS.map(([name, title, check]): FaultRow => {
    if (!subject.live) return { name, title, ...notApplicable("a file: only /proc/vmcore can have it") };
    if (name === "split" && !options.split) return { name, title, ...notApplicable("left out (--no-split)") };
    return { name, title, ...attempt<Finding<FaultResult>>(() => check(subject), notApplicable) };
  });
  const { backing } = vmcore;
  return { kernel: kernelRelease(), source: path, backing, pageSize: subject.pageSize, promises, faults };
}

/** Runs a check; what it could not do is what was seen. */
function attempt<Found>(check: () => Found, failed: (seen: string) => Found): Found {
  try {
    return check();
  } catch (error) {
    if (error instanceof LibcError || error instanceof VmcopyError) return failed(error.message);
    throw error;
  }
}

function kernelRelease(): string | null {
  try {
    return readFileSync("/proc/sys/kernel/osrelease", "utf8").trim();
  } catch {
    return null;
  }
}
