/** Two programs in turn on the same input: A B A B. What counts is the ratio of each pair, not the times. */
import { spawnSync } from "node:child_process";
import { median } from "../../src/bench/bench.ts";

/** A command and what has to be done before each run of it, outside the time. */
export interface Contender {
  readonly name: string;
  readonly command: readonly string[];
  readonly before?: () => void;
  /** exit codes that mean it did its work; 0 unless told */
  readonly success?: readonly number[];
}

export interface PairResult {
  /** median seconds */
  readonly ours: number;
  readonly theirs: number;
  /** median of ours/theirs, pair by pair */
  readonly ratio: number;
  /** the smallest and the largest of them */
  readonly spread: readonly [number, number];
}

/**
 * Runs both once to warm up, then `rounds` pairs.
 *
 * @throws Error where a command fails: a comparison with a program that did not do the work is none
 */
export function comparePair(ours: Contender, theirs: Contender, rounds: number): PairResult {
  runOnce(ours);
  runOnce(theirs);
  const times: [number, number][] = [];
  for (let round = 0; round < rounds; round++) times.push([runOnce(ours), runOnce(theirs)]);
  return pairResult(times);
}

/** @param times seconds of ours and theirs, pair by pair */
export function pairResult(times: readonly (readonly [number, number])[]): PairResult {
  const ratios = times.map(([a, b]) => a / b).sort((a, b) => a - b);
  return {
    ours: median(times.map(([a]) => a)),
    theirs: median(times.map(([, b]) => b)),
    ratio: median(ratios),
    spread: [ratios[0] ?? Number.NaN, ratios[ratios.length - 1] ?? Number.NaN],
  };
}

/** Seconds of one run. @throws Error where it fails */
export function runOnce({ name, command, before, success = [0] }: Contender): number {
  before?.();
  const [program = "", ...args] = command;
  const started = performance.now();
  const { status, error, stderr } = spawnSync(program, args, {
    stdio: ["ignore", "ignore", "pipe"],
    encoding: "utf8",
  });
  const seconds = (performance.now() - started) / 1000;
  if (status === null || !success.includes(status)) {
    throw new Error(
      `Cannot measure ${name}: ${error?.message ?? stderr.trim().slice(-300)} (exit ${status})`,
    );
  }
  return seconds;
}

/** Runs a program for what it says. @throws Error where it fails */
export function runProgram([program = "", ...args]: readonly string[]): { stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: "utf8", maxBuffer: 64 << 20 });
  if (status !== 0) {
    throw new Error(`Cannot measure ${program} ${args.join(" ")}: ${stderr.slice(-300)} (exit ${status})`);
  }
  return { stdout, stderr };
}
