/**
 * A capture during which something goes wrong that nobody waits for, while it writes the dump. Arguments: source, where
 * to, `callback` or `promise`, and `holds` where the work is never heard of again. Prints what was reported; without a
 * guard the runtime ends it before that.
 */
import { capture, stepsOf } from "./captures.ts";

const [source = "", to = "", where, holds] = process.argv.slice(2);
let thrown = false;
const { report, lines } = await capture(
  to,
  source,
  { name: "one", final: ["reboot"], onFailure: { fallbacks: ["dump-raw"], actions: ["halt"] } },
  {
    mayEnd: true,
    // As a terminal does: callbacks are called.
    breathe: () =>
      new Promise<void>((resolve) => {
        if (!(thrown && holds)) setImmediate(resolve);
      }),
    said: (line) => {
      if (!/\] space: /.test(line)) return;
      thrown = true;
      const error = new TypeError(`thrown in a ${where}`);
      if (where === "promise") Promise.reject(error);
      else
        setImmediate(() => {
          throw error;
        });
    },
  },
);
const { actions, state, exitCode } = report;
console.log(JSON.stringify({ steps: stepsOf(report), actions, state, exitCode, lines }));
