/**
 * A capture during which something goes wrong that nobody waits for. Arguments: source, where to, `callback` or
 * `promise`. Prints what was reported; without a guard the runtime ends it before that.
 */
import { capture, stepsOf } from "./captures.ts";

const [source = "", to = "", where] = process.argv.slice(2);
const { report, lines } = await capture(
  to,
  source,
  { name: "one", final: ["reboot"], onFailure: { fallbacks: [], actions: ["halt"] } },
  {
    mayEnd: true,
    // As a terminal does: callbacks are called.
    breathe: () => new Promise<void>((resolve) => setImmediate(resolve)),
    said: (line) => {
      if (!/\] crash: /.test(line)) return;
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
