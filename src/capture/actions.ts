/**
 * What becomes of the machine when the capture is over. Restarting and stopping it is done by reboot(2), and nowhere
 * but in a capture kernel or as PID 1: whoever tries a capture on a workstation keeps it running.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import process from "node:process";
import { RB_AUTOBOOT, RB_HALT_SYSTEM, RB_POWER_OFF } from "../../ffi/constants.ts";
import type { Libc } from "../../ffi/libc.ts";
import { VmcopyError } from "../errors.ts";
import type { StallTimer } from "./stall.ts";

export const ACTIONS = ["reboot", "poweroff", "halt", "shell", "none"] as const;
export type Action = (typeof ACTIONS)[number];

/** Tried in this order, before the action: a raw copy, then a capture without a dump. */
export const FALLBACKS = ["dump-raw", "log-only"] as const;
export type Fallback = (typeof FALLBACKS)[number];

export interface OnFailure {
  readonly fallbacks: readonly Fallback[];
  /** empty: the same as where all went well */
  readonly actions: readonly Action[];
}

const COMMANDS: Partial<Record<Action, number>> = {
  reboot: RB_AUTOBOOT,
  poweroff: RB_POWER_OFF,
  halt: RB_HALT_SYSTEM,
};
const SHELL = "/bin/sh";

/** Whether this is a kernel that kdump started, or there is nobody else to end the machine. */
export function mayEndMachine(): boolean {
  return process.pid === 1 || existsSync("/proc/vmcore");
}

/** Why the machine is left alone. */
export const NO_CAPTURE_KERNEL =
  ": this is no capture kernel (there is no /proc/vmcore), and vmcopy is not PID 1";

/** What is to become of the machine where not all went well. */
export function failureActions(settings: {
  readonly final: readonly Action[];
  readonly onFailure: OnFailure;
}): readonly Action[] {
  const { actions } = settings.onFailure;
  return actions.length === 0 ? settings.final : actions;
}

/** How reboot(2) ends the machine, by the first of the actions that does; restarting it, where none does. */
export function commandOf(actions: readonly Action[]): number {
  return actions.flatMap((action) => COMMANDS[action] ?? [])[0] ?? RB_AUTOBOOT;
}

/** Those that are done here; the others would take a workstation down. */
export function allowedActions(actions: readonly Action[], mayEnd: boolean): Action[] {
  return actions.filter((action) => action !== "none" && (mayEnd || COMMANDS[action] === undefined));
}

/**
 * Does them, one after the other.
 *
 * @param stall goes on watching while they are done, but for a shell
 * @returns what could not be done, one line each; nothing where the machine has ended
 */
export function performActions(libc: Libc, actions: readonly Action[], stall?: StallTimer): string[] {
  const problems: string[] = [];
  for (const action of actions) {
    try {
      perform(libc, action, stall);
    } catch (error) {
      problems.push((error as Error).message);
    }
  }
  return problems;
}

function perform(libc: Libc, action: Action, stall: StallTimer | undefined): void {
  libc.backend.calls.sync();
  const command = COMMANDS[action];
  if (command !== undefined) {
    libc.check(action, "the machine", libc.backend.calls.reboot(command));
    return;
  }
  if (action !== "shell") return;
  // Who sits there has all the time in the world.
  stall?.rest();
  const { error } = spawnSync(SHELL, [], { stdio: "inherit" });
  stall?.feed();
  if (error !== undefined) {
    throw new VmcopyError("E_IO", `Cannot start a shell: there is no ${SHELL} that runs (${error.message})`);
  }
}
