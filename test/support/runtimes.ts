/** Runs the program from its sources, under Bun or Deno, within a time. */
import { join } from "node:path";
import { BUN, DENO, ROOT } from "./files.ts";

export type Runtime = "bun" | "deno";

export interface Result {
  /** null where it did not end in time */
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const CLI = join(ROOT, "src/cli.ts");
const COMMANDS: Record<Runtime, readonly string[]> = {
  bun: [BUN, CLI],
  deno: [DENO, "run", "-A", "--quiet", CLI],
};

/** @param seconds after which it is killed */
export async function run(runtime: Runtime, args: readonly string[], seconds = 20): Promise<Result> {
  const child = Bun.spawn([...COMMANDS[runtime], ...args], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: seconds * 1000,
    killSignal: "SIGKILL",
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  await child.exited;
  return { exitCode: child.exitCode, stdout, stderr };
}
