/**
 * How far a job has come. A terminal gets one line that is redrawn; everything else (a serial console, a log file) gets
 * a plain line every few seconds and never a control character. No timer: a copy blocks in system calls, so the line is
 * drawn from `update`, which is cheap enough to be called for each window.
 */
import { paint, printable, textWidth } from "./style.ts";
import { formatPercent, formatRate, formatSize, formatWait } from "./units.ts";

/** Nothing is shown of a job shorter than this. Milliseconds, as all times here. */
const SILENT = 300;
const REDRAW = 100;
const PLAIN_LINE = 5000;
/** The rate shown is that of about the last seconds: an estimate should follow a disk that slows down. */
const RATE_MEMORY = 4000;
/** Below this a bar that redraws itself would wrap and scroll. */
const NARROWEST = 40;
const WIDEST_BAR = 40;

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
  const { write, now, colours = false, quiet = false, already = 0 } = options;
  const columns = options.columns ?? 0;
  const redraws = options.isTerminal && columns >= NARROWEST;
  const started = now();
  const rate = createRate(already, started);
  let done = already;
  let due = started + SILENT;
  let shown = false;
  let ended = false;

  function draw(time: number): void {
    const state = { ...options, done, rate: rate.at(done, time), waited: (time - started) / 1000 };
    write(redraws ? `\r${barLine(state, columns)}\x1b[K` : `${plainLine(state)}\n`);
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
      const text = paint(colours, "warn", printable(line));
      const bar = redraws && shown && !ended;
      write(bar ? `\r\x1b[K${text}\n` : `${text}\n`);
      if (bar) draw(now());
    },
    end() {
      if (ended) return;
      ended = true;
      if (!shown) return;
      const time = now();
      const state = {
        ...options,
        done,
        rate: rate.overall(done, time),
        waited: (time - started) / 1000,
        over: true,
      };
      write(redraws ? `\r${barLine(state, columns)}\x1b[K\n` : `${plainLine(state)}\n`);
    },
  };
}

interface State {
  label: string;
  total?: number;
  colours?: boolean;
  unicode?: boolean;
  done: number;
  /** Bytes a second. */
  rate: number;
  /** Seconds since the start. */
  waited: number;
  over?: boolean;
}

/** Bytes a second: over the whole job, and a moving average that forgets. */
function createRate(already: number, started: number) {
  let lastDone = already;
  let lastTime = started;
  let average = Number.NaN;
  const overall = (done: number, time: number) => ((done - already) * 1000) / Math.max(1, time - started);
  return {
    overall,
    at(done: number, time: number): number {
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

function facts(state: State): string[] {
  const { done, total, rate, waited, over } = state;
  const time = over ? `in ${formatWait(waited)}` : etaText(state);
  const size = total === undefined ? formatSize(done) : `${formatSize(done)} of ${formatSize(total)}`;
  return [size, formatRate(rate), time];
}

function etaText({ done, total, rate, waited }: State): string {
  if (total === undefined) return formatWait(waited);
  const eta = Math.max(0, total - done) / rate;
  return `ETA ${formatWait(eta)}`;
}

function plainLine(state: State): string {
  const percent = state.total === undefined ? [] : [formatPercent(state.done, state.total)];
  return `${printable(state.label)}: ${[...percent, ...facts(state)].join(", ")}`;
}

/** One line of at most `columns - 1` characters: in the last column some terminals already wrap. */
function barLine(state: State, columns: number): string {
  const room = columns - 1;
  const { total, done, colours = false, unicode = false } = state;
  const label = printable(state.label);
  const parts = facts(state);
  const percent = total === undefined ? "" : formatPercent(done, total).padStart(7);
  // The least telling part goes first when there is no room: the sizes, then the rate.
  let tail = parts.join("  ");
  const width = () => textWidth(label) + (percent === "" ? 0 : 2 + percent.length) + 2 + textWidth(tail);
  while (width() > room && parts.length > 1) {
    parts.shift();
    tail = parts.join("  ");
  }
  const barRoom = Math.min(WIDEST_BAR, room - width() - 2);
  const bar =
    total === undefined || barRoom < 6
      ? ""
      : drawBar(total === 0 ? 1 : done / total, barRoom, colours, unicode);
  const line = [label, bar, percent, tail].filter((part) => part !== "");
  return bar === "" ? Array.from(line.join("  ")).slice(0, room).join("") : line.join("  ");
}

function drawBar(share: number, width: number, colours: boolean, unicode: boolean): string {
  const inner = unicode ? width : width - 2;
  const full = Math.floor(Math.min(1, Math.max(0, share)) * inner);
  const filled = paint(colours, "good", (unicode ? "█" : "#").repeat(full));
  const rest = paint(colours, "dim", (unicode ? "░" : ".").repeat(inner - full));
  return unicode ? filled + rest : `[${filled}${rest}]`;
}
