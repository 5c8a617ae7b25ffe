/** The chart: well-formed, self-contained, and with each point where its axes say its figure lies. */
import { describe, expect, it } from "bun:test";
import { closeAxis, decadeAxis, decades, positionOn } from "../../src/bench/axis.ts";
import { CHART, layOut, spreadOut } from "../../src/bench/chart.ts";
import { VMCORE_2013 } from "../../src/bench/history.ts";
import { type BenchReport, renderText } from "../../src/bench/report.ts";
import { rowsOf } from "../../src/bench/rows.ts";
import { renderSvg } from "../../src/bench/svg.ts";
import { parseSize } from "../../src/units.ts";
import { HOSTILE, REPORTS, report, row, whole } from "./reports.ts";
import { descendants, type Element, is, parseXml } from "./xml.ts";

/** Reads the chart as a person would: by the figures at its axes. */
function readChart(drawn: BenchReport) {
  const elements = descendants(parseXml(renderSvg(drawn)));
  const scale = (kind: string, pixel: "x" | "y", value: (text: string) => number) => {
    const ticks = elements
      .filter((element) => is(element, "axis") && is(element, kind) && !is(element, "strong"))
      .map((element) => ({
        value: value(element.text),
        at: Number(element.attributes[pixel]) - (pixel === "y" ? 4 : 0),
      }));
    const [first, last] = [ticks[0], ticks.at(-1)];
    if (first === undefined || last === undefined || ticks.length < 2)
      throw new Error("an axis without figures");
    return (at: number) =>
      first.value * (last.value / first.value) ** ((at - first.at) / (last.at - first.at));
  };
  const rateAt = scale("end", "y", (text) => Number(text.replace(",", "")));
  const sizeAt = scale("middle", "x", (text) => parseSize(text.replace(/ ([KMGT])iB/, "$1")));
  const polyline = (kind: string) =>
    elements
      .filter((element) => element.name === "g" && is(element, kind))
      .flatMap((element) => element.children)
      .filter((element) => element.name === "polyline")
      .map(({ attributes }) =>
        (attributes.points ?? "").split(" ").map((pair) => {
          const [x = Number.NaN, y = Number.NaN] = pair.split(",").map(Number);
          return { size: sizeAt(x), rate: rateAt(y) };
        }),
      );
  return { elements, polyline };
}

describe("renderSvg", () => {
  it.each(["map", "touch", "copy", "read"] as const)(
    "draws %s where the axes say its figures lie",
    (mode) => {
      const [line = []] = readChart(whole).polyline(mode);
      const rows = rowsOf(whole, mode);
      expect(line).toHaveLength(rows.length);
      for (const [n, { size, gibPerSecond }] of rows.entries()) {
        expect(Math.abs((line[n]?.size ?? 0) / size - 1)).toBeLessThan(0.001);
        expect(Math.abs((line[n]?.rate ?? 0) / gibPerSecond - 1)).toBeLessThan(0.001);
      }
    },
  );

  it.each(REPORTS)("draws the curve of 2013 dashed and to scale beside: %s", (_, drawn) => {
    const chart = readChart(drawn);
    const [line = []] = chart.polyline("past");
    expect(line).toHaveLength(VMCORE_2013.length);
    for (const [n, { size, gibPerSecond }] of VMCORE_2013.entries()) {
      expect(Math.abs((line[n]?.size ?? 0) / size - 1)).toBeLessThan(0.002);
      expect(Math.abs((line[n]?.rate ?? 0) / gibPerSecond - 1)).toBeLessThan(0.002);
    }
    expect(renderSvg(drawn)).toMatch(/\.past polyline\{[^}]*stroke-dasharray/);
  });

  it.each(REPORTS)("is well-formed, needs nothing and stays on its paper: %s", (_, drawn) => {
    const svg = renderSvg(drawn);
    const root = parseXml(svg);
    expect(root.name).toBe("svg");
    expect(svg).not.toMatch(/NaN|Infinity|undefined|href|url\(|@import|<script/);
    expect(svg.match(/https?:[^"]*/g)).toEqual(["http://www.w3.org/2000/svg"]);
    for (const { attributes } of descendants(root)) {
      for (const name of ["x", "x1", "x2", "cx"]) {
        if (attributes[name] === undefined) continue;
        expect(Number(attributes[name])).toBeWithin(0, CHART.width);
      }
      for (const name of ["y", "y1", "y2", "cy"]) {
        if (attributes[name] === undefined) continue;
        expect(Number(attributes[name])).toBeWithin(0, CHART.height);
      }
    }
  });

  it.each(REPORTS)("keeps labels apart and inside: %s", (_, drawn) => {
    const places = layOut(drawn)
      .series.map(({ label }) => label.y)
      .sort((a, b) => a - b);
    for (let n = 1; n < places.length; n++) {
      expect((places[n] ?? 0) - (places[n - 1] ?? 0)).toBeGreaterThan(28);
    }
    expect(places[0]).toBeGreaterThanOrEqual(CHART.top);
    expect(places.at(-1)).toBeLessThanOrEqual(CHART.bottom);
  });

  it("interrupts a line where a rate cannot be drawn, and leaves out a mode with none", () => {
    const drawn = report(
      [1, 0, 2, 4, Infinity, 8].map((rate, n) => ({ ...row("map", 4096 << n, 1), gibPerSecond: rate })),
    );
    drawn.rows.push({ ...row("copy", 4096, 1), gibPerSecond: Number.NaN });
    const chart = layOut(drawn);
    expect(chart.series.map(({ kind }) => kind)).toEqual(["map", "past", "pastRead"]);
    expect(chart.series[0]?.pieces.map((piece) => piece.length)).toEqual([1, 2, 1]);
  });

  it("draws the spread of the repetitions", () => {
    const spreads = (drawn: BenchReport) =>
      descendants(parseXml(renderSvg(drawn))).filter((element) => is(element, "spread"));
    expect(spreads(whole)).toHaveLength(whole.rows.length);
    expect(spreads(report([row("map", 4096, 1)]))).toHaveLength(0);
  });

  it("speaks to screen readers and follows the colour scheme", () => {
    const svg = renderSvg(whole);
    const root = parseXml(svg);
    expect(root.attributes.role).toBe("img");
    const named = (root.attributes["aria-labelledby"] ?? "").split(" ");
    const texts = descendants(root).filter(({ attributes }) => named.includes(attributes.id ?? ""));
    expect(texts.map(({ name }) => name)).toEqual(["title", "desc"]);
    expect(texts[1]?.text).toContain("copy: 5.58 GiB/s at 64 MiB");
    expect(svg).toContain("prefers-color-scheme:dark");
  });

  it("escapes every name", () => {
    const drawn = report([], { kernel: HOSTILE, cpu: HOSTILE, source: HOSTILE });
    const texts = descendants(parseXml(renderSvg(drawn))).map((element: Element) => element.text);
    expect(texts.some((text) => text.includes("<script>"))).toBe(true);
    expect(renderSvg(drawn)).not.toContain("<script");
    expect(renderSvg(drawn)).not.toMatch(/[^\P{Cc}\n]|\p{Cs}/u);
  });

  it("leaves the report as it was", () => {
    const before = JSON.stringify(whole);
    renderSvg(whole);
    renderText(whole, { columns: 80, colours: true });
    expect(JSON.stringify(whole)).toBe(before);
  });
});

describe("axes", () => {
  it.each([
    [[0.21, 70], 0.1, 100],
    [[1000], 1000, 10000],
    [[0.001, 1000], 0.001, 1000],
    [[], 1, 10],
    [[0, Number.NaN, Infinity, -1], 1, 10],
  ] as [number[], number, number][])("decadeAxis(%p)", (values, min, max) => {
    expect(decadeAxis(values)).toEqual({ min, max });
  });

  it.each([
    [[0.21, 70], 0.1, 100],
    [[0.31, 190], 0.2, 200],
    [[0.6, 400], 0.5, 500],
    [[3, 4], 1, 10],
  ] as [number[], number, number][])("closeAxis(%p)", (values, min, max) => {
    expect(closeAxis(values)).toEqual({ min, max });
  });

  it("has its ends at 0 and 1, and powers of ten between", () => {
    const axis = { min: 0.2, max: 2000 };
    expect(positionOn(axis, 0.2)).toBe(0);
    expect(positionOn(axis, 2000)).toBeCloseTo(1, 12);
    expect(positionOn(axis, 20)).toBeCloseTo(0.5, 12);
    expect(decades(axis)).toEqual([1, 10, 100, 1000]);
  });
});

describe("spreadOut", () => {
  it.each([
    [
      [100, 200],
      [100, 200],
    ],
    [
      [100, 100],
      [95, 105],
    ],
    [
      [105, 100],
      [107.5, 97.5],
    ],
    [
      [0, 0, 0],
      [0, 10, 20],
    ],
    [
      [500, 499],
      [500, 490],
    ],
    [
      [100, 101, 200],
      [95.5, 105.5, 200],
    ],
    [[], []],
  ] as [number[], number[]][])("%p", (wanted, places) =>
    expect(spreadOut(wanted, 10, 0, 500)).toEqual(places),
  );
});
