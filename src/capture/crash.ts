/** The crashed machine in one page: what a person asks first, told before the dump is there. */

import { LibcError } from "../../ffi/errno.ts";
import type { Libc } from "../../ffi/libc.ts";
import { formatRecord } from "../dmesg/format.ts";
import { type Panic, readPanic } from "../dmesg/panic.ts";
import { openMemory } from "../dump/open.ts";
import { VmcopyError } from "../errors.ts";
import { isoTime } from "../units.ts";
import { AddressSpace } from "../vmcore/address-space.ts";
import { type Log, readLog } from "../vmcore/log.ts";
import type { CrashMemory } from "../vmcore/memory.ts";
import { countRuns } from "../vmcore/pfn-runs.ts";
import { decodeUtsname, readUtsnameBytes, type Utsname } from "../vmcore/utsname.ts";

/** crash.json */
export interface CrashSummary {
  readonly release: string | null;
  /** of the kernel's build, as `uname -v` printed it */
  readonly version: string | null;
  readonly machine: string | null;
  readonly hostname: string | null;
  readonly message: string | null;
  readonly panic: string | null;
  readonly oops: string | null;
  readonly task: Panic["task"];
  readonly instruction: string | null;
  readonly stack: readonly string[];
  /** that saved their registers */
  readonly cpus: number;
  /** of RAM that the dead kernel had, without the crash kernel's */
  readonly memoryBytes: number;
  /** seconds from its boot to the crash */
  readonly uptimeSeconds: number | null;
  /** ISO 8601, UTC */
  readonly crashTime: string | null;
  readonly logRecords: number;
}

export interface Crash {
  readonly summary: CrashSummary;
  /** dmesg.txt; undefined where there is no log to be found */
  readonly log: Uint8Array | undefined;
  /** one line each: what could not be read */
  readonly problems: readonly string[];
}

/**
 * Reads log and facts: a few hundred KiB of old memory.
 *
 * @param step called now and then meanwhile @throws VmcopyError where the source is no vmcore; LibcError
 */
export function readCrash(libc: Libc, source: string, step: () => void): Crash {
  // A window need not be measured for that.
  using memory = openMemory(libc, [source], { mapSize: 1 << 20 });
  const problems: string[] = [];
  let log: Log | undefined;
  let names: Utsname | undefined;
  try {
    using space = AddressSpace.of(libc, memory);
    const bytes = readUtsnameBytes(space);
    names = bytes && decodeUtsname(bytes);
    log = readLog(space, step);
    if (log === undefined) {
      problems.push("the log cannot be found: VMCOREINFO has neither SYMBOL(prb) nor SYMBOL(log_buf)");
    }
  } catch (error) {
    if (!(error instanceof VmcopyError || error instanceof LibcError)) throw error;
    problems.push(error.message);
  }
  problems.push(...(log?.problems ?? []));
  const records = log?.records ?? [];
  return {
    summary: { ...summaryOf(memory, names), ...deathOf(readPanic(records)), logRecords: records.length },
    // Nothing of a log is worth no file.
    log: records.length === 0 ? undefined : encodeLog(records),
    problems,
  };
}

function summaryOf(memory: CrashMemory, names: Utsname | undefined) {
  const { info } = memory;
  const machine = memory.architecture === "other" ? null : memory.architecture;
  return {
    release: info.release ?? names?.release ?? null,
    version: names?.version ?? null,
    machine: names?.machine ?? machine,
    hostname: names?.nodename ?? null,
    cpus: memory.cpus,
    memoryBytes: countRuns(memory.ram) * memory.pageSize,
    crashTime: isoTime(info.crashTime) ?? null,
  };
}

function deathOf({ seconds, ...death }: Panic) {
  return { ...death, uptimeSeconds: seconds };
}

function encodeLog(records: Log["records"]): Uint8Array {
  return new TextEncoder().encode(records.map((record) => formatRecord(record)).join(""));
}
