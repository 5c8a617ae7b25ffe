/** The chart of a benchmark as one SVG file: nothing outside it is needed, and it follows the reader's colour scheme. */
import { formatSize } from "../units.ts";
import type { LogAxis } from "./axis.ts";
import { CHART, type Label, layOut, type Point, type Series } from "./chart.ts";
import {
  chartStyle,
  group,
  line,
  marker,
  polyline,
  rateAxis,
  type Shape,
  sizeAxis,
  svgDocument,
  text,
} from "./drawing.ts";
import { coordinate as at, clip } from "./markup.ts";
import type { Scheme } from "./palette.ts";
import { type BenchReport, MODES, repeatText } from "./rows.ts";
import { highlights, highlightText } from "./summary.ts";

const TITLE = "Reading and mapping a vmcore, today and in 2013";

const SHAPES: Record<Series["kind"], Shape> = {
  read: "diamond",
  map: "circle",
  touch: "square",
  copy: "triangle",
  past: "small circle",
  pastRead: "diamond",
};

/** Rules of this chart's own: its history is of two kinds, its labels have leaders, its points a spread. */
const RULES = [
  ".read polyline{stroke-width:1.5;stroke-dasharray:1.5 4}",
  ".spread{stroke-width:5;stroke-opacity:.22}",
  ".leader{fill:none;stroke-width:1;stroke-opacity:.55;stroke-dasharray:1 3}",
];

/**
 * Draws the report as an SVG document.
 *
 * @example
 * ```ts
 * await writeFile("bench.svg", renderSvg(report));
 * ```
 */
export function renderSvg(report: BenchReport): string {
  const chart = layOut(report);
  return svgDocument(CHART, { title: TITLE, description: description(report) }, chartStyle(colours, RULES), [
    ...heading(report),
    ...rateAxis(chart.y, CHART),
    ...sizes(chart.x),
    ...chart.series.map(({ kind, pieces }) => group(kind, pieces.flat().flatMap(whisker))),
    // What is measured today lies above the past.
    ...[...chart.series].reverse().map(drawSeries),
  ]);
}

function description(report: BenchReport): string {
  const best = highlights(report).map((highlight) => highlightText(report, highlight));
  const axes = "Lines over map sizes on two logarithmic axes; rates in GiB/s.";
  return [axes, ...best, "2013: map 72.0 GiB/s at 16 MiB, read 0.209 GiB/s at 4 KiB"].join(" ");
}

function heading(report: BenchReport): string[] {
  const { left } = CHART;
  const what = `${clip(report.source, 60)}, ${formatSize(report.bytes)} in each row, ${repeatText(report)}`;
  const where = `kernel ${clip(report.kernel, 50)}, ${clip(report.cpu, 70)}`;
  return [
    text(left - 46, 34, "title", TITLE),
    text(left - 46, 57, "muted", what),
    text(left - 46, 75, "muted", where),
    text(left - 46, 100, "axis strong", "GiB/s, log scale"),
  ];
}

function sizes(axis: LogAxis): string[] {
  const { bottom, left, right } = CHART;
  const powers = Math.floor(Math.log2(axis.max)) - Math.ceil(Math.log2(axis.min));
  return [
    // Each fourfold size has a figure; more would touch each other on wider axes.
    ...sizeAxis(axis, CHART, powers > 20 ? 4 : 2),
    text((left + right) / 2, bottom + 48, "axis middle strong", "map size (for read: block size), log scale"),
  ];
}

function drawSeries({ kind, pieces, label }: Series): string {
  const lines = pieces.filter((piece) => piece.length > 1).map(polyline);
  const markers = pieces.flat().map((point) => marker(SHAPES[kind], point));
  return group(kind, [...lines, ...markers, ...drawLabel(label)]);
}

function whisker({ x, yFastest, ySlowest }: Point): string[] {
  return yFastest === undefined || ySlowest === undefined ? [] : [line("spread", x, yFastest, x, ySlowest)];
}

/** The label, and a thin leader to it from wherever the line ended. */
function drawLabel({ name, detail, fromX, fromY, y }: Label): string[] {
  const { right } = CHART;
  const x = right + 22;
  const leader = `M${at(fromX + 7)} ${at(fromY)}H${right + 4}L${x - 5} ${at(y)}`;
  return [
    `<path class="leader" d="${leader}"/>`,
    text(x, y - 2, "name", name),
    text(x, y + 12, "detail", detail),
  ];
}

function colours(scheme: Scheme): [kind: string, colour: string][] {
  return [
    ...MODES.map((mode): [string, string] => [mode, scheme.modes[mode]]),
    ["past", scheme.past],
    ["pastRead", scheme.past],
  ];
}
