/** The chart of a benchmark as one SVG file: nothing outside it is needed, and it follows the reader's colour scheme. */
import { formatFixed, formatSize } from "../units.ts";
import { decades, type LogAxis } from "./axis.ts";
import { CHART, type Label, layOut, type Point, type Series, xOf, yOf } from "./chart.ts";
import { coordinate as at, clip, escapeMarkup } from "./markup.ts";
import { DARK, LIGHT, type Scheme } from "./palette.ts";
import { type BenchMode, type BenchReport, MODES, repeatText } from "./rows.ts";
import { highlights, highlightText } from "./summary.ts";

/** Fine lines between the powers of ten: uneven steps show at a glance that the scale is logarithmic. */
const FACTORS = [2, 3, 4, 5, 6, 7, 8, 9];

const TITLE = "Reading and mapping a vmcore, today and in 2013";

/**
 * Draws the report as an SVG document (UTF-8, without an XML declaration, so that a page can hold it too).
 *
 * @example
 * ```ts
 * await writeFile("bench.svg", renderSvg(report));
 * ```
 */
export function renderSvg(report: BenchReport): string {
  const chart = layOut(report);
  return [
    `<svg class="vmcopy-chart" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${CHART.width} ${CHART.height}" width="${CHART.width}" height="${CHART.height}" role="img" aria-labelledby="vmcopy-chart-title vmcopy-chart-text">`,
    `<title id="vmcopy-chart-title">${escapeMarkup(TITLE)}</title>`,
    `<desc id="vmcopy-chart-text">${escapeMarkup(description(report))}</desc>`,
    `<style>${style()}</style>`,
    `<rect class="paper" width="${CHART.width}" height="${CHART.height}"/>`,
    ...heading(report),
    ...yAxis(chart.y),
    ...xAxis(chart.x),
    ...chart.series.map(({ kind, pieces }) => group(kind, pieces.flat().flatMap(whisker))),
    // What is measured today lies above the past.
    ...[...chart.series].reverse().map(drawSeries),
    "</svg>",
  ]
    .filter((part) => part !== "")
    .join("\n")
    .concat("\n");
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

function yAxis(axis: LogAxis): string[] {
  const { left, right } = CHART;
  const tens = decades(axis);
  const minor = [(tens[0] ?? axis.max) / 10, ...tens].flatMap((value) =>
    FACTORS.map((factor) => value * factor),
  );
  const named = [...new Set([axis.min, ...tens, axis.max])];
  return [
    ...minor
      .filter((value) => value > axis.min && value < axis.max)
      .map((value) => line("grid minor", left, yOf(axis, value), right, yOf(axis, value))),
    ...named.flatMap((value) => {
      const y = yOf(axis, value);
      const label = value < 1 ? String(Number(value.toPrecision(1))) : formatFixed(value, 0);
      return [line("grid", left, y, right, y), text(left - 10, y + 4, "axis end", label)];
    }),
  ];
}

function xAxis(axis: LogAxis): string[] {
  const { bottom, left, right } = CHART;
  const lines = [line("base", left, bottom, right, bottom)];
  const first = Math.ceil(Math.log2(axis.min));
  const last = Math.floor(Math.log2(axis.max));
  // Each fourfold size has a figure; more would touch each other on wider axes.
  const step = last - first > 20 ? 4 : 2;
  for (let power = first; power <= last; power++) {
    const x = xOf(axis, 2 ** power);
    const named = (power - first) % step === 0;
    lines.push(line("base", x, bottom, x, bottom + (named ? 7 : 4)));
    if (named) lines.push(text(x, bottom + 23, "axis middle", formatSize(2 ** power)));
  }
  lines.push(
    text((left + right) / 2, bottom + 48, "axis middle strong", "map size (for read: block size), log scale"),
  );
  return lines;
}

function drawSeries({ kind, pieces, label }: Series): string {
  const lines = pieces.filter((piece) => piece.length > 1).map(polyline);
  return group(kind, [...lines, ...pieces.flat().map((point) => marker(kind, point)), ...drawLabel(label)]);
}

function group(kind: Series["kind"], parts: readonly string[]): string {
  return parts.length === 0 ? "" : `<g class="${kind}">\n${parts.join("\n")}\n</g>`;
}

function polyline(points: readonly Point[]): string {
  return `<polyline points="${points.map(({ x, y }) => `${at(x)},${at(y)}`).join(" ")}"/>`;
}

function whisker({ x, yFastest, ySlowest }: Point): string[] {
  return yFastest === undefined || ySlowest === undefined ? [] : [line("spread", x, yFastest, x, ySlowest)];
}

/** Each kind has a shape of its own: colour alone does not reach everybody. */
function marker(kind: Series["kind"], { x, y, text: words }: Point): string {
  const tip = `<title>${escapeMarkup(words)}</title>`;
  const path = (d: string) => `<path class="dot" d="${d}">${tip}</path>`;
  switch (kind) {
    case "touch":
      return path(`M${at(x - 3.5)} ${at(y - 3.5)}h7v7h-7z`);
    case "copy":
      return path(`M${at(x)} ${at(y - 4.6)}l4.4 7.8h-8.8z`);
    case "read":
    case "pastRead":
      return path(`M${at(x)} ${at(y - 5.2)}l5.2 5.2l-5.2 5.2l-5.2 -5.2z`);
    default:
      return `<circle class="dot" cx="${at(x)}" cy="${at(y)}" r="${kind === "past" ? 2.6 : 3.8}">${tip}</circle>`;
  }
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

function line(kind: string, x1: number, y1: number, x2: number, y2: number): string {
  return `<line class="${kind}" x1="${at(x1)}" y1="${at(y1)}" x2="${at(x2)}" y2="${at(y2)}"/>`;
}

function text(x: number, y: number, kind: string, words: string): string {
  return `<text class="${kind}" x="${at(x)}" y="${at(y)}">${escapeMarkup(words)}</text>`;
}

/** Every rule begins with the chart's class: in a page, a style element speaks to the whole page. */
function style(): string {
  const rules = [
    "text{font:13px system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}",
    ".title{font-size:19px;font-weight:650}",
    ".axis{font-size:12px;font-variant-numeric:tabular-nums}",
    ".strong,.name{font-weight:600}",
    ".middle{text-anchor:middle}",
    ".end{text-anchor:end}",
    ".detail{font-size:11.5px}",
    "polyline{fill:none;stroke-width:2.25;stroke-linejoin:round;stroke-linecap:round}",
    ".past polyline{stroke-width:1.75;stroke-dasharray:5 4}",
    ".read polyline{stroke-width:1.5;stroke-dasharray:1.5 4}",
    ".dot{stroke-width:1.25}",
    ".spread{stroke-width:5;stroke-opacity:.22}",
    ".leader{fill:none;stroke-width:1;stroke-opacity:.55;stroke-dasharray:1 3}",
    ".grid,.base{stroke-width:1}",
    ".minor{stroke-opacity:.45}",
  ];
  return [
    ...rules.map(scoped),
    ...colours(LIGHT),
    `@media screen and (prefers-color-scheme:dark){${colours(DARK).join("")}}`,
  ].join("\n");
}

function colours(scheme: Scheme): string[] {
  const series: [string, string][] = [
    ...MODES.map((mode: BenchMode): [string, string] => [mode, scheme.modes[mode]]),
    ["past", scheme.past],
    ["pastRead", scheme.past],
  ];
  return [
    `.paper{fill:${scheme.paper}}`,
    `text{fill:${scheme.ink}}`,
    `.muted,.axis,.detail{fill:${scheme.muted}}`,
    `.grid{stroke:${scheme.grid}}`,
    `.base{stroke:${scheme.muted}}`,
    `.dot{stroke:${scheme.paper}}`,
    ...series.flatMap(([kind, colour]) => [
      `.${kind} polyline,.${kind} .spread,.${kind} .leader{stroke:${colour}}`,
      `.${kind} .dot,.${kind} .name{fill:${colour}}`,
    ]),
  ].map(scoped);
}

function scoped(rule: string): string {
  const [selectors = "", body = ""] = rule.split(/(?=\{)/);
  return `${selectors
    .split(",")
    .map((selector) => `.vmcopy-chart ${selector}`)
    .join(",")}${body}`;
}
