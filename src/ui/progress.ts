/**
 * How far a job has come. A terminal gets one line that is redrawn; everything else (a serial console, a log file) gets
 * a plain line every few seconds and never a control character. No timer: a copy blocks in system calls, so the line is
 * drawn from `update`, which is cheap enough to be called for each window.
 */
import { barLine, NARROWEST, type ProgressState, plainLine } from "./progress-line.ts";
import { paint, printable } from "./style.ts";

/** Nothing is shown of a job shorter than this. Milliseconds, as all times here. */
const SILENT = 300;
const REDRAW = 100;
const PLAIN_LINE = 5000;
/** The rate shown is that of about the last seconds: an estimate should follow a disk that slows down. */
const RATE_MEMORY = 4000;

/** What a progress needs to know; it asks nothing of the process itself. */
export interface ProgressOptions {
  /** What is being done, in a word or two: `copy`. */
  label: string;
  /** Bytes there are to do. Without it there is no percent, bar or ETA. */
  total?: number;
  /** Bytes that were done before the start (a resumed copy): part of the percent, not of the rate. */
  already?: number;
  /** Where the text goes; standard error. */
  write: (text: string) => void;
  /** A clock in milliseconds, such as performance.now. */
  now: () => number;
  /** Whether the line can be redrawn. */
  isTerminal: boolean;
  /** Characters in the terminal's line. A serial console says 0: it counts as no terminal. */
  columns?: number | undefined;
  colours?: boolean;
  unicode?: boolean;
  /** Only notes are written. */
  quiet?: boolean;
}

/** A job being shown. */
export interface Progress {
  /** `doneBytes` of the job are done. Draws at most ten times a second. */
  update(doneBytes: number): void;
  /** One line (a warning) above the bar; plain text. Written even when quiet: a warning is no progress. */
  note(line: string): void;
  /** The job is over, well or not: shows the last state if anything was shown, and ends the line. */
  end(): void;
}

/**
 * Starts showing a job. Nothing is written before 0.3 s have passed.
 *
 * @example
 * ```ts
 * const progress = startProgress({ label: "copy", total, write, now: () => performance.now(), isTerminal, columns });
 * progress.update(4096);
 * progress.end();
 * ```
 */
export function startProgress(options: ProgressOptions): Progress {
  const { write, now, colours = false, unicode = false, quiet = false, already = 0 } = options;
  const columns = options.columns ?? 0;
  const redraws = options.isTerminal && columns >= NARROWEST;
  const started = now();
  const rate = createRate(already, started);
  let done = already;
  let due = started + SILENT;
  let shown = false;
  let ended = false;

  function draw(time: number, over = false): void {
    const state: ProgressState = {
      label: options.label,
      total: options.total,
      done,
      bytesPerSecond: over ? rate.overall(done, time) : rate.recent(done, time),
      waited: (time - started) / 1000,
      over,
    };
    if (redraws) write(`\r${barLine(state, { columns, colours, unicode })}\x1b[K${over ? "\n" : ""}`);
    else write(`${plainLine(state)}\n`);
    shown = true;
    due = time + (redraws ? REDRAW : PLAIN_LINE);
  }

  return {
    update(doneBytes) {
      done = doneBytes;
      if (quiet || ended) return;
      const time = now();
      if (time >= due) draw(time);
    },
    note(line) {
      // Colours are escape sequences too: only where the bar has them.
      const text = paint(colours && redraws, "warn", printable(line));
      const bar = redraws && shown && !ended;
      write(bar ? `\r\x1b[K${text}\n` : `${text}\n`);
      if (bar) draw(now());
    },
    end() {
      if (ended) return;
      ended = true;
      if (shown) draw(now(), true);
    },
  };
}

/** Bytes a second: over the whole job, and a moving average that forgets. */
function createRate(already: number, started: number) {
  let lastDone = already;
  let lastTime = started;
  let average = Number.NaN;
  const overall = (done: number, time: number) => ((done - already) * 1000) / Math.max(1, time - started);
  return {
    overall,
    recent(done: number, time: number): number {
      const passed = time - lastTime;
      if (passed > 0) {
        const current = Math.max(0, ((done - lastDone) * 1000) / passed);
        const weight = 1 - Math.exp(-passed / RATE_MEMORY);
        average = Number.isNaN(average) ? current : average + (current - average) * weight;
        lastDone = done;
        lastTime = time;
      }
      return average;
    },
  };
}
