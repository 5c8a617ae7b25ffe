// Runs one virtual machine from power-on to power-off: stamps each console line, notes the milestones of a crash,
// ends it when it takes too long, and never leaves a qemu behind.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findProgram } from "./run.ts";

/** The steps of a crash, in order; the init scripts print them as `LAB: <step>`, the kernel prints the panic. */
export const milestones = ["init1", "loaded", "panic", "init2", "done"] as const;
export type Milestone = (typeof milestones)[number];

/** A disk of the guest; the first is /dev/vda. */
export interface Disk {
  path: string;
  readOnly?: boolean;
  /** Options of qemu's -drive for one that is not plainly there (throttled, failing, logged); its path is not used then. */
  drive?: string;
}

/** A machine to run. */
export interface Machine {
  memMiB: number;
  cpus: number;
  /** Paths of the kernel image and its initramfs. */
  kernel: string;
  initrd: string;
  commandLine: string;
  disks: Disk[];
  /** More arguments of qemu: devices, a monitor. */
  devices?: string[];
  /** The console line that stands for the last step, where no init script of the lab prints it. */
  doneLine?: RegExp;
}

/** What happened in a run. */
export interface GuestRun {
  /** Console lines, each with the seconds since qemu started in front. */
  console: string[];
  /** Seconds since qemu started at which each step was seen. */
  milestones: Partial<Record<Milestone, number>>;
  /** Why the run did not reach `done`, or null. */
  failure: string | null;
}

/** An image as qemu's -drive has it: what is written is in the host's page cache, and outlives qemu. */
export function plainDrive(path: string): string {
  return `file=${path.replaceAll(",", ",,")},format=raw,cache=unsafe`;
}

/** The command that runs a machine; `serial` is qemu's name for where the console goes. */
export function qemuCommand(machine: Machine, serial: "stdio" | "mon:stdio"): string[] {
  const qemu = findProgram("qemu-system-x86_64");
  const setpriv = findProgram("setpriv");
  if (!qemu || !setpriv) throw new Error("Cannot start a guest: qemu-system-x86_64 or setpriv is missing");
  const disks = machine.disks.flatMap(({ path, readOnly, drive }) => [
    "-drive",
    `${drive ?? plainDrive(path)},if=virtio,readonly=${readOnly ? "on" : "off"}`,
  ]);
  return [
    // The kernel kills qemu when this process ends, however it ends.
    ...[setpriv, "--pdeathsig", "KILL", "--", qemu],
    // Without la57 (5-level page tables) the guest has the address layout of most machines there are.
    ...["-machine", "pc,accel=tcg", "-cpu", "max,la57=off", "-smp", String(machine.cpus)],
    ...["-m", String(machine.memMiB), "-nodefaults", "-display", "none", "-serial", serial, "-no-reboot"],
    ...["-kernel", machine.kernel, "-initrd", machine.initrd, "-append", machine.commandLine, ...disks],
    ...(machine.devices ?? []),
  ];
}

/**
 * Runs a machine to its end, or kills it after `timeoutSeconds`. A failure is reported, not thrown.
 *
 * @param onStep called as each step is seen
 * @param onLine called with each line of the console
 */
export async function runGuest(
  machine: Machine,
  timeoutSeconds: number,
  onStep?: (step: Milestone) => Promise<void>,
  onLine?: (line: string) => void,
): Promise<GuestRun> {
  const started = performance.now();
  const result: GuestRun = { console: [], milestones: {}, failure: null };
  const child = Bun.spawn(qemuCommand(machine, "stdio"), {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const kill = () => child.kill("SIGKILL");
  const interrupted = (signal: NodeJS.Signals) => {
    kill();
    child.exited.then(() => process.exit(signal === "SIGINT" ? 130 : 143));
  };
  const timer = setTimeout(() => {
    result.failure ??= `no end after ${timeoutSeconds} s`;
    kill();
  }, timeoutSeconds * 1000);
  process.on("SIGINT", interrupted).on("SIGTERM", interrupted);

  try {
    const errors = new Response(child.stderr).text();
    for await (const line of lines(child.stdout)) {
      const seconds = (performance.now() - started) / 1000;
      result.console.push(`[${seconds.toFixed(3).padStart(8)}] ${line}`);
      onLine?.(line);
      const step = milestoneOf(line) ?? (machine.doneLine?.test(line) ? "done" : undefined);
      if (step && result.milestones[step] === undefined) {
        result.milestones[step] = Math.round(seconds * 1000) / 1000;
        await onStep?.(step);
      }
      const failed = /^LAB: failed: (.*)/.exec(line)?.[1];
      if (failed) result.failure ??= failed;
    }
    await child.exited;
    const message = (await errors).trim();
    if (message) result.console.push(`qemu: ${message}`);
    if (result.milestones.done === undefined) result.failure ??= explain(result, message);
  } finally {
    clearTimeout(timer);
    process.off("SIGINT", interrupted).off("SIGTERM", interrupted);
    kill();
    await child.exited;
  }
  return result;
}

/** Writes console.log and milestones.json into a directory. */
export function saveRun(run: GuestRun, directory: string): void {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "console.log"), run.console.map((line) => `${line}\n`).join(""));
  const report = { milestones: run.milestones, failure: run.failure };
  writeFileSync(join(directory, "milestones.json"), `${JSON.stringify(report, null, 2)}\n`);
}

/** The step a console line announces, if it does. */
export function milestoneOf(line: string): Milestone | undefined {
  if (/Kernel panic - not syncing: sysrq triggered crash/.test(line)) return "panic";
  const word = /^LAB: (\w+)$/.exec(line)?.[1];
  return milestones.find((step) => step === word);
}

function explain(run: GuestRun, message: string): string {
  const telling =
    /Initramfs unpacking failed|deadlocked on memory|Out of memory|Unable to mount root|Kernel panic - not/;
  const reached =
    milestones.filter((step) => run.milestones[step] !== undefined).at(-1) ?? "none of its steps";
  const line = run.console.find((entry) => telling.test(entry) && !entry.includes("sysrq triggered"));
  return `the guest ended after ${reached}: ${line ?? (message || run.console.at(-1) || "no output")}`;
}

/** A guest's console, line by line. */
export async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    for (const part of parts) yield part.replace(/\r/g, "");
  }
  if (rest) yield rest.replace(/\r/g, "");
}
