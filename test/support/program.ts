/** Runs the program as a user does: a command line in, exit code and both outputs back. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BUN, ROOT } from "./files.ts";

export interface Ended {
  /** exit code; 128 + signal where a signal ended it */
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const CLI = `${ROOT}/src/cli.ts`;

/** The words of a command line that runs the program. */
export function commandLine(...args: string[]): string[] {
  return [BUN, CLI, ...args];
}

/** The same for a shell; the arguments are not to hold a single quotation mark. */
export function shellLine(...args: string[]): string {
  return commandLine(...args)
    .map((word) => `'${word}'`)
    .join(" ");
}

export async function vmcopy(...args: string[]): Promise<Ended> {
  return await ended(Bun.spawn(commandLine(...args), { stdin: "ignore", stdout: "pipe", stderr: "pipe" }));
}

/** Runs the program as it is when called by another name, as through a link. */
export async function called(name: string, ...args: string[]): Promise<Ended> {
  const options = { argv0: name, stdin: "ignore", stdout: "pipe", stderr: "pipe" } as const;
  return await ended(Bun.spawn(commandLine(...args), options));
}

/** Makes a program of that name in a folder, for scripts: vmcopy as it is when called by it. @returns its path */
export function programNamed(folder: string, name: string): string {
  mkdirSync(folder, { recursive: true });
  const line = commandLine().map((word) => `'${word}'`);
  writeFileSync(join(folder, name), `#!/bin/bash\nexec -a ${name} ${line.join(" ")} "$@"\n`, { mode: 0o755 });
  return join(folder, name);
}

/** Runs a shell script. */
export async function shell(script: string): Promise<Ended> {
  return await ended(Bun.spawn(["bash", "-c", script], { stdin: "ignore", stdout: "pipe", stderr: "pipe" }));
}

/** Whether a shell script succeeds here: for what a machine may not allow. */
export function possible(script: string): boolean {
  return Bun.spawnSync(["bash", "-c", script], { stdout: "ignore", stderr: "ignore" }).exitCode === 0;
}

export async function ended(child: Bun.Subprocess<"ignore", "pipe", "pipe">): Promise<Ended> {
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code: child.exitCode ?? 128 + signalNumber(child.signalCode), out, err };
}

function signalNumber(name: string | number | null): number {
  if (typeof name === "number") return name;
  return { SIGKILL: 9, SIGINT: 2, SIGTERM: 15, SIGBUS: 7, SIGSEGV: 11 }[name ?? ""] ?? 0;
}

/** Waits until something is so. @throws Error after `seconds` */
export async function until(what: string, is: () => boolean, seconds = 20): Promise<void> {
  const end = performance.now() + seconds * 1000;
  while (!is()) {
    if (performance.now() > end) throw new Error(`Cannot wait any longer: ${what}`);
    await Bun.sleep(1);
  }
}
