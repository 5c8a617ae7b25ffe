/** What `vmcopy copy`'s options ask for: a raw copy, or a dump of pages in one of the formats that have pages. */
import { availableParallelism } from "node:os";
import { CODEC_FLAGS, type CodecName } from "../codec/packed.ts";
import { VmcopyError } from "../errors.ts";
import { LEAST_BUDGET, MOST_BUDGET } from "../filter/filter.ts";
import { formatSize } from "../units.ts";
import { numberOption, sizeOption } from "./command.ts";

export type PageFormat = "elf" | "kdump";

/** What is to be done. */
export interface CopyPlan {
  /** undefined: raw, byte for byte; or a flattened source rearranged */
  readonly pages:
    | {
        readonly format: PageFormat;
        readonly level: number;
        readonly codec: CodecName;
        readonly flatten: boolean;
        readonly jobs: number;
        /** members of a split set; 1: one dump */
        readonly split: number;
        readonly dryRun: boolean;
        /** bytes for the filter; undefined: by free memory */
        readonly memory: number | undefined;
      }
    | undefined;
}

export const FORMATS = ["raw", "elf", "kdump"] as const;
export const CODECS = Object.keys(CODEC_FLAGS) as CodecName[];
const MOST_JOBS = 64;
const MOST_MEMBERS = 64;
/** What `-d` or `-c` alone stand for. */
const DEFAULT_LEVEL = 31;
const DEFAULT_CODEC = "zstd";

/** @throws VmcopyError E_USAGE where options contradict each other */
export function copyPlan(options: Record<string, unknown>): CopyPlan {
  const level = options.dumpLevel === undefined ? undefined : levelOption(options.dumpLevel);
  const codec = options.compress as CodecName | undefined;
  const wantsPages = [level, codec, options.flatten, options.split, options.dryRun, options.reassemble].some(
    (option) => option !== undefined && option !== false,
  );
  const format = (options.format as (typeof FORMATS)[number] | undefined) ?? (wantsPages ? "kdump" : "raw");
  const refuse = (what: string, why: string): never => {
    throw new VmcopyError("E_USAGE", `${what} with -f ${format}: ${why}`);
  };
  if (format === "raw") {
    if (level !== undefined && level !== 0)
      refuse(`-d ${level}`, "a raw dump has all pages; use -f kdump or elf");
    if (codec !== undefined && codec !== "none") refuse(`-c ${codec}`, "only -f kdump has compressed pages");
    for (const option of ["flatten", "split", "dryRun", "reassemble"] as const) {
      if (options[option] === undefined || options[option] === false) continue;
      refuse(OPTION_NAMES[option], "it is for dumps of pages (-f kdump, or -d or -c)");
    }
    return { pages: undefined };
  }
  if (format === "elf" && codec !== undefined && codec !== "none") {
    refuse(`-c ${codec}`, "ELF has no compressed pages; use -f kdump");
  }
  if (format === "elf" && options.split !== undefined) refuse("--split", "only -f kdump has split sets");
  if (options.resume === true)
    refuse("--resume", "only a raw copy can be gone on with; start anew with --force");
  if (options.sparse === false) refuse("--no-sparse", "it leaves no holes anyway");
  return {
    pages: {
      format,
      level: level ?? (options.reassemble === true ? 0 : DEFAULT_LEVEL),
      codec: format === "elf" ? "none" : (codec ?? DEFAULT_CODEC),
      flatten: options.flatten === true,
      jobs:
        options.jobs === undefined
          ? Math.min(availableParallelism(), MOST_JOBS)
          : numberOption(options.jobs, "--jobs", 1, MOST_JOBS),
      split: options.split === undefined ? 1 : numberOption(options.split, "--split", 2, MOST_MEMBERS),
      dryRun: options.dryRun === true,
      memory: options.memory === undefined ? undefined : budgetOption(options.memory),
    },
  };
}

const OPTION_NAMES = {
  flatten: "--flatten",
  split: "--split",
  dryRun: "--dry-run",
  reassemble: "--reassemble",
} as const;

function budgetOption(value: unknown): number {
  const size = sizeOption(value, "--memory");
  if (size >= LEAST_BUDGET && size <= MOST_BUDGET) return size;
  const bounds = `from ${formatSize(LEAST_BUDGET)} to ${formatSize(MOST_BUDGET)}`;
  throw new VmcopyError("E_USAGE", `--memory: a size ${bounds} is expected (${String(value)})`);
}

function levelOption(value: unknown): number {
  return numberOption(value, "--dump-level", 0, 31);
}
