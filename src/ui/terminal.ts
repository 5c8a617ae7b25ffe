/**
 * The program's standard streams: the result goes to standard output, everything else to standard error.
 */
import { writeSync } from "node:fs";
import process from "node:process";
import { setImmediate } from "node:timers";
import { Interrupted } from "../errors.ts";
import type { Job } from "../job.ts";
import { type Progress, startProgress } from "./progress.ts";
import { type Look, paint, printable } from "./style.ts";

export interface TerminalOptions {
  /** only warnings and errors on standard error */
  readonly quiet: boolean;
  /** false: no colours, whatever the terminal can do */
  readonly colour: boolean;
}

/** Signals are let in this often, in milliseconds. */
const BREATH = 20;

export class Terminal implements Job {
  readonly #options: TerminalOptions;
  #progress: Progress | undefined;
  #signal: "SIGINT" | "SIGTERM" | undefined;
  #nextBreath = 0;
  #catching = false;

  constructor(options: TerminalOptions) {
    this.#options = options;
  }

  /** How text on standard output will look. */
  look(): Look {
    const { columns, isTTY } = process.stdout;
    return { columns: isTTY && columns > 0 ? columns : 100, colours: this.#colours(process.stdout) };
  }

  /** Writes the result. @param text whole lines */
  result(text: string): void {
    writeText(1, text);
  }

  /** One line of what is done or went well. Left out when quiet. */
  inform(line: string): void {
    if (!this.#options.quiet) this.#line(printable(line));
  }

  warn(line: string): void {
    this.#line(`${paint(this.#colours(process.stderr), "warn", "warning:")} ${printable(line)}`);
  }

  /** The one line that says why the program could not do it. */
  fail(line: string): void {
    writeText(2, `${paint(this.#colours(process.stderr), "bad", "vmcopy:")} ${printable(line)}\n`);
  }

  start(label: string, total: number, already = 0): void {
    this.catchSignals();
    this.#progress = startProgress({
      label,
      total,
      already,
      write: (text) => writeText(2, text),
      now: () => performance.now(),
      isTerminal: process.stderr.isTTY === true,
      columns: process.stderr.columns,
      colours: this.#colours(process.stderr),
      quiet: this.#options.quiet,
    });
  }

  update(doneBytes: number): void {
    this.#progress?.update(doneBytes);
  }

  end(): void {
    this.#progress?.end();
    this.#progress = undefined;
  }

  async breathe(): Promise<void> {
    const now = performance.now();
    if (now < this.#nextBreath) return;
    // Signals reach JavaScript only when the event loop turns.
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#nextBreath = performance.now() + BREATH;
    if (this.#signal !== undefined) throw new Interrupted(this.#signal);
  }

  /** From the first piece of work on, or when this is called; before it, a signal just ends the program. */
  catchSignals(): void {
    if (this.#catching) return;
    this.#catching = true;
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      process.on(signal, () => {
        this.#signal ??= signal;
      });
    }
  }

  #line(text: string): void {
    if (this.#progress !== undefined) this.#progress.note(text);
    else writeText(2, `${text}\n`);
  }

  #colours(stream: { isTTY?: boolean; columns?: number }): boolean {
    const { NO_COLOR, TERM } = process.env;
    // A serial console is a terminal too, but of no width and of a kind that nobody knows.
    const isKnown =
      stream.isTTY === true && (stream.columns ?? 0) > 0 && TERM !== undefined && TERM !== "dumb";
    return this.#options.colour && isKnown && !NO_COLOR;
  }
}

/** Writes at once and whole: the program may end right after. A reader that is gone is no error of ours. */
export function writeText(fd: 1 | 2, text: string): void {
  let rest = new TextEncoder().encode(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (error) {
      const { code } = error as { code?: string };
      if (code !== "EAGAIN") return;
    }
  }
}
