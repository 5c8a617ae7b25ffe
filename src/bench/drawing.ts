/** The means of all charts: text and lines as SVG, axes, shapes, and a style that follows the reader's colour scheme. */
import { formatFixed, formatSize } from "../units.ts";
import { decades, type LogAxis } from "./axis.ts";
import { type Frame, type Point, xOf, yOf } from "./chart.ts";
import { coordinate as at, escapeMarkup } from "./markup.ts";
import { DARK, LIGHT, type Scheme } from "./palette.ts";

/** Fine lines between the powers of ten: uneven steps show at a glance that the scale is logarithmic. */
const FACTORS = [2, 3, 4, 5, 6, 7, 8, 9];

/** A shape for the points of a line: colour alone does not reach everybody. */
export type Shape = "circle" | "small circle" | "square" | "triangle" | "diamond";

/** What a chart is called, for those who see it and those who hear it. */
export interface Heading {
  readonly title: string;
  readonly description: string;
}

/** A whole SVG document (UTF-8, without an XML declaration, so that a page can hold it too). */
export function svgDocument(
  size: { readonly width: number; readonly height: number },
  { title, description }: Heading,
  style: string,
  parts: readonly string[],
): string {
  const { width, height } = size;
  return [
    `<svg class="vmcopy-chart" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="vmcopy-chart-title vmcopy-chart-text">`,
    `<title id="vmcopy-chart-title">${escapeMarkup(title)}</title>`,
    `<desc id="vmcopy-chart-text">${escapeMarkup(description)}</desc>`,
    `<style>${style}</style>`,
    `<rect class="paper" width="${width}" height="${height}"/>`,
    ...parts,
    "</svg>",
  ]
    .filter((part) => part !== "")
    .join("\n")
    .concat("\n");
}

/** Lines across the frame at each rate. @param labels whether the rates stand beside them @param fine lines between them */
export function rateAxis(axis: LogAxis, frame: Frame, labels = true, fine = true): string[] {
  const { left, right } = frame;
  const tens = decades(axis);
  const minor = [(tens[0] ?? axis.max) / 10, ...tens].flatMap((value) =>
    FACTORS.map((factor) => value * factor),
  );
  const named = [...new Set([axis.min, ...tens, axis.max])];
  const across = (kind: string, value: number) => {
    const y = yOf(axis, value, frame);
    return line(kind, left, y, right, y);
  };
  return [
    ...minor
      .filter((value) => fine && value > axis.min && value < axis.max)
      .map((value) => across("grid minor", value)),
    ...named.flatMap((value) => {
      const label = value < 1 ? String(Number(value.toPrecision(1))) : formatFixed(value, 0);
      const words = labels ? [text(left - 10, yOf(axis, value, frame) + 4, "axis end", label)] : [];
      return [across("grid", value), ...words];
    }),
  ];
}

/** The frame's base with a mark at each power of two; each `step` of them has its size below. */
export function sizeAxis(axis: LogAxis, frame: Frame, step: number): string[] {
  const { bottom, left, right } = frame;
  const lines = [line("base", left, bottom, right, bottom)];
  const first = Math.ceil(Math.log2(axis.min));
  const last = Math.floor(Math.log2(axis.max));
  for (let power = first; power <= last; power++) {
    const x = xOf(axis, 2 ** power, frame);
    const named = (power - first) % step === 0;
    lines.push(line("base", x, bottom, x, bottom + (named ? 7 : 4)));
    if (named) lines.push(text(x, bottom + 23, "axis middle", formatSize(2 ** power)));
  }
  return lines;
}

/** Parts of one kind, whose colour the style knows. */
export function group(kind: string, parts: readonly string[]): string {
  return parts.length === 0 ? "" : `<g class="${kind}">\n${parts.join("\n")}\n</g>`;
}

export function polyline(points: readonly Point[]): string {
  return `<polyline points="${points.map(({ x, y }) => `${at(x)},${at(y)}`).join(" ")}"/>`;
}

export function marker(shape: Shape, { x, y, text: words }: Point): string {
  const tip = `<title>${escapeMarkup(words)}</title>`;
  const path = (d: string) => `<path class="dot" d="${d}">${tip}</path>`;
  switch (shape) {
    case "square":
      return path(`M${at(x - 3.5)} ${at(y - 3.5)}h7v7h-7z`);
    case "triangle":
      return path(`M${at(x)} ${at(y - 4.6)}l4.4 7.8h-8.8z`);
    case "diamond":
      return path(`M${at(x)} ${at(y - 5.2)}l5.2 5.2l-5.2 5.2l-5.2 -5.2z`);
    default:
      return `<circle class="dot" cx="${at(x)}" cy="${at(y)}" r="${shape === "circle" ? 3.8 : 2.6}">${tip}</circle>`;
  }
}

export function line(kind: string, x1: number, y1: number, x2: number, y2: number): string {
  return `<line class="${kind}" x1="${at(x1)}" y1="${at(y1)}" x2="${at(x2)}" y2="${at(y2)}"/>`;
}

export function text(x: number, y: number, kind: string, words: string): string {
  return `<text class="${kind}" x="${at(x)}" y="${at(y)}">${escapeMarkup(words)}</text>`;
}

/**
 * The style of a chart. Every rule begins with the chart's class: in a page, a style element speaks to the whole page.
 *
 * @param colours kinds of groups with their colour in a scheme
 * @param more rules of this chart alone
 */
export function chartStyle(
  colours: (scheme: Scheme) => readonly (readonly [kind: string, colour: string])[],
  more: readonly string[] = [],
): string {
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
    ".dot{stroke-width:1.25}",
    ".grid,.base{stroke-width:1}",
    ".minor{stroke-opacity:.45}",
    ...more,
  ];
  const painted = (scheme: Scheme) => paint(scheme, colours(scheme));
  return [
    ...rules.map(scoped),
    ...painted(LIGHT),
    `@media screen and (prefers-color-scheme:dark){${painted(DARK).join("")}}`,
  ].join("\n");
}

function paint(scheme: Scheme, kinds: readonly (readonly [kind: string, colour: string])[]): string[] {
  return [
    `.paper{fill:${scheme.paper}}`,
    `text{fill:${scheme.ink}}`,
    `.muted,.axis,.detail{fill:${scheme.muted}}`,
    `.grid{stroke:${scheme.grid}}`,
    `.base{stroke:${scheme.muted}}`,
    `.dot{stroke:${scheme.paper}}`,
    ...kinds.flatMap(([kind, colour]) => [
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
