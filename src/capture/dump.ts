/**
 * The dump of a capture: the one that was asked for, a smaller one where the disk has no room for it, a raw one where
 * it fails for another reason and that was allowed.
 */
import { LibcError } from "../../ffi/errno.ts";
import type { Libc } from "../../ffi/libc.ts";
import { copyFiltered } from "../copy/filtered.ts";
import { copyRaw } from "../copy/raw.ts";
import { spaceNeed } from "../copy/space.ts";
import { VmcopyError } from "../errors.ts";
import type { Job } from "../job.ts";
import { incompletePath } from "../sink/file.ts";
import { formatPercent, formatSize } from "../units.ts";
import { Vmcore } from "../vmcore/vmcore.ts";
import { type DumpChoice, type Fit, fitDump, roomFor } from "./fitting.ts";
import type { Settings } from "./settings.ts";
import type { Done, Steps } from "./steps.ts";
import type { Store } from "./store.ts";

/** What lies there. */
export interface DumpRecord {
  readonly format: "kdump" | "raw";
  readonly dumpLevel: number;
  readonly compression: string;
  /** bytes of the file */
  readonly size: number;
  /** bytes of memory that it holds */
  readonly memoryBytes: number;
  readonly seconds: number;
  /** it is another one than was asked for */
  readonly reduced: boolean;
  /** pages that could not be read: they are lost in it */
  readonly unreadable: number;
  /** the most that was resident until it was written, bytes, and of that at most anonymous */
  readonly peakRssBytes: number;
  readonly anonymousRssBytes: number;
  /** the least memory that programs could still have had meanwhile, bytes */
  readonly leastAvailableBytes: number;
}

/** What of memory the engines' reports say. */
function memoryOf({
  peakRssBytes,
  anonymousRssBytes,
  leastAvailableBytes,
}: Pick<DumpRecord, "peakRssBytes" | "anonymousRssBytes" | "leastAvailableBytes">) {
  return { peakRssBytes, anonymousRssBytes, leastAvailableBytes };
}

export interface DumpPlace {
  readonly libc: Libc;
  readonly job: Job;
  readonly steps: Steps;
  readonly store: Store;
  readonly settings: Settings;
}

/** Writes vmcore and its manifest. @returns undefined where no dump is there @throws Interrupted */
export async function writeDump(place: DumpPlace): Promise<DumpRecord | undefined> {
  const { libc, job, steps, store, settings } = place;
  const { source } = settings;
  const wanted: DumpChoice = { level: settings.level, codec: settings.compress };
  const { available } = store;
  const fit = await steps.run("space", async () =>
    describeFit(wanted, available, await fitDump(libc, job, source, wanted, available)),
  );
  // Where it cannot be told, it is tried.
  const { choices, reading }: Pick<Fit, "choices" | "reading"> = fit ?? { choices: [wanted], reading: {} };
  let isTargetBad = false;
  for (const choice of choices) {
    let isFull = false;
    const dump = await steps.run("dump", async () => {
      try {
        return await filtered(place, choice, wanted, reading);
      } catch (error) {
        isFull = error instanceof VmcopyError && error.code === "E_NO_SPACE";
        isTargetBad = !isFull && keepsPartial(place, error);
        if (isTargetBad) (error as Error).message += "; the disk fails: name another one (--to)";
        throw error;
      }
    });
    if (dump !== undefined) return dump;
    if (!isFull) break;
    // The next one may need the room that this one took.
    if (choice !== choices.at(-1)) store.removePartial();
  }
  if (!settings.onFailure.fallbacks.includes("dump-raw")) return undefined;
  // A larger dump fares no better on a disk that fails, and what there is of this one would have to go for it.
  if (isTargetBad) return undefined;
  // What was estimated not to fit at its smallest does not fit raw.
  if (choices.length === 0) return undefined;
  return await steps.run("dump-raw", async () => {
    store.removePartial();
    return await raw(place);
  });
}

function describeFit(wanted: DumpChoice, available: number, fit: Fit): Done<Fit> {
  const free = `${formatSize(available)} are free`;
  const [first] = fit.choices;
  if (first === undefined) {
    const line = `no dump fits: the smallest needs ${formatSize(roomFor(fit.bytes))} with a margin, ${free}; free some, or write elsewhere (--to)`;
    return { line, value: fit, flawed: true };
  }
  const size = formatSize(fit.bytes);
  if (first.level === wanted.level && first.codec === wanted.codec) {
    return { line: `${free}, the dump needs up to ${size}`, value: fit };
  }
  return {
    line: `${free}, too little for ${nameOf(wanted)}: the next smaller one is taken, ${nameOf(first)}, up to ${size}`,
    value: fit,
  };
}

function nameOf({ level, codec }: DumpChoice): string {
  return `-d ${level} -c ${codec}`;
}

async function filtered(
  { libc, job, store, settings }: DumpPlace,
  choice: DumpChoice,
  wanted: DumpChoice,
  reading: Fit["reading"],
): Promise<Done<DumpRecord>> {
  const report = await copyFiltered(libc, job, {
    ...reading,
    ...store.dumpPlace,
    sources: [settings.source],
    format: "kdump",
    level: choice.level,
    codec: choice.codec,
    flatten: false,
    jobs: settings.jobs,
    split: 1,
    dryRun: false,
    memory: undefined,
    direct: false,
    force: false,
    manifest: true,
    sha256: false,
  });
  const { pages, size, bytesRead, unreadable } = report;
  const lost = unreadable === 0 ? "" : `; ${unreadable} pages could not be read and are lost in it`;
  return {
    line: `${nameOf(choice)}: ${formatPercent(pages.kept, pages.total)} of the pages, ${formatSize(bytesRead)} of memory in ${formatSize(size)}${lost}`,
    value: {
      format: "kdump",
      dumpLevel: report.dumpLevel,
      compression: report.compression,
      size,
      memoryBytes: bytesRead,
      seconds: report.seconds,
      reduced: choice.level !== wanted.level || choice.codec !== wanted.codec,
      unreadable,
      ...memoryOf(report),
    },
    flawed: report.incomplete,
  };
}

async function raw({ libc, job, store, settings }: DumpPlace): Promise<Done<DumpRecord>> {
  checkRoom(libc, settings.source, store);
  const report = await copyRaw(libc, job, {
    ...store.dumpPlace,
    source: settings.source,
    sparse: true,
    direct: false,
    force: false,
    resume: false,
    manifest: true,
    sha256: false,
  });
  const lost = report.unreadable.reduce((sum, { length }) => sum + length, 0);
  return {
    line: `byte for byte: ${formatSize(report.bytesRead)}, ${formatSize(report.bytesWritten)} of them written${lost === 0 ? "" : `; ${lost} bytes could not be read and are zeros`}`,
    value: {
      format: "raw",
      dumpLevel: 0,
      compression: "none",
      size: report.bytesRead,
      memoryBytes: report.bytesRead,
      seconds: report.seconds,
      reduced: true,
      unreadable: Math.ceil(lost / libc.pageSize),
      ...memoryOf(report),
    },
    flawed: lost > 0,
  };
}

/** @throws VmcopyError E_NO_SPACE where a raw copy would fill the disk; E_NOT_VMCORE */
function checkRoom(libc: Libc, source: string, { available, holes }: Store): void {
  using vmcore = Vmcore.open(libc, source);
  const room = roomFor(spaceNeed(vmcore, 0, holes).likely);
  if (room <= available) return;
  throw new VmcopyError(
    "E_NO_SPACE",
    `Cannot copy all memory: it needs ${formatSize(room)} with a margin, ${formatSize(available)} are free`,
  );
}

/** Whether a dump failed because the disk did not take it, and the part of it that is there is worth keeping. */
function keepsPartial({ libc, store }: DumpPlace, error: unknown): boolean {
  // On a raw partition nothing tells of a part.
  if (store.isRaw) return false;
  const partial = incompletePath(store.dumpPlace.dest);
  const cause = error instanceof VmcopyError ? error.cause : error;
  return cause instanceof LibcError && cause.path === partial && libc.status(partial) !== undefined;
}
