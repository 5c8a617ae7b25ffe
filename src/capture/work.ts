/**
 * One capture at work: its steps one after the other, how far it has come, and the record of that. A step that fails is
 * told, and what comes after it is done all the same.
 */
import process from "node:process";
import type { Libc } from "../../ffi/libc.ts";
import { EXIT_DATA, EXIT_FAILED, EXIT_OK, Interrupted } from "../errors.ts";
import { formatCount, formatDuration, formatSize, isoTime } from "../units.ts";
import { type Action, allowedActions, failureActions, NO_CAPTURE_KERNEL } from "./actions.ts";
import { type Crash, type CrashSummary, readCrash } from "./crash.ts";
import { CaptureDirectory } from "./directory.ts";
import { type DumpRecord, writeDump } from "./dump.ts";
import type { FeedingJob } from "./feeding.ts";
import { CapturePartition } from "./partition.ts";
import { readBack } from "./read-back.ts";
import { type CaptureRecord, type CaptureState, RECORD_FORMAT, toolOf } from "./record.ts";
import { removeOld } from "./rotation.ts";
import { type Settings, settingsJson } from "./settings.ts";
import type { Steps } from "./steps.ts";
import { LOG, RECORD, type Store, SUMMARY } from "./store.ts";
import { Target } from "./target.ts";
import { expandName } from "./template.ts";

export interface CaptureOptions {
  readonly settings: Settings;
  /** settings that were passed over, one line each */
  readonly warnings: readonly string[];
  /** the machine may be restarted and stopped: it is in a capture kernel */
  readonly mayEnd: boolean;
  /** what went before, if it is to stand in the record too */
  readonly steps?: Steps;
}

export interface CaptureReport extends CaptureRecord {
  readonly crash: CrashSummary | null;
  readonly actions: readonly Action[];
  readonly exitCode: number;
}

/** The end of a log that is shown where it cannot be written anywhere, in bytes: a serial console takes 6 s for it. */
const SHOWN_LOG = 64 << 10;

/** One capture at work, and how far it has come. */
export class Work {
  readonly #libc: Libc;
  readonly #job: FeedingJob;
  readonly #steps: Steps;
  readonly #options: CaptureOptions;
  readonly #started = Date.now() / 1000;
  #crash: Crash | undefined;
  #target: Target | undefined;
  #directory: Store | undefined;
  #saved = false;
  #dump: DumpRecord | undefined;
  #verified: boolean | null = null;
  #removed: readonly string[] = [];
  #state: CaptureState = "running";
  #actions: readonly Action[] | undefined;
  #isRecordTold = false;
  #stopped: unknown;

  constructor(libc: Libc, job: FeedingJob, steps: Steps, options: CaptureOptions) {
    this.#libc = libc;
    this.#job = job;
    this.#steps = steps;
    this.#options = options;
  }

  /** All steps up to the last that writes. @throws Interrupted */
  async save(): Promise<void> {
    const { source } = this.#settings;
    this.#crash = await this.#steps.run("read", () => {
      const crash = readCrash(this.#libc, source, () => this.#job.feed());
      const { release, memoryBytes, logRecords } = crash.summary;
      const facts = [
        release ?? "an unknown kernel",
        formatSize(memoryBytes),
        `${formatCount(logRecords)} records of log`,
      ];
      const line = [`${source}: ${facts.join(", ")}`, ...crash.problems].join("; ");
      return { line, value: crash, flawed: crash.problems.length > 0 };
    });
    // Without a source there is nothing to save, and no directory to make.
    if (this.#crash === undefined) return;
    const directory = await this.#open(this.#crash);
    if (directory === undefined) {
      this.#showLog(this.#crash);
      return;
    }
    this.#directory = directory;
    await this.#writeLog(this.#crash, directory);
    await this.#writeSummary(this.#crash, directory);
    this.#record();
    await this.#writeDump(directory);
    await this.#name(directory);
    await this.#rotate(directory);
  }

  /** Nothing more is saved. */
  stop(error: unknown): void {
    this.#stopped = error;
    this.#steps.stop(error);
    const isDebugged = process.env.VMCOPY_DEBUG === "1" && error instanceof Error;
    for (const line of isDebugged ? (error.stack ?? "").split("\n") : []) this.#job.warn(line);
  }

  /** Lets go of directory and device: what is written is durable then. Never throws. */
  async close(): Promise<void> {
    if (this.#state === "running") this.#state = "incomplete";
    this.#actions = allowedActions(this.#wantedActions, this.#options.mayEnd);
    this.#record(true);
    const target = this.#target;
    if (target === undefined) return;
    await this.#steps.run(target.mountPoint === undefined ? "sync" : "unmount", () => {
      try {
        this.#directory?.close();
      } finally {
        target.close();
      }
      return { line: target.place.device ?? target.path, value: undefined };
    });
  }

  async report(): Promise<CaptureReport> {
    const actions = this.#actions ?? [];
    const wanted = this.#wantedActions;
    const refused = wanted.filter((action) => action !== "none" && !actions.includes(action));
    await this.#steps.run("final", () => {
      const words = actions.length === 0 ? "none" : actions.join(", then ");
      const line = refused.length === 0 ? words : `${refused.join(", ")} not done${NO_CAPTURE_KERNEL}`;
      return { line, value: undefined };
    });
    const isDone = this.#isWhole && this.#steps.ok;
    const byData = isDone ? EXIT_OK : this.#saved ? EXIT_DATA : EXIT_FAILED;
    return {
      ...this.#toRecord(),
      crash: this.#crash?.summary ?? null,
      actions,
      exitCode: this.#stopped instanceof Interrupted ? this.#stopped.exitCode : byData,
    };
  }

  get #settings(): Settings {
    return this.#options.settings;
  }

  /** A dump is there, was found right where that was wanted, and has its name. */
  get #isWhole(): boolean {
    return this.#state === "complete";
  }

  get #wantedActions(): readonly Action[] {
    return this.#isWhole ? this.#settings.final : failureActions(this.#settings);
  }

  async #open({ summary }: Crash): Promise<Store | undefined> {
    const { to, wait, name } = this.#settings;
    return await this.#steps.run<Store>("target", async () => {
      const target = await Target.open(this.#libc, this.#job, to, wait);
      if (target.isRaw) {
        const partition = CapturePartition.create(this.#libc, target.path, this.#settings);
        this.#target = target;
        return { line: `${partition.path}: ${partition.describe()}`, value: partition };
      }
      this.#target = target;
      this.#steps.shown = (text) => target.shown(text);
      const expanded = expandName(name, summary, this.#started);
      const directory = CaptureDirectory.create(this.#libc, target.path, expanded);
      const type = target.fileSystemType === undefined ? "" : `${target.fileSystemType}, `;
      // In a capture kernel that is its initramfs; somebody who tries it elsewhere knows what he does.
      const flawed = this.#options.mayEnd && target.isInMemory;
      const warning = flawed
        ? "; it lies in memory, and is GONE when the machine restarts: name a disk (--to)"
        : "";
      const line = `${directory.path}: ${type}${formatSize(directory.available)} free${warning}`;
      return { line, value: directory, flawed };
    });
  }

  async #writeLog({ log }: Crash, directory: Store): Promise<void> {
    await this.#steps.run("log", () => {
      if (log === undefined)
        return { line: `there is none to write to ${LOG}`, value: undefined, flawed: true };
      const written = directory.writeLog(log);
      this.#saved = true;
      const flawed = written < log.length;
      const size = flawed
        ? `the disk is full: the last ${formatSize(written)} of ${formatSize(log.length)}`
        : formatSize(written);
      return { line: `${size} in ${LOG}, synced`, value: undefined, flawed };
    });
  }

  async #writeSummary({ summary }: Crash, directory: Store): Promise<void> {
    await this.#steps.run("crash", () => {
      directory.write(SUMMARY, new TextEncoder().encode(`${JSON.stringify(summary, null, 2)}\n`));
      this.#saved = true;
      const { message, task } = summary;
      const where = task === null ? "" : ` (${task.comm}, PID ${task.pid}, CPU ${task.cpu})`;
      return { line: `${message ?? "the log tells of no panic"}${where}`, value: undefined };
    });
  }

  async #writeDump(directory: Store): Promise<void> {
    const { settings } = this.#options;
    const place = { libc: this.#libc, job: this.#job, steps: this.#steps, store: directory, settings };
    this.#dump = await writeDump(place);
    this.#record();
    if (this.#dump === undefined || !settings.verify) return;
    this.#saved = true;
    await this.#steps.run("verify", async () => {
      const report = await readBack(this.#libc, this.#job, directory.dump);
      // What could not be read of old memory was told with the dump, and is not the disk's fault.
      this.#verified = report.mismatchCount === 0 && (report.ok || (this.#dump?.unreadable ?? 0) > 0);
      const compared = `${formatSize(report.bytesCompared)} read back in ${formatDuration(report.seconds)}`;
      const found = this.#verified ? "whole and right" : "NOT as it was written";
      const problems = this.#verified ? [] : report.problems;
      return {
        line: [`${compared}: ${found}`, ...problems].join("; "),
        value: undefined,
        flawed: !this.#verified,
      };
    });
  }

  /** It gets its name, or its mark, where its dump is right, or where nobody insists on a dump. */
  async #name(directory: Store): Promise<void> {
    const isRight = this.#dump !== undefined && (this.#verified === true || !this.#settings.verify);
    const isContent = this.#dump === undefined && this.#settings.onFailure.fallbacks.includes("log-only");
    if (!isRight && !(isContent && this.#saved)) {
      this.#state = "incomplete";
      return;
    }
    const state = isRight ? "complete" : "log-only";
    await this.#steps.run(directory.ending, () => {
      // The record is right before the name is: a name is never there without it.
      this.#state = state;
      this.#record();
      this.#state = "incomplete";
      directory.commit(state);
      this.#state = state;
      return { line: `${directory.path}${isRight ? "" : ", without a dump"}, synced`, value: undefined };
    });
  }

  async #rotate(directory: Store): Promise<void> {
    const { keep } = this.#settings;
    if (keep === undefined || !this.#isWhole) return;
    await this.#steps.run("keep", () => {
      if (!(directory instanceof CaptureDirectory)) {
        const line = `--keep ${keep} means nothing here: a raw partition holds one capture`;
        return { line, value: undefined };
      }
      const feed = () => this.#job.feed();
      const { removed, problems } = removeOld(this.#libc, directory.parent, directory.name, keep, feed);
      this.#removed = removed;
      const gone = removed.length === 0 ? "none had to go" : `gone: ${removed.join(", ")}`;
      const line = [`the newest ${keep} stay, ${gone}`, ...problems].join("; ");
      return { line, value: undefined, flawed: problems.length > 0 };
    });
  }

  /** The end of the log on the console: all that can be saved where there is no place for it. */
  #showLog({ log }: Crash): void {
    if (log === undefined || !this.#settings.onFailure.fallbacks.includes("log-only")) return;
    const end = new TextDecoder().decode(log.subarray(Math.max(0, log.length - SHOWN_LOG))).trimEnd();
    this.#job.inform("The end of the crashed kernel's log:");
    for (const line of end.split("\n")) this.#job.inform(line);
  }

  #record(isLast = false): void {
    try {
      this.#directory?.writeRecord(this.#toRecord(), isLast);
    } catch (error) {
      if (!this.#isRecordTold)
        this.#steps.fail("record", `${RECORD} is not up to date: ${(error as Error).message}`);
      this.#isRecordTold = true;
    }
  }

  #toRecord(): CaptureRecord {
    const directory = this.#directory;
    return {
      format: RECORD_FORMAT,
      version: 1,
      tool: toolOf(),
      state: this.#state,
      source: this.#settings.source,
      directory: directory === undefined ? null : this.#steps.shown(directory.path),
      started: isoTime(this.#started) ?? "",
      seconds: this.#steps.seconds,
      settings: settingsJson(this.#settings),
      warnings: this.#options.warnings,
      dump: this.#dump ?? null,
      verified: this.#verified,
      removed: this.#removed,
      actions: this.#actions ?? null,
      steps: this.#steps.list,
    };
  }
}
