/** `vmcopy dmesg`: the log of a crashed kernel, from a vmcore or any dump of one. */
import type { Libc } from "../../ffi/libc.ts";
import { openMemory } from "../dump/open.ts";
import { PartitionReader } from "../dump/partition-reader.ts";
import { VmcopyError } from "../errors.ts";
import { AddressSpace } from "../vmcore/address-space.ts";
import { clearedBefore, type LogRecord, readLog } from "../vmcore/log.ts";
import { openForReading } from "../vmcore/vmcore.ts";
import type { Method } from "../vmcore/window.ts";
import { parseLogText } from "./text.ts";

export interface DmesgOptions {
  readonly source: string;
  readonly method?: Method | undefined;
  /** leave out what came before the log was last cleared (dmesg --clear) */
  readonly sinceClear?: boolean | undefined;
}

export interface DmesgReport {
  readonly source: string;
  readonly release: string | null;
  readonly records: readonly LogRecord[];
  readonly problems: readonly string[];
}

const NO_CLEAR = "where the log was cleared is not told (clear_seq): all of it is given";

/** @throws VmcopyError E_UNSUPPORTED where the log cannot be looked for; LibcError */
export function readDmesg(libc: Libc, { source, method, sinceClear }: DmesgOptions): DmesgReport {
  const saved = source === "/proc/vmcore" ? undefined : savedLog(libc, source);
  if (saved !== undefined) return saved;
  // A few hundred KiB are read: a window need not be measured for that.
  using memory = openMemory(libc, [source], { method, mapSize: 1 << 20 });
  using space = AddressSpace.of(libc, memory);
  const log = readLog(space);
  if (log === undefined) {
    throw new VmcopyError(
      "E_UNSUPPORTED",
      `Cannot find the log in ${source}: VMCOREINFO has neither SYMBOL(prb) nor SYMBOL(log_buf)`,
    );
  }
  const release = memory.info.release ?? null;
  if (sinceClear !== true) return { source, release, records: log.records, problems: log.problems };
  const first = clearedBefore(space);
  const problems = first === undefined ? [...log.problems, NO_CLEAR] : log.problems;
  const records = log.records.filter(({ seq }) => seq >= Number(first ?? 0n));
  return { source, release, records, problems };
}

/** The log that lies on a raw partition whose capture has no dump. @returns undefined where there is a dump, or no log */
function savedLog(libc: Libc, source: string): DmesgReport | undefined {
  if (libc.status(source) === undefined) return undefined;
  using file = openForReading(libc, source);
  const partition = PartitionReader.of(file);
  const log = partition?.member("dmesg.txt");
  if (partition === undefined || log === undefined || partition.dump() !== undefined) return undefined;
  const text = new TextDecoder().decode(partition.bytes(log));
  return { source, release: null, records: parseLogText(text), problems: partition.problems() };
}
