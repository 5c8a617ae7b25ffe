/**
 * The steps of a capture, as they happen: each is one line on the console with its time since the start, and one
 * entry in capture.json. A step that fails is told and does not end the work: what comes after it may still save
 * something.
 */
import { LibcError } from "../../ffi/errno.ts";
import { Interrupted, VmcopyError } from "../errors.ts";
import type { Job } from "../job.ts";

export interface Step {
  readonly name: string;
  /** it did what it was to do */
  readonly ok: boolean;
  /** seconds since the capture's start */
  readonly at: number;
  readonly seconds: number;
  /** what was done, or why it was not */
  readonly line: string;
  /** of the error that ended it; null where none did */
  readonly code: string | null;
}

/** What a step leaves. */
export interface Done<T> {
  readonly line: string;
  readonly value: T;
  /** something is there, but not what it should be */
  readonly flawed?: boolean;
}

export class Steps {
  readonly list: Step[] = [];
  readonly #job: Job;
  readonly #started = performance.now();
  /** Paths of the mount point, as people know them. */
  shown: (text: string) => string = (text) => text;

  constructor(job: Job) {
    this.#job = job;
  }

  /** Seconds since the start. */
  get seconds(): number {
    return (performance.now() - this.#started) / 1000;
  }

  /** Does one step. @returns undefined where it failed @throws Interrupted */
  async run<T>(name: string, work: () => Done<T> | Promise<Done<T>>): Promise<T | undefined> {
    const at = this.seconds;
    try {
      const { line, value, flawed = false } = await work();
      this.#tell(name, !flawed, at, line);
      return value;
    } catch (error) {
      this.#tell(name, false, at, messageOf(error), codeOf(error));
      if (error instanceof Interrupted) throw error;
      return undefined;
    }
  }

  /** Tells of what failed beside the steps. */
  fail(name: string, line: string): void {
    this.#tell(name, false, this.seconds, line);
  }

  /** Tells of what ended the work, unless the step that it happened in has. */
  stop(error: unknown): void {
    if (error instanceof Interrupted && this.list.some(({ code }) => code === "E_INTERRUPTED")) return;
    const name = error instanceof Interrupted ? "stopped" : "unexpected";
    this.#tell(name, false, this.seconds, messageOf(error), codeOf(error));
  }

  get ok(): boolean {
    return this.list.every(({ ok }) => ok);
  }

  #tell(name: string, ok: boolean, at: number, text: string, code: string | null = null): void {
    const line = this.shown(text);
    this.list.push({ name, ok, at, seconds: this.seconds - at, line, code });
    const stamped = `[${this.seconds.toFixed(2).padStart(7)}] ${name}: ${line}`;
    if (ok) this.#job.inform(stamped);
    else this.#job.warn(stamped);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function codeOf(error: unknown): string {
  if (error instanceof VmcopyError) return error.code;
  return error instanceof LibcError ? "E_IO" : "E_INTERNAL";
}
