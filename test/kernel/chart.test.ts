/** The experiment's chart: well-formed, on its paper, to scale, and readable by those who do not see it. */
import { describe, expect, it } from "bun:test";
import { gainOf, renderChart } from "../../kernel/experiment/chart.ts";
import { DARK } from "../../src/bench/palette.ts";
import { MODES } from "../../src/bench/rows.ts";
import { descendants, is, parseXml } from "../bench/xml.ts";
import { EXPERIMENTS, experiment, kernel, whole } from "./experiments.ts";

describe("renderChart", () => {
  it.each(EXPERIMENTS)("is well-formed, needs nothing and stays on its paper: %s", (_, run) => {
    const svg = renderChart(run);
    const root = parseXml(svg);
    const [width, height] = [Number(root.attributes.width), Number(root.attributes.height)];
    expect(svg).not.toMatch(/NaN|Infinity|undefined|href|url\(|@import|<script/);
    for (const { name, attributes, text } of descendants(root)) {
      for (const x of ["x", "x1", "x2", "cx"].flatMap((key) => attributes[key] ?? [])) {
        expect(Number(x)).toBeWithin(0, width + 1);
      }
      for (const y of ["y", "y1", "y2", "cy"].flatMap((key) => attributes[key] ?? [])) {
        expect(Number(y)).toBeWithin(0, height + 1);
      }
      if (name === "text" && !is({ name, attributes, text, children: [] }, "middle")) {
        // Wider than any face it may be set in.
        expect(is({ name, attributes, text, children: [] }, "end") || text.length * 6.2 < width).toBeTrue();
      }
    }
    expect(svg).toContain(`prefers-color-scheme:dark){.vmcopy-chart .paper{fill:${DARK.paper}}`);
  });

  it("has a line for each series in each plot, and the past where it was measured", () => {
    const lines = (kind: string) =>
      descendants(parseXml(renderChart(whole)))
        .filter((element) => element.name === "g" && is(element, kind))
        .flatMap(({ children }) => children)
        .filter(({ name }) => name === "polyline");
    // And one in the legend.
    expect(lines("ours")).toHaveLength(2 * MODES.length + 1);
    expect(lines("stock")).toHaveLength(2 * MODES.length + 1);
    expect(lines("no-mmap")).toHaveLength(2 + 1);
    expect(lines("past")).toHaveLength(2 + 1);
  });

  it("draws ours above stock by as many decades as it is faster", () => {
    const svg = renderChart(whole);
    const heights = (kind: string) => {
      const group = descendants(parseXml(svg)).filter((element) => is(element, kind));
      // Legend, then read, map, ... of the newest version.
      const [line] = (group[2]?.children ?? []).filter(({ name }) => name === "polyline");
      return (line?.attributes.points ?? "").split(" ").map((pair) => Number(pair.split(",")[1]));
    };
    const grid = descendants(parseXml(svg)).filter(
      ({ attributes }) => attributes.class === "grid" && attributes.x1 === "58",
    );
    const decade = Number(grid[0]?.attributes.y1) - Number(grid[1]?.attributes.y1);
    const [stock, ours] = [heights("stock"), heights("ours")];
    expect(stock).toHaveLength(15);
    for (const [n, y] of stock.entries())
      expect((y - (ours[n] ?? 0)) / decade).toBeCloseTo(Math.log10(60), 2);
  });

  it("tells the gain at the largest size that both have", () => {
    expect(gainOf(whole, "6.12", "read")?.size).toBe(2 ** 20);
    expect(gainOf(whole, "6.12", "map")?.size).toBe(2 ** 26);
    expect(gainOf(whole, "6.12", "map")?.times).toBeCloseTo(60, 9);
    expect(gainOf(experiment([kernel("6.12", "ours")]), "6.12", "map")).toBeUndefined();
    expect(renderChart(whole)).toContain(
      "Linux 6.12, map: with our series 60.0 × as fast as stock at 64 MiB.",
    );
  });
});
