/** `vmcopy bench`: the 2013 experiment, rerun, and honest ones beside it. */
import { readFileSync } from "node:fs";
import { O_WRONLY } from "../../ffi/constants.ts";
import { LibcError } from "../../ffi/errno.ts";
import { File } from "../../ffi/file.ts";
import type { Libc } from "../../ffi/libc.ts";
import { Mapping } from "../../ffi/mapping.ts";
import type { Job } from "../job.ts";
import { Vmcore } from "../vmcore/vmcore.ts";
import { pageTableGrowth } from "./page-tables.ts";
import { BUFFER, pass, type Workbench } from "./passes.ts";
import { type PlannedRow, plannedRanges, plannedRows } from "./plan.ts";
import type { BenchMode, BenchReport } from "./rows.ts";
import { pageTouch } from "./touch.ts";

export interface BenchOptions {
  readonly source: string;
  readonly modes: readonly BenchMode[];
  /** bytes, ascending */
  readonly mapSizes: readonly number[];
  /** bytes of a read, ascending; at most {@link BUFFER} */
  readonly readSizes: readonly number[];
  /** how much of the source's memory; Infinity: all */
  readonly bytes: number;
  readonly repeat: number;
}

/** What was measured, and what could not be. */
export interface BenchResult {
  readonly report: BenchReport;
  readonly problems: readonly string[];
}

const GIB = 2 ** 30;
const PAGE_TABLE_ENTRY = 8;

/** Measures. Rows take turns within each repeat, so that a machine's moods fall on all of them. */
export async function runBench(libc: Libc, job: Job, options: BenchOptions): Promise<BenchResult> {
  using vmcore = Vmcore.open(libc, options.source);
  const ranges = plannedRanges(vmcore.ranges, options.bytes);
  const bytes = ranges.reduce((sum, { length }) => sum + length, 0);
  const planned = plannedRows(options.modes, options.mapSizes, options.readSizes);
  const rows = planned.map((row) => ({ ...row, times: [] as number[] }));
  const problems = new Map<string, string>();
  using nowhere = File.open(libc, "/dev/null", O_WRONLY);
  using buffer = Mapping.buffer(libc, BUFFER);
  // The buffer's own pages are there before the first row is timed.
  for (let at = 0; at < BUFFER; at += libc.pageSize) buffer.bytes(at, 1)[0] = 1;
  const touch = pageTouch(libc.backend, libc.pageSize);
  const { file: source, physical } = vmcore;
  const bench: Workbench = { source, nowhere, buffer: buffer.address, touch, physical };
  const warmUp = vmcore.backing === "procfs" ? 0 : 1;
  job.start("bench", bytes * (rows.length * options.repeat + warmUp));
  try {
    let done = 0;
    if (warmUp === 1) {
      // A file is measured from the page cache, whichever row comes first.
      await pass(job, bench, ranges, "read", BUFFER);
      done += bytes;
    }
    for (let round = 0; round < options.repeat; round++) {
      for (const row of rows) {
        if (!problems.has(nameOf(row))) {
          const started = performance.now();
          try {
            await pass(job, bench, ranges, row.mode, row.size);
            row.times.push((performance.now() - started) / 1000);
          } catch (error) {
            if (!(error instanceof LibcError)) throw error;
            problems.set(nameOf(row), `${nameOf(row)} could not be measured: ${error.message}`);
          }
        }
        done += bytes;
        job.update(done);
        await job.breathe();
      }
    }
  } finally {
    job.end();
  }
  return {
    report: {
      kernel: readLine("/proc/sys/kernel/osrelease"),
      cpu: cpuModel(),
      source: vmcore.path,
      lazy: vmcore.backing !== "procfs",
      bytes,
      repeat: options.repeat,
      rows: rows
        .filter((row) => !problems.has(nameOf(row)))
        .map(({ mode, size, times }) => {
          const seconds = median(times);
          return {
            mode,
            size,
            seconds,
            ...(times.length > 1 ? { secondsMin: Math.min(...times), secondsMax: Math.max(...times) } : {}),
            pageTableBytes: mode === "read" ? 0 : Math.ceil(size / libc.pageSize) * PAGE_TABLE_ENTRY,
            ...pageTablesMeasured(vmcore, mode, size),
            gibPerSecond: bytes / GIB / seconds,
            nsPerPage: (seconds * 1e9) / (bytes / libc.pageSize),
          };
        }),
    },
    problems: [...problems.values()],
  };
}

/** What one window really takes; nothing where that cannot be seen. */
function pageTablesMeasured(vmcore: Vmcore, mode: BenchMode, size: number): { pageTableGrowth?: number } {
  const growth = mode === "read" ? undefined : pageTableGrowth(vmcore, size, mode !== "map");
  return growth === undefined ? {} : { pageTableGrowth: growth };
}

function nameOf({ mode, size }: PlannedRow): string {
  return `${mode} at ${size} bytes`;
}

/** The middle value; the mean of the two middle ones where their number is even. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  const lower = sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN;
  return (lower + upper) / 2;
}

function cpuModel(): string {
  // x86 says "model name", arm64 only numbers.
  const text = readLine("/proc/cpuinfo", /^(?:model name|CPU part)\s*:\s*(.+)$/m);
  return text === "" ? "unknown" : text;
}

function readLine(path: string, pattern = /^(.*)$/m): string {
  try {
    return pattern.exec(readFileSync(path, "utf8"))?.[1]?.trim() ?? "";
  } catch {
    return "";
  }
}
