/** Dumps as makedumpfile's command lines ask for them, by vmcopy's engine: one, a split set, or one of a split set. */
import { availableParallelism } from "node:os";
import type { Libc } from "../../../ffi/libc.ts";
import { copyFiltered, type FilteredOptions, type FilteredReport } from "../../copy/filtered.ts";
import { KdumpMemory } from "../../dump/kdump-reader.ts";
import { openMemory } from "../../dump/open.ts";
import { EXIT_OK, VmcopyError } from "../../errors.ts";
import { LEAST_BUDGET, MOST_BUDGET } from "../../filter/filter.ts";
import { availableMemory } from "../../memory-usage.ts";
import { incompletePath } from "../../sink/file.ts";
import type { Messages } from "./messages.ts";
import type { Request } from "./options.ts";
import { reportLines } from "./report.ts";

const EXIT_FAILED = 1;
const ALL_KINDS = 31;
/** Memory that a thread takes, about. */
const THREAD_BYTES = 30 << 20;
/** Where a dry run's bytes go: zero pages are known only when all are read. */
const NOWHERE = "/dev/null";

/** Writes a dump or a split set. @returns the exit code @throws VmcopyError, LibcError; Interrupted */
export async function createDump(libc: Libc, messages: Messages, request: Request): Promise<number> {
  const { dests, flatten, dryRun } = request;
  const report = await firstThatFits(libc, messages, request);
  messages.report(...reportLines(report));
  if (flatten || dests.length === 1) {
    messages.common("", `The dumpfile is saved to ${flatten ? "STDOUT" : dests[0]}.`);
  } else {
    const names = `${dests.slice(0, -1).join(", ")}, and ${dests.at(-1)}`;
    messages.common("", `The dumpfiles are saved to ${names}.`);
  }
  if (!report.incomplete || dryRun) return EXIT_OK;
  messages.common("It is incomplete.");
  return EXIT_FAILED;
}

/** Makes one dump of a split set, its pages compressed as they were. @returns the exit code @throws as createDump */
export async function reassemble(libc: Libc, messages: Messages, request: Request): Promise<number> {
  const { sources, dests } = request;
  const [dest = ""] = dests;
  const codec = checkSet(libc, sources);
  const options = { ...common(libc, request, dest), codec, level: 0 };
  const report = await copyFiltered(libc, messages, options);
  messages.report(...reportLines(report));
  messages.common("", `The dumpfile is saved to ${dest}.`);
  return report.incomplete ? EXIT_FAILED : EXIT_OK;
}

/** Counts pages by kind, zero pages among them; writes nothing. @throws VmcopyError, LibcError; Interrupted */
export async function countPages(libc: Libc, messages: Messages, request: Request): Promise<FilteredReport> {
  const options = { ...common(libc, request, NOWHERE), codec: "none" as const, level: ALL_KINDS };
  // What a running kernel says of itself cannot be mapped.
  return await copyFiltered(libc, messages, { ...options, method: "read" });
}

/** Level by level, until one fits. A stream cannot be begun anew. */
async function firstThatFits(libc: Libc, messages: Messages, request: Request): Promise<FilteredReport> {
  const { dests, dryRun, flatten } = request;
  const [first = 0, ...others] = request.levels;
  const levels = flatten ? [first] : [first, ...others];
  const dest = dryRun ? NOWHERE : (dests[0] ?? "-");
  const isSet = !dryRun && dests.length > 1;
  for (const [index, level] of levels.entries()) {
    const next = levels[index + 1];
    try {
      return await copyFiltered(libc, messages, {
        ...common(libc, request, dest),
        codec: request.codec,
        level,
        mostBytes: request.limit,
        mustFit: next !== undefined,
        ...(isSet ? { split: dests.length, members: dests } : {}),
      });
    } catch (error) {
      if (next === undefined || !(error instanceof VmcopyError) || error.code !== "E_NO_SPACE") throw error;
      // What there is makes room for the next. Without -f members that are whole are of this run too.
      for (const member of dests) {
        const left = request.force ? [incompletePath(member)] : [incompletePath(member), member];
        for (const path of left) if (libc.status(path) !== undefined) libc.unlink(path);
      }
      messages.common("", error.message, `Retry to create a dumpfile by dump_level(${next}).`);
    }
  }
  throw new Error("Cannot write a dump: there is no level to write it at");
}

function common(libc: Libc, request: Request, dest: string): Omit<FilteredOptions, "codec" | "level"> {
  const { sources, format, flatten, jobs, memory, nonMmap } = request;
  return {
    sources,
    dest,
    format,
    flatten,
    jobs: threadsFor(jobs, availableParallelism(), availableMemory()),
    split: 1,
    // The filter of a dry run is not enough to count zero pages.
    dryRun: false,
    memory: memory === undefined ? undefined : Math.min(Math.max(memory, LEAST_BUDGET), MOST_BUDGET),
    method: nonMmap ? "read" : undefined,
    direct: false,
    // Scripts that move a dump know of no second file.
    manifest: false,
    sha256: false,
    force: replaces(libc, request),
  };
}

/**
 * Threads to start of those that were asked for. Scripts ask for one a processor, whatever the crash kernel's memory:
 * one thread less is a slower dump, one too many may be none.
 *
 * @param available bytes; 0: not known
 */
export function threadsFor(wanted: number, processors: number, available: number): number {
  const room = available > 0 ? Math.floor(available / 2 / THREAD_BYTES) : processors;
  return Math.max(1, Math.min(wanted, processors, room));
}

/** An incomplete dump of an earlier run is in nobody's way: makedumpfile's has the dump's own name. */
export function replaces(libc: Libc, { force, dests }: Request): boolean {
  return force || dests.some((name) => libc.status(incompletePath(name)) !== undefined);
}

/** Whether the members are a whole set. @returns the codec of its pages @throws VmcopyError E_NOT_VMCORE where it has a gap */
function checkSet(libc: Libc, sources: readonly string[]) {
  using memory = openMemory(libc, sources);
  if (!(memory instanceof KdumpMemory)) {
    throw new VmcopyError("E_NOT_VMCORE", `Cannot reassemble ${memory.path}: it is no kdump-compressed dump`);
  }
  let next = 0;
  for (const { startPfn, stopPfn } of [...memory.members, { startPfn: memory.endPfn, stopPfn: 0 }]) {
    if (startPfn > next) {
      throw new VmcopyError(
        "E_NOT_VMCORE",
        `Cannot reassemble ${sources.join(" ")}: no member has PFNs 0x${next.toString(16)} to 0x${startPfn.toString(16)}; name all members`,
      );
    }
    next = stopPfn;
  }
  return memory.codec;
}
