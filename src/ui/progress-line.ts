/** How the state of a job is drawn: as a bar that fits one line of a terminal, or as a plain line. */

import { formatPercent, formatRate, formatSize, formatWait } from "../units.ts";
import { type Look, paint, printable, textWidth } from "./style.ts";

/** Below this many columns a bar that redraws itself would wrap and scroll. */
export const NARROWEST = 40;

const GAP = "  ";
const LEAST_BAR = 8;
const WIDEST_BAR = 40;

/** A job at one moment. */
export interface ProgressState {
  label: string;
  /** Bytes there are to do, where that is known. */
  total: number | undefined;
  /** Bytes done. */
  done: number;
  bytesPerSecond: number;
  /** Seconds since the start. */
  waited: number;
  /** The job has ended: its time is shown instead of what is left. */
  over: boolean;
}

/** `copy: 34.4 %, 1.0 GiB of 3 GiB, 199 MiB/s, ETA 10 s`, without a line feed. */
export function plainLine(state: ProgressState): string {
  const percent = state.total === undefined ? [] : [formatPercent(state.done, state.total)];
  const facts = [...percent, sizeText(state), formatRate(state.bytesPerSecond), timeText(state)];
  return `${printable(state.label)}: ${facts.join(", ")}`;
}

/** A part of the redrawn line. Widths do not depend on the state, or everything would shift with each redraw. */
interface Part {
  name: "label" | "bar" | "percent" | "size" | "rate" | "time";
  text: string;
  width: number;
  align?: "right";
}

/** What a narrow terminal does without, first to last. The percent, or without a total the size, stays. */
const DISPENSABLE: readonly Part["name"][] = ["size", "rate", "bar", "label", "time"];

/** The state in one line of at most `look.columns - 1` characters: in the last column some terminals already wrap. */
export function barLine(state: ProgressState, look: Look): string {
  const room = look.columns - 1;
  let parts = partsOf(state);
  const width = () => parts.reduce((sum, part) => sum + part.width, GAP.length * (parts.length - 1));
  for (const name of DISPENSABLE) if (width() > room) parts = parts.filter((part) => part.name !== name);
  const barWidth = Math.min(WIDEST_BAR, LEAST_BAR + room - width());
  const drawn = parts.map(({ name, text, width, align }) => {
    if (name === "bar") return drawBar(state.total ? state.done / state.total : 1, barWidth, look);
    return align === "right" ? text.padStart(width) : text;
  });
  return drawn.join(GAP);
}

function partsOf(state: ProgressState): Part[] {
  const { total, done } = state;
  const label = printable(state.label);
  const size: Part = { name: "size", text: sizeText(state), width: "1023 MiB".length, align: "right" };
  const rate: Part = {
    name: "rate",
    text: formatRate(state.bytesPerSecond),
    width: "1023 MiB/s".length,
    align: "right",
  };
  const time: Part = { name: "time", text: timeText(state), width: "ETA 59 min 59 s".length };
  const head: Part = { name: "label", text: label, width: textWidth(label) };
  if (total === undefined) return [head, { ...size, name: "percent" }, rate, time];
  return [
    head,
    { name: "bar", text: "", width: LEAST_BAR },
    { name: "percent", text: formatPercent(done, total), width: "100.0 %".length, align: "right" },
    { ...size, width: size.width + " of ".length + formatSize(total).length },
    rate,
    time,
  ];
}

function sizeText({ done, total }: ProgressState): string {
  return total === undefined ? formatSize(done) : `${formatSize(done)} of ${formatSize(total)}`;
}

function timeText({ done, total, bytesPerSecond, waited, over }: ProgressState): string {
  if (over) return `in ${formatWait(waited)}`;
  if (total === undefined) return formatWait(waited);
  return `ETA ${formatWait(Math.max(0, total - done) / bytesPerSecond)}`;
}

function drawBar(share: number, width: number, { colours, unicode }: Look): string {
  const inner = unicode ? width : width - 2;
  const full = Math.floor(Math.min(1, Math.max(0, share)) * inner);
  const filled = paint(colours, "good", (unicode ? "█" : "#").repeat(full));
  const rest = paint(colours, "dim", (unicode ? "░" : ".").repeat(inner - full));
  return unicode ? filled + rest : `[${filled}${rest}]`;
}
