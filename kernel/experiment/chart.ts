// The chart of the experiment: a row of plots for each kernel version, a plot for each mode, a line for each series
// and one for 2013. In each plot stands how many times as fast our series is.

import { decadeAxis, type LogAxis, positionOn } from "../../src/bench/axis.ts";
import { type Frame, type Point, piecesOf, type Sample } from "../../src/bench/chart.ts";
import {
  chartStyle,
  group,
  marker,
  polyline,
  rateAxis,
  type Shape,
  sizeAxis,
  svgDocument,
  text,
} from "../../src/bench/drawing.ts";
import { READ_2013, VMCORE_2013 } from "../../src/bench/history.ts";
import { clip } from "../../src/bench/markup.ts";
import type { Scheme } from "../../src/bench/palette.ts";
import { type BenchMode, MODES, rowsOf } from "../../src/bench/rows.ts";
import { significant } from "../../src/bench/summary.ts";
import { formatSize } from "../../src/units.ts";
import type { Series, Version } from "../build.ts";
import { type Experiment, kernelOf, sizesOf, versionsOf } from "./results.ts";
import { timesAt } from "./targets.ts";

/** Pixels. */
const WIDTH = 960;
const LEFT = 58;
const RIGHT = 944;
const GAP = 24;
const TOP = 158;
const PLOT = 200;
/** From one row of plots to the next: room for the sizes below and the version above. */
const ROW = PLOT + 90;

const TITLE = "The experiment of 2013 on real crashed kernels";

/** What is seen of each mode, in so few words. */
const HEADS: Record<BenchMode, string> = {
  read: "the kernel copies",
  map: "never touched, as in 2013",
  touch: "one word a page",
  copy: "every byte",
};

type Kind = Series | "past";

/** From back to front. */
const LINES: readonly { kind: Kind; name: string; shape: Shape }[] = [
  { kind: "past", name: "2013, another machine", shape: "small circle" },
  { kind: "no-mmap", name: "without mmap", shape: "diamond" },
  { kind: "stock", name: "as Debian ships it", shape: "square" },
  { kind: "ours", name: "with our series", shape: "circle" },
];

/** Without mmap a kernel reads as stock does: its line is a broad band, for it lies behind the other. */
const RULES = [
  ".gain{font-size:25px;font-weight:650}",
  ".version{font-size:16px;font-weight:650}",
  ".no-mmap polyline{stroke-width:9;stroke-opacity:.35}",
];

/** The chart as an SVG document. */
export function renderChart(experiment: Experiment): string {
  const versions = versionsOf(experiment);
  const sizes = MODES.flatMap((mode) => sizesOf(experiment, "wall", mode));
  const past = VMCORE_2013.map(({ gibPerSecond }) => gibPerSecond);
  const rates = experiment.kernels.flatMap(({ wall }) => wall.rows.map((row) => row.gibPerSecond));
  const x = {
    min: Math.min(...sizes, ...VMCORE_2013.map(({ size }) => size)),
    max: Math.max(...sizes, ...VMCORE_2013.map(({ size }) => size)),
  };
  const y = decadeAxis([...rates, ...past, READ_2013.gibPerSecond]);
  const height = TOP + versions.length * ROW - 20;
  const description = [
    "Lines over block and map sizes on two logarithmic axes; rates in GiB/s; up is faster.",
    ...versions.flatMap((version) =>
      MODES.map(
        (mode) => `Linux ${version}, ${mode}: ${gainText(experiment, version, mode) ?? "not measured"}.`,
      ),
    ),
  ].join(" ");
  return svgDocument({ width: WIDTH, height }, { title: TITLE, description }, chartStyle(colours, RULES), [
    ...heading(experiment),
    ...versions.flatMap((version, row) => drawRow(experiment, version, TOP + row * ROW, x, y)),
  ]);
}

function heading(experiment: Experiment): string[] {
  const first = experiment.kernels[0]?.wall;
  const what = `Measured in capture kernels under ${clip(first?.cpu ?? "qemu", 40)}.`;
  let at = LEFT - 40;
  const legend = LINES.toReversed().map(({ kind, name, shape }) => {
    const point = (x: number): Point => ({ x, y: 88, text: name });
    const sign = [polyline([point(at), point(at + 26)]), marker(shape, point(at + 13))];
    const words = text(at + 33, 92, "name", name);
    at += 58 + name.length * 8;
    return group(kind, [...sign, words]);
  });
  return [
    text(LEFT - 40, 34, "title", TITLE),
    text(
      LEFT - 40,
      57,
      "muted",
      `GiB/s over map size (for read: block size), both log scale; up is faster. ${what}`,
    ),
    ...legend,
  ];
}

function drawRow(experiment: Experiment, version: Version, top: number, x: LogAxis, y: LogAxis): string[] {
  const width = (RIGHT - LEFT - GAP * (MODES.length - 1)) / MODES.length;
  const name = text(LEFT, top - 32, "version", `Linux ${version}`);
  const tables = text(LEFT + 108, top - 32, "muted", tablesText(experiment, version));
  const plots = MODES.flatMap((mode, column) => {
    const left = LEFT + column * (width + GAP);
    const frame: Frame = { left, right: left + width, top, bottom: top + PLOT };
    const gain = gainOf(experiment, version, mode);
    const lines = LINES.map((line) => ({ line, samples: samplesOf(experiment, version, mode, line.kind) }));
    const isLow = lines.every(({ samples }) =>
      samples.every(({ gibPerSecond }) => positionOn(y, gibPerSecond) < 0.6),
    );
    return [
      text(left, top - 9, "axis", `${mode}: ${HEADS[mode]}`),
      ...rateAxis(y, frame, column === 0, false),
      ...sizeAxis(x, frame, 4),
      ...lines.map(({ line, samples }) => drawLine(line, samples, x, y, frame)),
      ...(gain === undefined ? [] : drawGain(gain, isLow, frame)),
    ];
  });
  return [name, tables, ...plots];
}

/** Above lines that stay low, else at the right below them: small sizes are slow in every mode. */
function drawGain({ size, times }: Gain, isLow: boolean, { left, right, top, bottom }: Frame): string[] {
  const words = `as fast as stock at ${formatSize(size)}`;
  if (isLow) {
    return [text(left + 8, top + 32, "gain", timesText(times)), text(left + 8, top + 49, "detail", words)];
  }
  return [
    text(right - 8, bottom - 28, "gain end", timesText(times)),
    text(right - 8, bottom - 11, "detail end", words),
  ];
}

/** What the largest window takes of page tables, in words. */
function tablesText(experiment: Experiment, version: Version): string {
  const [stock, ours] = (["stock", "ours"] as const).map(
    (name) => kernelOf(experiment, version, name)?.tables,
  );
  const largest = (report: typeof stock) =>
    report?.rows.findLast(({ pageTableGrowth }) => pageTableGrowth !== undefined);
  const [before, after] = [largest(stock), largest(ours)];
  if (before?.pageTableGrowth === undefined || after?.pageTableGrowth === undefined) return "";
  const [much, little] = [before.pageTableGrowth, after.pageTableGrowth].map(formatSize);
  return `page tables of a window of ${formatSize(before.size)}, touched: ${much} as Debian ships it, ${little} with our series`;
}

function drawLine(
  { kind, name, shape }: (typeof LINES)[number],
  samples: readonly Sample[],
  x: LogAxis,
  y: LogAxis,
  frame: Frame,
): string {
  const pieces = piecesOf(name, samples, x, y, frame);
  const lines = pieces.filter((piece) => piece.length > 1).map(polyline);
  return group(kind, [...lines, ...pieces.flat().map((point) => marker(shape, point))]);
}

function samplesOf(experiment: Experiment, version: Version, mode: BenchMode, kind: Kind): readonly Sample[] {
  if (kind !== "past") {
    const kernel = kernelOf(experiment, version, kind);
    return kernel === undefined ? [] : rowsOf(kernel.wall, mode);
  }
  return mode === "map" ? VMCORE_2013 : mode === "read" ? [READ_2013] : [];
}

interface Gain {
  /** bytes read or mapped at a time */
  readonly size: number;
  readonly times: number;
}

/** How many times as fast as stock our series is, at the largest size of both. */
export function gainOf(experiment: Experiment, version: Version, mode: BenchMode): Gain | undefined {
  const [stock, ours] = (["stock", "ours"] as const).map((name) => kernelOf(experiment, version, name)?.wall);
  return sizesOf(experiment, "wall", mode)
    .flatMap((size) => {
      const times = timesAt(stock ?? null, ours ?? null, mode, size);
      return times === undefined ? [] : [{ size, times }];
    })
    .at(-1);
}

function gainText(experiment: Experiment, version: Version, mode: BenchMode): string | undefined {
  const gain = gainOf(experiment, version, mode);
  return gain && `with our series ${timesText(gain.times)} as fast as stock at ${formatSize(gain.size)}`;
}

/** `3.1 ×` */
function timesText(times: number): string {
  return `${times < 9.95 ? times.toFixed(1) : significant(times)} ×`;
}

function colours({ past, modes }: Scheme): [kind: Kind, colour: string][] {
  return [
    ["past", past],
    ["no-mmap", modes.read],
    ["stock", modes.touch],
    ["ours", modes.map],
  ];
}
