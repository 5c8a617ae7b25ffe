/** The geometry of the chart, without its markup: which points lie where, and where labels go so that none collide. */
import { formatSize } from "../units.ts";
import { closeAxis, type LogAxis, positionOn } from "./axis.ts";
import { READ_2013, VMCORE_2013 } from "./history.ts";
import { type BenchMode, type BenchReport, isDrawable, MODES, rateRange, rowsOf } from "./rows.ts";
import { significant } from "./summary.ts";

/** Where a plot lies in its drawing, in pixels. */
export interface Frame {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** Pixels of the drawing, and of the plot in it; labels have the room to its right. */
export const CHART = { width: 960, height: 600, left: 66, right: 780, top: 112, bottom: 530 } as const;
/** A label's two lines, and the air between it and the next. */
const LABEL_HEIGHT = 36;

/** A measured point in the drawing. */
export interface Point {
  x: number;
  y: number;
  /** Ends of the spread, where there is one. */
  yFastest?: number;
  ySlowest?: number;
  /** For the tooltip: `map, 4 MiB: 63.4 GiB/s`. */
  text: string;
}

/** A line of the chart. `points` is in pieces: a row that cannot stand on the scale interrupts the line. */
export interface Series {
  kind: BenchMode | "past" | "pastRead";
  pieces: Point[][];
  label: Label;
}

/** A direct label at the right of the plot. */
export interface Label {
  name: string;
  detail: string;
  /** Where the line ends. */
  fromX: number;
  fromY: number;
  /** Middle of the label. */
  y: number;
}

/** All that is drawn. */
export interface Chart {
  x: LogAxis;
  y: LogAxis;
  series: Series[];
}

/** A rate to be drawn. */
export interface Sample {
  size: number;
  gibPerSecond: number;
  range?: { slowest: number; fastest: number } | undefined;
}

/** Lays out a report beside the curve of 2013. A mode without a single point that can be drawn has no series. */
export function layOut(report: BenchReport): Chart {
  const sources: { kind: Series["kind"]; name: string; samples: readonly Sample[] }[] = [
    ...MODES.map((mode) => ({
      kind: mode,
      name: mode as string,
      samples: rowsOf(report, mode).map((row) => ({ ...row, range: rateRange(row) })),
    })),
    { kind: "past", name: "2013 map", samples: VMCORE_2013 },
    { kind: "pastRead", name: "2013 read", samples: [READ_2013] },
  ];
  const samples = sources.flatMap((source) => source.samples).filter((sample) => sample.size > 0);
  const sizes = samples.map((sample) => sample.size);
  const x: LogAxis = { min: Math.min(...sizes), max: Math.max(...sizes) };
  const y = closeAxis(
    samples.flatMap(({ gibPerSecond, range }) => [
      gibPerSecond,
      ...(range ? [range.slowest, range.fastest] : []),
    ]),
  );
  const series = sources.flatMap((source): Series[] => {
    const pieces = piecesOf(source.name, source.samples, x, y, CHART);
    const end = pieces.at(-1)?.at(-1);
    const last = source.samples.findLast((sample) => sample.size > 0 && isDrawable(sample.gibPerSecond));
    if (end === undefined || last === undefined) return [];
    const detail = `${significant(last.gibPerSecond)} GiB/s at ${formatSize(last.size)}`;
    return [
      {
        kind: source.kind,
        pieces,
        label: { name: source.name, detail, fromX: end.x, fromY: end.y, y: end.y },
      },
    ];
  });
  const apart = spreadOut(
    series.map(({ label }) => label.fromY),
    LABEL_HEIGHT,
    CHART.top + LABEL_HEIGHT / 2 - 8,
    CHART.bottom - LABEL_HEIGHT / 2 + 8,
  );
  for (const [index, { label }] of series.entries()) label.y = apart[index] ?? label.y;
  return { x, y, series };
}

/** Pixels of a map size. */
export function xOf(axis: LogAxis, size: number, { left, right }: Frame): number {
  return left + positionOn(axis, size) * (right - left);
}

/** Pixels of a rate; up is faster. */
export function yOf(axis: LogAxis, rate: number, { top, bottom }: Frame): number {
  return bottom - positionOn(axis, rate) * (bottom - top);
}

/** A line's points, in pieces. @param name for the tooltips */
export function piecesOf(
  name: string,
  samples: readonly Sample[],
  x: LogAxis,
  y: LogAxis,
  frame: Frame,
): Point[][] {
  const pieces: Point[][] = [[]];
  for (const { size, gibPerSecond, range } of samples) {
    if (!(size > 0 && isDrawable(gibPerSecond))) {
      pieces.push([]);
      continue;
    }
    const point: Point = {
      x: xOf(x, size, frame),
      y: yOf(y, gibPerSecond, frame),
      text: `${name}, ${formatSize(size)}: ${significant(gibPerSecond)} GiB/s`,
    };
    if (range) {
      point.yFastest = yOf(y, range.fastest, frame);
      point.ySlowest = yOf(y, range.slowest, frame);
      point.text += ` (${significant(range.slowest)} to ${significant(range.fastest)})`;
    }
    pieces.at(-1)?.push(point);
  }
  return pieces.filter((piece) => piece.length > 0);
}

/**
 * Positions as near as possible to the wanted ones, each `gap` from the next, between `low` and `high`: neighbours that
 * would overlap form a group around their common middle. In the order given.
 */
export function spreadOut(wanted: readonly number[], gap: number, low: number, high: number): number[] {
  const order = wanted.map((_, index) => index).sort((a, b) => (wanted[a] ?? 0) - (wanted[b] ?? 0));
  const groups: { members: number[]; middle: number }[] = [];
  for (const index of order) {
    let group = { members: [index], middle: clamp(wanted[index] ?? 0, low, high) };
    for (let above = groups.at(-1); above !== undefined; above = groups.at(-1)) {
      const reach = ((above.members.length + group.members.length) / 2) * gap;
      if (group.middle - above.middle >= reach) break;
      groups.pop();
      const members = [...above.members, ...group.members];
      const middle =
        (above.middle * above.members.length + group.middle * group.members.length) / members.length;
      const half = ((members.length - 1) / 2) * gap;
      group = { members, middle: clamp(middle, low + half, high - half) };
    }
    groups.push(group);
  }
  const places: number[] = Array(wanted.length).fill(0);
  for (const { members, middle } of groups) {
    members.forEach((member, position) => {
      places[member] = middle + (position - (members.length - 1) / 2) * gap;
    });
  }
  return places;
}

function clamp(value: number, low: number, high: number): number {
  return high < low ? (low + high) / 2 : Math.min(high, Math.max(low, value));
}
