/** Runs the programs of the build machine that make and compress images. */
import { spawnSync } from "node:child_process";

/** Debian's names of the packages that the programs come in. */
const PACKAGES: Record<string, string> = {
  mksquashfs: "squashfs-tools",
  xz: "xz-utils",
};

/**
 * A program's standard output.
 *
 * @param action what is being done, for errors: "Cannot <action>: ..."
 * @param input its standard input
 * @throws Error where the program is missing or fails, with its own words
 */
export function filter(action: string, command: readonly string[], input?: Uint8Array): Uint8Array {
  const [program = "", ...args] = command;
  const environment = { ...process.env, LC_ALL: "C" };
  const result = spawnSync(program, args, { input: input ?? "", env: environment, maxBuffer: 2 ** 31 - 1 });
  const { status, error, stdout, stderr } = result;
  if (status === 0) return stdout;
  if (error !== undefined && (error as NodeJS.ErrnoException).code === "ENOENT") {
    throw new Error(
      `Cannot ${action}: the program is missing; apt-get install ${PACKAGES[program] ?? program} (${program})`,
    );
  }
  const reason = error?.message ?? (stderr.toString().trim().split("\n").at(-1) || "no message");
  throw new Error(`Cannot ${action}: ${reason} (${program}, exit code ${status})`);
}
