// The stall timer as far as it does not end this machine: where it really does, see test/appliance and test/lab.
import { describe, expect, it } from "bun:test";
import { RB_AUTOBOOT, RB_HALT_SYSTEM, RB_POWER_OFF } from "../../ffi/constants.ts";
import { Libc } from "../../ffi/libc.ts";
import { type Action, commandOf, failureActions } from "../../src/capture/actions.ts";
import { FeedingJob } from "../../src/capture/feeding.ts";
import { DEFAULTS } from "../../src/capture/settings.ts";
import { startStallTimer } from "../../src/capture/stall.ts";
import { Steps } from "../../src/capture/steps.ts";
import { testJob } from "../support/engines.ts";
import { backend } from "../support/files.ts";

describe("how it ends the machine", () => {
  it.each<[Action[], Action[], number]>([
    [["reboot"], [], RB_AUTOBOOT],
    [["none"], [], RB_AUTOBOOT],
    [["shell"], [], RB_AUTOBOOT],
    [["shell", "poweroff"], [], RB_POWER_OFF],
    [["reboot"], ["halt"], RB_HALT_SYSTEM],
    [["poweroff"], ["shell"], RB_AUTOBOOT],
  ])("final %p, on failure %p", (final, actions, command) => {
    expect(commandOf(failureActions({ final, onFailure: { fallbacks: [], actions } }))).toBe(command);
  });
});

describe("it is not set", () => {
  /** Any timer that was set all the same would say so. */
  const start = async (timers: typeof backend.timers, stall: number, mayEnd: boolean) => {
    const job = new FeedingJob(testJob());
    const steps = new Steps(job);
    const libc = new Libc({ ...backend, timers });
    const timer = await startStallTimer(libc, job, steps, { ...DEFAULTS, stall }, mayEnd);
    expect(timer).toBeUndefined();
    return steps.list.map(({ ok, line }) => `${ok ? "ok" : "failed"}: ${line}`);
  };
  const refuse = () => {
    throw new Error("A timer was set");
  };
  const refusing = { timer_create: refuse, timer_settime: refuse, dlsym: () => 0 };

  it("where nobody wants it", async () => {
    expect(await start(refusing, 0, true)).toEqual([]);
  });

  it("where the machine is not to be ended", async () => {
    const [line] = await start(refusing, 300, false);
    expect(line).toStartWith("ok: not watched: this is no capture kernel");
  });

  it.each([
    ["no timers", undefined],
    ["no reboot()", refusing],
  ])("where libc has %s: that is told, and the work goes on", async (_, timers) => {
    expect(await start(timers, 300, true)).toEqual([
      "failed: Cannot set a timer: this libc has no timer_create",
    ]);
  });
});
