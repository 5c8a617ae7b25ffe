/**
 * Ends the machine when the work has not come on for so many seconds, even where the one thread that works never comes
 * back from a system call: a disk that no longer answers, a driver that waits for ever.
 *
 * It is a timer of libc's (timer_create(2), SIGEV_THREAD): once it runs out, libc starts a thread that calls a function
 * with a number, and the function is libc's own reboot(). No code of ours runs then, and the machine is ended without
 * its file systems being synced: whoever hangs may hang in just that.
 */
import {
  CLOCK_MONOTONIC,
  RB_AUTOBOOT,
  RB_HALT_SYSTEM,
  RB_POWER_OFF,
  SIGEV_THREAD,
} from "../../ffi/constants.ts";
import type { Libc } from "../../ffi/libc.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { ITIMERSPEC, SIGEVENT, SIGEVENT_SIZE } from "../../ffi/structs.ts";
import type { TimerCalls } from "../../ffi/symbols.ts";
import { VmcopyError } from "../errors.ts";
import { commandOf, failureActions, NO_CAPTURE_KERNEL } from "./actions.ts";
import type { Feedable, FeedingJob } from "./feeding.ts";
import type { Settings } from "./settings.ts";
import type { Steps } from "./steps.ts";

/** Set anew at most so often, in milliseconds. */
const INTERVAL = 500;
/** Where the thread could not be started (no memory), it is tried again after so many seconds. */
const AGAIN = 10;
/** The timer's handle lies behind the structure that describes it; its times behind that. */
const HANDLE = SIGEVENT_SIZE;
const TIMES = HANDLE + 8;

const WORDS = new Map([
  [RB_AUTOBOOT, "restarts"],
  [RB_POWER_OFF, "powers off"],
  [RB_HALT_SYSTEM, "halts"],
]);

export class StallTimer implements Feedable {
  readonly #calls: TimerCalls;
  readonly #memory: Mapping;
  readonly #view: DataView;
  readonly #seconds: number;
  #next = 0;

  private constructor(calls: TimerCalls, memory: Mapping, seconds: number) {
    this.#calls = calls;
    this.#memory = memory;
    this.#view = new DataView(memory.buffer);
    this.#seconds = seconds;
  }

  /**
   * Makes it, and sets it going.
   *
   * @param command for reboot(2) @throws VmcopyError E_UNSUPPORTED where libc has no such timers; LibcError
   */
  static start(libc: Libc, seconds: number, command: number): StallTimer {
    const { timers } = libc.backend;
    // 0: RTLD_DEFAULT, wherever it is found.
    const reboot = timers?.dlsym(0, libc.path("reboot")) ?? 0;
    if (timers === undefined || reboot === 0) {
      throw new VmcopyError("E_UNSUPPORTED", "Cannot set a timer: this libc has no timer_create");
    }
    // Never freed: the thread of libc's may look at it at any time.
    const memory = Mapping.buffer(libc, libc.pageSize);
    const timer = new StallTimer(timers, memory, seconds);
    timer.#view.setBigUint64(SIGEVENT.sigev_value, BigInt(command), true);
    timer.#view.setInt32(SIGEVENT.sigev_notify, SIGEV_THREAD, true);
    timer.#view.setBigUint64(SIGEVENT.sigev_notify_function, BigInt(reboot), true);
    const { address } = memory;
    libc.check("set a timer", "", timers.timer_create(CLOCK_MONOTONIC, address, address + HANDLE));
    libc.check("set a timer", "", timer.#set(seconds));
    return timer;
  }

  feed(): void {
    const now = performance.now();
    if (now < this.#next) return;
    this.#next = now + INTERVAL;
    this.#set(this.#seconds);
  }

  /** Nothing happens any more, until it is fed again. */
  rest(): void {
    this.#next = 0;
    this.#set(0);
  }

  #set(seconds: number): number {
    this.#view.setBigInt64(TIMES + ITIMERSPEC["it_interval.tv_sec"], BigInt(seconds === 0 ? 0 : AGAIN), true);
    this.#view.setBigInt64(TIMES + ITIMERSPEC["it_value.tv_sec"], BigInt(seconds), true);
    const handle = this.#view.getBigUint64(HANDLE, true);
    return this.#calls.timer_settime(handle, 0, this.#memory.address + TIMES, 0);
  }
}

/** Starts the timer that the settings want, and has the job feed it. @returns undefined where there is none */
export async function startStallTimer(
  libc: Libc,
  job: FeedingJob,
  steps: Steps,
  settings: Settings,
  mayEnd: boolean,
): Promise<StallTimer | undefined> {
  const { stall } = settings;
  if (stall === 0) return undefined;
  const timer = await steps.run("stall", () => {
    if (!mayEnd) return { line: `not watched${NO_CAPTURE_KERNEL}`, value: undefined };
    const command = commandOf(failureActions(settings));
    const value = StallTimer.start(libc, stall, command);
    return { line: `the machine ${WORDS.get(command)} after ${stall} s without progress`, value };
  });
  if (timer !== undefined) job.add(timer);
  return timer;
}
