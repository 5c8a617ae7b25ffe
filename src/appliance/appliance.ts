/**
 * A system whose only process is vmcopy: what /init of an initramfs has to do for a capture, and nothing else. Whatever
 * happens, the machine is ended at the end: the kernel panics where its first process comes back.
 */
import { existsSync } from "node:fs";
import process from "node:process";
import { clearInterval, setInterval } from "node:timers";
import { TCSBRK } from "../../ffi/constants.ts";
import type { Libc } from "../../ffi/libc.ts";
import { type Action, failureActions, performActions } from "../capture/actions.ts";
import { capture } from "../capture/capture.ts";
import { FeedingJob } from "../capture/feeding.ts";
import { gatherSettings } from "../capture/setting-sources.ts";
import { DEFAULTS, type Settings } from "../capture/settings.ts";
import { type StallTimer, startStallTimer } from "../capture/stall.ts";
import { Steps } from "../capture/steps.ts";
import type { Job } from "../job.ts";
import { loadModules, MODULES } from "./modules.ts";
import { boundPanics, mountKernelFileSystems } from "./system.ts";

/** Nobody is there who would end the machine, nor who would see that it hangs. */
const APPLIANCE_DEFAULTS: Settings = { ...DEFAULTS, final: ["reboot"], stall: 300 };
/** Done where all others failed, or were none. */
const LAST: Action = "reboot";
const MINUTE = 60_000;

/** Does it all. It comes back only where nothing ends the machine: as the first process of a container. */
export async function runAppliance(libc: Libc, job: Job): Promise<void> {
  // With nothing to wait for, the runtime would end the program.
  const waiting = setInterval(() => {}, MINUTE);
  // What comes when the capture no longer looks must not end it either.
  for (const event of ["uncaughtException", "unhandledRejection"] as const) {
    process.on(event, (error) => job.warn(`appliance: ${messageOf(error)}`));
  }
  const work = new Appliance(libc, job);
  try {
    await work.run();
  } catch (error) {
    job.warn(`appliance: ${messageOf(error)}`);
  }
  work.end();
  clearInterval(waiting);
}

class Appliance {
  readonly #libc: Libc;
  readonly #job: FeedingJob;
  readonly #steps: Steps;
  #actions: readonly Action[] = [];
  #stall: StallTimer | undefined;

  constructor(libc: Libc, job: Job) {
    this.#libc = libc;
    this.#job = new FeedingJob(job);
    this.#steps = new Steps(this.#job);
  }

  async run(): Promise<void> {
    await this.#mount();
    const { settings, warnings } = gatherSettings({ defaults: APPLIANCE_DEFAULTS });
    this.#actions = failureActions(settings);
    this.#stall = await startStallTimer(this.#libc, this.#job, this.#steps, settings, true);
    await this.#loadModules();
    if (settings.source === DEFAULTS.source && !existsSync(DEFAULTS.source)) {
      this.#steps.fail("boot", `there is no ${DEFAULTS.source}: no crash started this kernel`);
    }
    const options = { settings, warnings, mayEnd: true, steps: this.#steps };
    const { actions } = await capture(this.#libc, this.#job, options);
    this.#actions = actions;
  }

  /** One action after the other, each with what keeps it from being done. */
  end(): void {
    for (const action of [...this.#actions, LAST]) {
      const isLast = action === LAST && this.#actions.length === 0;
      if (isLast) this.#job.inform(`final: ${LAST}, as nobody else is here to end the machine`);
      try {
        // A serial line is slow, and what is still on its way would be lost.
        this.#libc.backend.calls.ioctl(2, TCSBRK, 1);
        for (const problem of performActions(this.#libc, [action], this.#stall)) this.#job.warn(problem);
      } catch (error) {
        this.#job.warn(`${action}: ${messageOf(error)}`);
      }
    }
  }

  async #mount(): Promise<void> {
    await this.#steps.run("mount", () => {
      const problems = mountKernelFileSystems(this.#libc);
      const panics = boundPanics();
      if (panics !== undefined) problems.push(panics);
      const line = problems.length === 0 ? "/proc, /sys and /dev are there" : problems.join("; ");
      return { line, value: undefined, flawed: problems.length > 0 };
    });
  }

  async #loadModules(): Promise<void> {
    await this.#steps.run("modules", () => {
      const { names, problems } = loadModules(this.#libc, MODULES, () => this.#job.feed());
      const loaded = names.length === 0 ? `none in ${MODULES}` : names.join(" ");
      const line = [loaded, ...problems].join("; ");
      return { line, value: undefined, flawed: problems.length > 0 };
    });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
