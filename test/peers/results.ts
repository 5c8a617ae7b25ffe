/** What a comparison found, as a table for people: on the terminal and in the README. */
import { readFileSync, writeFileSync } from "node:fs";
import { formatDuration } from "../../src/units.ts";
import type { PairResult } from "./pairs.ts";

/** A figure beside its target. */
export interface Finding {
  readonly what: string;
  readonly measured: string;
  readonly target: string;
  readonly met: boolean;
}

/** A ratio of times beside the largest that is allowed. */
export function ratioFinding(what: string, pair: PairResult, most: number): Finding {
  const { ours, theirs, ratio, spread } = pair;
  const [least, largest] = spread.map((value) => value.toFixed(2));
  return {
    what,
    measured: `${ratio.toFixed(2)} (${least}-${largest}); ${formatDuration(ours)} / ${formatDuration(theirs)}`,
    target: `at most ${most}`,
    met: ratio <= most,
  };
}

const HEAD = ["what", "measured", "target", ""];

/**
 * A Markdown table, the same for terminal and README.
 *
 * @param before the rows of an earlier one: those that were not measured anew stay
 */
export function findingsTable(findings: readonly Finding[], before: readonly string[][] = []): string {
  const rows = findings.map(({ what, measured, target, met }) => [
    what,
    measured,
    target,
    met ? "met" : "**missed**",
  ]);
  const anew = new Map(rows.map((row) => [row[0], row]));
  const kept = before.map((row) => anew.get(row[0]) ?? row);
  const known = new Set(before.map(([what]) => what));
  return markdownTable(HEAD, [...kept, ...rows.filter(([what]) => !known.has(what))]);
}

/** The rows of the table between the marks in a file. */
export function rowsBetweenMarks(path: string): string[][] {
  const whole = readFileSync(path, "utf8");
  const lines = whole.slice(whole.indexOf(BEGIN), whole.indexOf(END)).split("\n");
  const cells = (line: string) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim());
  return lines.filter((line) => line.startsWith("| ") && cells(line)[0] !== HEAD[0]).map(cells);
}

/** A Markdown table that reads well as text too. @param figures whether all columns but the first are aligned right */
export function markdownTable(head: readonly string[], body: readonly string[][], figures = false): string {
  const right = (column: number) => figures && column > 0;
  const widths = head.map((_, column) =>
    Math.max(3, ...[head, ...body].map((row) => (row[column] ?? "").length)),
  );
  const line = (cells: readonly string[]) => {
    const padded = widths.map((width, column) => {
      const cell = cells[column] ?? "";
      return right(column) ? cell.padStart(width) : cell.padEnd(width);
    });
    return `| ${padded.join(" | ")} |`;
  };
  const rule = widths.map((width, column) => "-".repeat(width + 1) + (right(column) ? ":" : "-"));
  return [line(head), `|${rule.join("|")}|`, ...body.map(line)].join("\n");
}

const BEGIN = "<!-- npm run compare writes from here -->";
const END = "<!-- to here -->";

/** Puts text between the marks in a file. @throws Error where the marks are missing */
export function writeBetweenMarks(path: string, text: string): void {
  const whole = readFileSync(path, "utf8");
  const [begin, end] = [whole.indexOf(BEGIN), whole.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`Cannot write the table into ${path}: its marks are missing`);
  writeFileSync(path, `${whole.slice(0, begin + BEGIN.length)}\n\n${text}\n\n${whole.slice(end)}`);
}
