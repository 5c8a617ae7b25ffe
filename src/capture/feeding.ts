/**
 * What ends the machine unless it is fed (the watchdog, the stall timer), and a job that feeds it: from the work itself,
 * wherever that tells something, tells how far it has come or lets signals in, and from no timer. A vmcopy that hangs,
 * or that somebody stopped, does not feed.
 */
import type { Job } from "../job.ts";

export interface Feedable {
  /** Cheap, never throws. */
  feed(): void;
}

export class FeedingJob implements Job, Feedable {
  readonly #job: Job;
  readonly #fed: Feedable[] = [];
  #failing: unknown;

  constructor(job: Job) {
    this.#job = job;
  }

  /** Feeds this one too, from now on. */
  add(fed: Feedable): void {
    this.#fed.push(fed);
  }

  /** The next breath throws this. */
  fail(error: unknown): void {
    this.#failing ??= error;
  }

  /** What the next breath will throw. */
  get failing(): unknown {
    return this.#failing;
  }

  start(label: string, total: number, already?: number): void {
    this.feed();
    this.#job.start(label, total, already);
  }

  update(done: number): void {
    this.feed();
    this.#job.update(done);
  }

  end(): void {
    this.feed();
    this.#job.end();
  }

  inform(line: string): void {
    this.feed();
    this.#job.inform(line);
  }

  warn(line: string): void {
    this.feed();
    this.#job.warn(line);
  }

  async breathe(): Promise<void> {
    this.feed();
    await this.#job.breathe();
    const failing = this.#failing;
    this.#failing = undefined;
    if (failing !== undefined) throw failing;
  }

  /** For work that tells nothing for a while. */
  feed(): void {
    for (const fed of this.#fed) fed.feed();
  }
}
