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

/** The rows of the table between a command's marks in a file. @throws Error where they are missing */
export function rowsBetweenMarks(path: string, command: string): string[][] {
  const whole = readFileSync(path, "utf8");
  const { from, to } = placeOf(whole, command, path);
  const lines = whole.slice(from, to).split("\n");
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

/** Each command that writes has marks of its own. */
const beginOf = (command: string) => `<!-- npm run ${command} writes from here -->`;
const END = "<!-- to here -->";

/** Where a command's text is. @throws Error where its marks are missing */
function placeOf(whole: string, command: string, path: string): { from: number; to: number } {
  const begin = whole.indexOf(beginOf(command));
  const to = whole.indexOf(END, begin);
  if (begin < 0 || to < 0)
    throw new Error(`Cannot find the table of npm run ${command}: its marks are missing (${path})`);
  return { from: begin + beginOf(command).length, to };
}

/** Puts text between a command's marks in a file. @throws Error where they are missing */
export function writeBetweenMarks(path: string, text: string, command: string): void {
  const whole = readFileSync(path, "utf8");
  const { from, to } = placeOf(whole, command, path);
  writeFileSync(path, `${whole.slice(0, from)}\n\n${text}\n\n${whole.slice(to)}`);
}
