/**
 * Errors that nobody waits for: thrown in a callback, or a promise that was rejected with nobody there to see it. They
 * would end the program at once. Here they fail the step that is at work, as any error in it does.
 */
import process from "node:process";
import { clearTimeout, setTimeout } from "node:timers";
import type { FeedingJob } from "./feeding.ts";

const EVENTS = ["uncaughtException", "unhandledRejection"] as const;
/** Work that does not breathe for so long waits for what went wrong, in milliseconds. */
const PATIENCE = 10_000;

/** Waits for work. @throws what went wrong beside it and that it took no notice of */
export async function orUnexpected(job: FeedingJob, work: () => Promise<void>): Promise<void> {
  let giveUp: (error: unknown) => void = () => {};
  const givenUp = new Promise<never>((_, reject) => {
    giveUp = reject;
  });
  let timer: NodeJS.Timeout | undefined;
  const caught = (error: unknown) => {
    job.fail(error);
    timer ??= setTimeout(() => {
      if (job.failing !== undefined) giveUp(job.failing);
      timer = undefined;
    }, PATIENCE);
  };
  for (const event of EVENTS) process.on(event, caught);
  try {
    await Promise.race([work(), givenUp]);
    if (job.failing !== undefined) throw job.failing;
  } finally {
    clearTimeout(timer);
    for (const event of EVENTS) process.off(event, caught);
  }
}
