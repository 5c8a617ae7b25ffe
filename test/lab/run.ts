// Runs a program of the host to its end: output as text, failure as an error that says what was being done.

/** Debian keeps what administrators use (mke2fs, kexec) out of other users' PATH. */
const searchPath = `${process.env.PATH ?? ""}:/usr/local/sbin:/usr/sbin:/sbin`;

/** Where a program is, or null. */
export function findProgram(name: string): string | null {
  return Bun.which(name, { PATH: searchPath });
}

/**
 * Runs `command` and gives its standard output.
 * @throws Error `Cannot <action>: <first words of standard error> (<program>, exit code N)`
 */
export async function run(
  action: string,
  command: string[],
  options: { cwd?: string } = {},
): Promise<string> {
  const [name = "", ...rest] = command;
  const program = findProgram(name);
  if (!program) throw new Error(`Cannot ${action}: the program is missing (${name})`);
  const child = Bun.spawn([program, ...rest], {
    ...options,
    env: { ...process.env, LC_ALL: "C" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [output, errors] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (child.exitCode !== 0) {
    const reason = (errors.trim() || output.trim()).slice(-500) || "no message";
    throw new Error(`Cannot ${action}: ${reason} (${name}, exit code ${child.exitCode})`);
  }
  return output;
}
