/** Errors that nobody waits for: thrown in a callback, or a promise that was rejected with nobody there to see it. */
import process from "node:process";

const EVENTS = ["uncaughtException", "unhandledRejection"] as const;

/** Waits for work, or for the first error of that kind meanwhile, which would end the program at once. @throws it */
export async function orUnexpected<T>(work: Promise<T>): Promise<T> {
  let fail: (error: unknown) => void = () => {};
  const unexpected = new Promise<never>((_, reject) => {
    fail = reject;
  });
  for (const event of EVENTS) process.on(event, fail);
  try {
    return await Promise.race([work, unexpected]);
  } finally {
    for (const event of EVENTS) process.off(event, fail);
  }
}
