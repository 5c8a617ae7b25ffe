/**
 * What makedumpfile says and where: bits of --message-level choose, errors and the progress go to standard error, the
 * rest to standard output, or with -F, whose dump is there, to standard error as well.
 */
import type { Job } from "../../job.ts";
import { Terminal, writeText } from "../../ui/terminal.ts";

const PROGRESS = 1;
const COMMON = 2;
const ERROR = 4;
export const DEBUG = 8;
export const REPORT = 16;
export const DEFAULT_LEVEL = PROGRESS | COMMON | ERROR;
export const MOST_LEVEL = 31;

/** What a job is called in the progress. Others are not shown. */
const TITLES: Readonly<Record<string, string>> = {
  filter: "Excluding unnecessary pages",
  copy: "Copying data",
};
const TITLE_WIDTH = 50;
/** Milliseconds between two looks of the progress. */
const REDRAW = 1000;
const SPINNER = "/|\\-";

export class Messages implements Job {
  readonly #bits: number;
  readonly #flatten: boolean;
  /** Lets signals in; shows nothing itself. */
  readonly #terminal = new Terminal({ quiet: true, colour: false });
  #title: string | undefined;
  #total = 0;
  #done = 0;
  #started = 0;
  #due = 0;
  #turn = 0;

  /** @param bits of --message-level @param flatten standard output is the dump's */
  constructor(bits: number, flatten: boolean) {
    this.#bits = bits;
    this.#flatten = flatten;
  }

  get debugging(): boolean {
    return (this.#bits & DEBUG) !== 0;
  }

  common(...lines: string[]): void {
    this.#say(COMMON, lines);
  }

  debug(...lines: string[]): void {
    this.#say(DEBUG, lines);
  }

  report(...lines: string[]): void {
    this.#say(REPORT, lines);
  }

  error(line: string): void {
    if ((this.#bits & ERROR) !== 0) writeText(2, `${line}\n`);
  }

  inform(line: string): void {
    this.debug(line);
  }

  warn(line: string): void {
    this.error(`makedumpfile: ${line}`);
  }

  start(label: string, totalBytes: number): void {
    this.#terminal.start(label, totalBytes);
    this.#title = (this.#bits & PROGRESS) === 0 ? undefined : TITLES[label];
    this.#total = totalBytes;
    this.#done = 0;
    this.#started = performance.now();
    this.#due = 0;
  }

  update(doneBytes: number): void {
    this.#done = doneBytes;
    if (this.#title === undefined) return;
    const now = performance.now();
    if (now < this.#due) return;
    this.#due = now + REDRAW;
    this.#draw(this.#title, now);
  }

  end(): void {
    this.#terminal.end();
    if (this.#title === undefined) return;
    this.#draw(this.#title, performance.now());
    writeText(2, "\n");
    this.#title = undefined;
  }

  async breathe(): Promise<void> {
    await this.#terminal.breathe();
  }

  #draw(title: string, now: number): void {
    const share = this.#total > 0 ? Math.min(1, this.#done / this.#total) : 1;
    const seconds = (now - this.#started) / 1000;
    const left = share > 0 ? Math.round((seconds * (1 - share)) / share) : 0;
    const wait = left < 60 ? `${left}s` : `${Math.floor(left / 60)}m${left % 60}s`;
    const eta = title === TITLES.copy ? `eta: ${wait}` : "";
    const turn = SPINNER[this.#turn++ % SPINNER.length];
    const percent = (Math.floor(share * 1000) / 10).toFixed(1).padStart(5);
    writeText(2, `\r${title.padEnd(TITLE_WIDTH)}: [${percent} %] ${turn} ${eta.padStart(17)}`);
  }

  #say(bit: number, lines: readonly string[]): void {
    if ((this.#bits & bit) === 0 || lines.length === 0) return;
    writeText(this.#flatten ? 2 : 1, `${lines.join("\n")}\n`);
  }
}
