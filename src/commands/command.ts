/** What a command is to the program: options in, an engine called, a report out. */
import type { Command } from "commander";
import type { Libc } from "../../ffi/libc.ts";
import { VmcopyError } from "../errors.ts";
import type { Terminal } from "../ui/terminal.ts";
import { parseSize, SizeError } from "../units.ts";

export const DEFAULT_SOURCE = "/proc/vmcore";

export interface Context {
  readonly libc: Libc;
  readonly terminal: Terminal;
}

/** What a command found: the same as JSON and as text. */
export interface Outcome {
  readonly exitCode: number;
  /** the one object that --json prints */
  readonly json: object;
  /** whole lines */
  readonly text: string;
  /** standard output carries the dump: the text goes to standard error */
  readonly outputTaken?: boolean;
  /** what is left to do once all is printed: the machine may end in it @returns the exit code */
  readonly afterwards?: () => number;
}

export interface Verb {
  /** Adds the verb's arguments, options and help. */
  describe(command: Command): void;
  /** @param options as commander parsed them */
  run(context: Context, paths: string[], options: Record<string, unknown>): Promise<Outcome>;
}

/** Takes a size from an option. @throws VmcopyError E_USAGE naming the option */
export function sizeOption(value: unknown, name: string): number {
  try {
    return parseSize(String(value));
  } catch (error) {
    if (error instanceof SizeError) throw new VmcopyError("E_USAGE", `${name}: ${error.message}`);
    throw error;
  }
}

/** Takes a whole number from an option. @throws VmcopyError E_USAGE naming the option and the bounds */
export function numberOption(value: unknown, name: string, least: number, most: number): number {
  const number = Number(value);
  if (!/^\d+$/.test(String(value)) || number < least || number > most) {
    throw new VmcopyError(
      "E_USAGE",
      `${name}: a whole number from ${least} to ${most} is expected (${String(value)})`,
    );
  }
  return number;
}

/** Splits `[source] <last>`. @throws VmcopyError E_USAGE where there are none or too many */
export function sourceAndLast(paths: string[], usage: string): { source: string; last: string } {
  const [first, second, ...rest] = paths;
  if (first === undefined) throw new VmcopyError("E_USAGE", `a path is missing; usage: ${usage}`);
  if (rest.length > 0) throw new VmcopyError("E_USAGE", `too many paths (${rest[0]}); usage: ${usage}`);
  return second === undefined ? { source: DEFAULT_SOURCE, last: first } : { source: first, last: second };
}

/** The window size given by --map-size: undefined for auto. @throws VmcopyError E_USAGE */
export function mapSizeOption(value: unknown, pageSize: number): number | undefined {
  if (value === undefined || value === "auto") return undefined;
  const size = sizeOption(value, "--map-size");
  if (size === 0 || size % pageSize !== 0) {
    throw new VmcopyError(
      "E_USAGE",
      `--map-size: a multiple of the page size ${pageSize} is expected (${String(value)})`,
    );
  }
  return size;
}
