/**
 * The other programs that vmcopy can be, by the name that it is called by: a link's, or its first argument. Their
 * command lines, outputs and exit codes are those of the program named; the work is done by vmcopy's engines.
 */
import { basename } from "node:path";
import process from "node:process";
import { LibcError } from "../../ffi/errno.ts";
import type { Libc } from "../../ffi/libc.ts";
import { VmcopyError } from "../errors.ts";

/** A whole program. @param args without its name @returns the exit code; what fails is told by then */
export type Personality = (libc: Libc, args: readonly string[]) => Promise<number>;

type Load = () => Promise<Personality>;

/** Loaded when it is asked for. */
const PERSONALITIES: Readonly<Record<string, Load>> = {
  makedumpfile: async () => (await import("./makedumpfile/makedumpfile.ts")).makedumpfile,
  init: async () => (await import("./init.ts")).init,
  "vmcore-dmesg": async () => (await import("./vmcore-dmesg.ts")).vmcoreDmesg,
};

/**
 * Which one a command line asks for, and its arguments.
 *
 * @param name argv[0]
 * @param isOwn whether a first argument is one of vmcopy's own
 * @returns undefined where the command line is vmcopy's own
 */
export function personalityOf(
  name: string,
  args: readonly string[],
  isOwn: (argument: string) => boolean,
): { load: Load; args: readonly string[] } | undefined {
  const called = PERSONALITIES[basename(name)];
  if (called !== undefined) return { load: called, args };
  const [first = "", ...rest] = args;
  const named = Object.hasOwn(PERSONALITIES, first) ? PERSONALITIES[first] : undefined;
  if (named !== undefined) return { load: named, args: rest };
  // Whatever it is called, a first process that is told nothing is the kernel's init.
  return process.pid === 1 && !isOwn(first) ? { load: PERSONALITIES.init as Load, args } : undefined;
}

/** Why something failed, in one line. @throws the error itself where it is none that a user can do something about */
export function reasonOf(error: unknown): string {
  if (error instanceof VmcopyError || error instanceof LibcError) return error.message;
  throw error;
}
