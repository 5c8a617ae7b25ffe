/**
 * makedumpfile's options, and what a command line of them asks for. What its manual page allows is allowed, what it
 * refuses is refused; numbers are read as its atoi(3) reads them.
 */
import type { CodecName } from "../../codec/packed.ts";
import { type GivenOption, getopt, type OptionSpec } from "../getopt.ts";
import { DEBUG, DEFAULT_LEVEL, MOST_LEVEL, REPORT } from "./messages.ts";

const SPECS = {
  zlib: { short: "c" },
  lzo: { short: "l" },
  snappy: { short: "p" },
  zstd: { short: "z" },
  elf: { short: "E" },
  level: { short: "d", takesArgument: true },
  flatten: { short: "F" },
  rearrange: { short: "R" },
  force: { short: "f" },
  debug: { short: "D" },
  help: { short: "h", long: "help" },
  version: { short: "v", long: "version" },
  limit: { short: "L", takesArgument: true },
  blockOrder: { short: "b", takesArgument: true },
  vmlinux: { short: "x", takesArgument: true },
  vmcoreinfo: { short: "i", takesArgument: true },
  vmemmap: { short: "e" },
  split: { long: "split" },
  reassemble: { long: "reassemble" },
  threads: { long: "num-threads", takesArgument: true },
  cyclicBuffer: { long: "cyclic-buffer", takesArgument: true },
  splitBlock: { long: "splitblock-size", takesArgument: true },
  workDir: { long: "work-dir", takesArgument: true },
  nonMmap: { long: "non-mmap" },
  messageLevel: { long: "message-level", takesArgument: true },
  dumpDmesg: { long: "dump-dmesg" },
  partialDmesg: { long: "partial-dmesg" },
  memUsage: { long: "mem-usage" },
  dryRun: { long: "dry-run" },
  showStats: { long: "show-stats" },
  checkParams: { long: "check-params" },
  generate: { short: "g", takesArgument: true },
  xen: { short: "X" },
  xenSyms: { long: "xen-syms", takesArgument: true },
  xenVmcoreinfo: { long: "xen-vmcoreinfo", takesArgument: true },
  xenPhysStart: { long: "xen_phys_start", takesArgument: true },
  config: { long: "config", takesArgument: true },
  eppic: { long: "eppic", takesArgument: true },
  extension: { long: "extension", takesArgument: true },
  diskset: { long: "diskset", takesArgument: true },
  vtop: { long: "vtop", takesArgument: true },
} as const satisfies Record<string, OptionSpec>;

type Name = keyof typeof SPECS;

/** What cannot be done here, and why. */
const REFUSED: Partial<Record<Name, string>> = {
  generate: "VMCOREINFO is read from the vmcore, none is made from a vmlinux",
  xen: "dumps of Xen are not filtered by domain",
  xenSyms: "dumps of Xen are not read",
  xenVmcoreinfo: "dumps of Xen are not read",
  xenPhysStart: "dumps of Xen are not read",
  config: "kernel data is not erased; there is no reader of debug information",
  eppic: "there is no interpreter of eppic macros",
  extension: "there is no loader of extensions",
  diskset: "sadump's disk sets are not read",
  vtop: "addresses are not translated one by one; crash does it (vtop)",
};

const CODECS = ["zlib", "lzo", "snappy", "zstd"] as const satisfies (Name & CodecName)[];
const MOST_DUMP_LEVEL = 31;

export type Mode = "create" | "rearrange" | "reassemble" | "dmesg" | "usage" | "help" | "version";

/** What a command line asks for. */
export interface Request {
  readonly mode: Mode;
  readonly checkOnly: boolean;
  /** bits of what is to be said: messages.ts */
  readonly messages: number;
  readonly flatten: boolean;
  readonly format: "elf" | "kdump";
  readonly codec: CodecName;
  /** the one to begin with, then those to go on with where the dump does not fit */
  readonly levels: readonly number[];
  readonly force: boolean;
  readonly dryRun: boolean;
  readonly nonMmap: boolean;
  readonly partialDmesg: boolean;
  readonly jobs: number;
  /** bytes that the dump may have at the most */
  readonly limit: number | undefined;
  /** bytes for the filter */
  readonly memory: number | undefined;
  readonly vmlinux: string | undefined;
  readonly vmcoreinfo: string | undefined;
  readonly sources: readonly string[];
  /** empty: standard output */
  readonly dests: readonly string[];
}

/** A command line that cannot be: how it is told. */
export interface Refusal {
  readonly messages: number;
  readonly flatten: boolean;
  readonly checkOnly: boolean;
  /** one line on standard error */
  readonly error?: string;
  /** lines among the common messages */
  readonly lines: readonly string[];
}

const INVALID = ["Commandline parameter is invalid.", "Try `makedumpfile --help' for more information."];

/** Reads a command line. @param args without the program's name */
export function readRequest(args: readonly string[]): Request | Refusal {
  const { options, operands, problem } = getopt(args, SPECS);
  const given = new Map<Name, string | undefined>();
  for (const { name, argument } of options) given.set(name, argument);
  const has = (name: Name) => given.has(name);
  const level = messageLevel(given);
  const tone = { messages: level, flatten: has("flatten"), checkOnly: has("checkParams") };
  const refuse = (lines: readonly string[], error?: string): Refusal => ({
    ...tone,
    messages: level > MOST_LEVEL || level < 0 ? DEFAULT_LEVEL : level,
    lines,
    ...(error === undefined ? {} : { error }),
  });
  const wrong = wrongValue(options, level);
  if (wrong !== undefined) return refuse([wrong]);
  if (problem !== undefined) return refuse(INVALID, `makedumpfile: ${problem}`);
  const refused = options.find(({ name }) => REFUSED[name] !== undefined);
  if (refused !== undefined && !has("help"))
    return refuse([], `makedumpfile: ${spelled(refused.name)} is not supported: ${REFUSED[refused.name]}`);

  const mode = modeOf(has);
  const contradiction = contradictionIn(mode, has, operands.length);
  if (contradiction !== undefined) return refuse([...contradiction, ...INVALID]);
  const toStream = has("flatten");
  const several = mode === "reassemble";
  const sources = mode === "rearrange" ? [] : several ? operands.slice(0, -1) : operands.slice(0, 1);
  const bytes = atoi(given.get("cyclicBuffer") ?? "") * 1024;
  return {
    ...tone,
    mode,
    format: has("elf") ? "elf" : "kdump",
    codec: CODECS.find(has) ?? "none",
    levels: (given.get("level") ?? "0").split(",").map(atoi),
    force: has("force"),
    dryRun: has("dryRun"),
    nonMmap: has("nonMmap"),
    partialDmesg: has("partialDmesg"),
    jobs: Math.max(1, atoi(given.get("threads") ?? "")),
    limit: has("limit") ? atoi(given.get("limit") ?? "") : undefined,
    memory: bytes > 0 ? bytes : undefined,
    vmlinux: given.get("vmlinux"),
    vmcoreinfo: given.get("vmcoreinfo"),
    sources,
    dests: toStream ? [] : operands.slice(sources.length),
  };
}

/** atoi(3): the number that a text begins with; 0 where it begins with none. */
function atoi(text: string): number {
  return Number(/^\s*[+-]?\d+/.exec(text)?.[0] ?? 0);
}

/** As it was asked for, whether it can be or not. */
function messageLevel(given: ReadonlyMap<Name, string | undefined>): number {
  const level = given.has("messageLevel") ? atoi(given.get("messageLevel") ?? "") : DEFAULT_LEVEL;
  if (level > MOST_LEVEL || level < 0) return level;
  // What is wrong with the command line is all that it is asked for.
  if (given.has("checkParams")) return DEFAULT_LEVEL;
  return level | (given.has("debug") ? DEBUG : 0) | (given.has("showStats") ? REPORT : 0);
}

function wrongValue(options: readonly GivenOption<Name>[], level: number): string | undefined {
  if (level > MOST_LEVEL || level < 0) return `Message_level(${level}) is invalid.`;
  for (const { name, argument = "" } of options) {
    if (name === "limit" && atoi(argument) <= 0) return `Limit size(${argument}) is invalid.`;
    if (name !== "level") continue;
    const bad = argument
      .split(",")
      .map(atoi)
      .find((number) => number < 0 || number > MOST_DUMP_LEVEL);
    if (bad !== undefined) return `Dump_level(${bad}) is invalid.`;
  }
  return undefined;
}

function modeOf(has: (name: Name) => boolean): Mode {
  if (has("help")) return "help";
  if (has("version")) return "version";
  if (has("rearrange")) return "rearrange";
  if (has("reassemble")) return "reassemble";
  if (has("dumpDmesg")) return "dmesg";
  return has("memUsage") ? "usage" : "create";
}

/** @returns undefined where there is none; lines that say which, where makedumpfile has any */
function contradictionIn(
  mode: Mode,
  has: (name: Name) => boolean,
  operands: number,
): readonly string[] | undefined {
  const packs = CODECS.some(has);
  const reads = has("vmlinux") || has("vmcoreinfo");
  const flatten = has("flatten");
  if (mode === "help" || mode === "version") return undefined;
  if (has("dryRun") && mode === "reassemble") return ["--dry-run cannot be used with --reassemble."];
  if (has("dryRun") && mode === "dmesg") return ["--dry-run cannot be used with --dump-dmesg."];
  if (has("partialDmesg") && mode !== "dmesg") return [];
  if (has("vmlinux") && has("vmcoreinfo")) return [];
  if (mode === "rearrange" || mode === "reassemble") {
    const made = packs || reads || flatten || has("elf") || has("level") || has("split");
    return made || (mode === "rearrange" ? operands !== 1 : operands < 2) ? [] : undefined;
  }
  if (mode === "usage") return operands === 1 || (operands === 2 && !flatten) ? undefined : [];
  if (mode === "dmesg") return operands === (flatten ? 1 : 2) ? undefined : [];
  if (has("elf") && packs) return [];
  if (has("elf") && has("split")) return ["Options for splitting dumpfile cannot be used with Elf format."];
  if (has("elf") && has("threads")) return ["--num-threads cannot used with ELF format."];
  if (has("vmemmap") && !has("workDir")) return ["-e requires --work-dir"];
  if (has("split")) return flatten || operands < 3 ? [] : undefined;
  return operands === (flatten ? 1 : 2) ? undefined : [];
}

/** An option as a user types it. */
function spelled(name: Name): string {
  const { short, long }: OptionSpec = SPECS[name];
  return long === undefined ? `-${short}` : `--${long}`;
}
