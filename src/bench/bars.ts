/** Bars in a terminal, on a logarithmic axis, with a mark where 2013 stood. */
import { formatFixed } from "../units.ts";
import { decades, type LogAxis, positionOn } from "./axis.ts";
import { isDrawable } from "./rows.ts";

/** The mark of the 2013 figure in a bar. */
export function markChar(unicode: boolean): string {
  return unicode ? "│" : "|";
}

/**
 * A bar `width` characters wide at most. A value that cannot stand on the axis has none.
 *
 * @param mark the value to mark in the bar, or beyond its end
 */
export function logBar(
  axis: LogAxis,
  width: number,
  value: number,
  mark: number | undefined,
  unicode = false,
): string {
  const cells: string[] = Array(isDrawable(value) ? cellOf(axis, width, value) + 1 : 0).fill(
    unicode ? "█" : "#",
  );
  if (mark !== undefined && isDrawable(mark)) {
    const place = cellOf(axis, width, mark);
    while (cells.length <= place) cells.push(" ");
    cells[place] = markChar(unicode);
  }
  return cells.join("");
}

/** The axis above the bars, `0.1    1      10     100`: each figure begins where its value lies. */
export function axisLine(axis: LogAxis, width: number): string {
  let line = "";
  const values = decades(axis);
  for (const [index, value] of values.entries()) {
    const label = value < 1 ? String(value) : formatFixed(value, 0);
    // The last one ends where the axis ends.
    const start = index === values.length - 1 ? width - label.length : cellOf(axis, width, value);
    const free = start >= line.length + (line === "" ? 0 : 1) && start + label.length <= width;
    if (free) line = line.padEnd(start) + label;
  }
  return line;
}

function cellOf(axis: LogAxis, width: number, value: number): number {
  return Math.min(width - 1, Math.max(0, Math.floor(positionOn(axis, value) * width + 1e-9)));
}
