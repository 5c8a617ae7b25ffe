/**
 * The whole of a kdump initramfs's work, in the order that saves most where it is cut short: the log, durable; the
 * crash in one page; the dump; the dump read back; its name; only then old captures go. A step that fails is told, and
 * what comes after it is done all the same.
 *
 * What becomes of the machine is decided here and done by the caller, once the report is printed.
 */
import type { Libc } from "../../ffi/libc.ts";
import type { Job } from "../job.ts";
import { FeedingJob } from "./feeding.ts";
import { Steps } from "./steps.ts";
import { orUnexpected } from "./unexpected.ts";
import { Watchdog } from "./watchdog.ts";
import { type CaptureOptions, type CaptureReport, Work } from "./work.ts";

/**
 * Does it all. Whatever stops it, Ctrl-C or an error that nobody foresaw: what there is stays, marked incomplete, with
 * the record and durable, and the report tells what becomes of the machine. Never throws.
 *
 * @param job where it feeds something already, the watchdog is fed too
 */
export async function capture(
  libc: Libc,
  job: Job | FeedingJob,
  options: CaptureOptions,
): Promise<CaptureReport> {
  const { settings } = options;
  const fed = job instanceof FeedingJob ? job : new FeedingJob(job);
  for (const warning of options.warnings) fed.warn(warning);
  const steps = options.steps ?? new Steps(fed);
  const watchdog =
    settings.watchdog === undefined ? undefined : await openWatchdog(libc, steps, settings.watchdog);
  if (watchdog !== undefined) fed.add(watchdog);
  const work = new Work(libc, fed, steps, options);
  try {
    await orUnexpected(fed, () => work.save());
  } catch (error) {
    work.stop(error);
  }
  await work.close();
  // Whatever happened: it would reset a machine that is left to a shell, or running.
  if (watchdog !== undefined) await stopWatchdog(steps, watchdog);
  return await work.report();
}

async function openWatchdog(libc: Libc, steps: Steps, path: string): Promise<Watchdog | undefined> {
  return await steps.run("watchdog", () => {
    const watchdog = Watchdog.open(libc, path);
    const { timeout } = watchdog;
    const waits = timeout === undefined ? "" : `; it resets the machine after ${timeout} s without`;
    return { line: `${path} is fed while this works${waits}`, value: watchdog };
  });
}

async function stopWatchdog(steps: Steps, watchdog: Watchdog): Promise<void> {
  const { problem } = watchdog;
  if (problem !== undefined) steps.fail("watchdog", `it could not be fed at times: ${problem}`);
  await steps.run("watchdog", () => {
    watchdog.stop();
    return { line: "stopped", value: undefined };
  });
}
