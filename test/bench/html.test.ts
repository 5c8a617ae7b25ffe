/** The benchmark's page: self-contained, escaped, and with every figure in it. */
import { describe, expect, it } from "bun:test";
import { renderHtml } from "../../src/bench/html.ts";
import { escapeMarkup } from "../../src/bench/markup.ts";
import { DARK, LIGHT, type Scheme } from "../../src/bench/palette.ts";
import { MODE_TEXT, MODES } from "../../src/bench/rows.ts";
import { HOSTILE, REPORTS, report, whole } from "./reports.ts";
import { descendants, parseXml } from "./xml.ts";

/** The page's body as elements: it is written so that XML's stricter rules hold there too. */
function body(html: string) {
  return parseXml(/<body>[\s\S]*<\/body>/.exec(html)?.[0] ?? "");
}

describe("renderHtml", () => {
  it.each(REPORTS)("is whole and needs nothing else: %s", (_, drawn) => {
    const html = renderHtml(drawn);
    expect(html).toStartWith("<!doctype html>\n");
    expect(html).toEndWith("</html>\n");
    expect(html).not.toMatch(/<script|<link|<img|src=|url\(|@import|NaN|Infinity|undefined/);
    expect(body(html).name).toBe("body");
  });

  it("has a row for each size of each mode, with time, rate and spread", () => {
    const tables = descendants(body(renderHtml(whole))).filter(({ name }) => name === "table");
    const cells = tables.map((table) =>
      descendants(table)
        .filter(({ name }) => name === "tr")
        .map((row) => row.children.map(({ text }) => text)),
    );
    expect(cells.map((rows) => rows.length - 1)).toEqual([4, 15, 15, 15, 15]);
    expect(cells[1]?.[0]).toEqual([
      "map size",
      "time",
      "GiB/s",
      "ns a page",
      "page table",
      "fastest",
      "slowest",
      "spread",
      "2013 GiB/s",
    ]);
    expect(cells[1]?.[15]).toEqual([
      "64 MiB",
      "2.10 ms",
      "1,907.00",
      "2.0",
      "128 KiB",
      "1.68 ms",
      "2.52 ms",
      "40 %",
      "70.42",
    ]);
    expect(cells[4]?.[11]).toEqual(["4 MiB", "8 KiB", "0.50", "63.38", "0.27", "117.41"]);
  });

  it("explains each mode, names the environment, and cites 2013", () => {
    const html = renderHtml(whole);
    for (const mode of MODES) expect(html).toContain(escapeMarkup(MODE_TEXT[mode]));
    for (const fact of ["6.1.0", "A CPU @ 2.80GHz", "/proc/vmcore", "4,294,967,296", "HATAYAMA Daisuke"]) {
      expect(html).toContain(fact);
    }
  });

  it("holds for dark screens and for paper", () => {
    const html = renderHtml(whole);
    expect(html).toContain("@media screen and (prefers-color-scheme:dark)");
    expect(html).toContain("@media print");
  });

  it("escapes every name", () => {
    const html = renderHtml(report([], { kernel: HOSTILE, cpu: HOSTILE, source: HOSTILE }));
    expect(html).not.toContain("<script");
    expect(html.match(/<\/style>/g)).toHaveLength(2); // the page's and the chart's
    expect(html.match(/<title>[^<]*<\/title>/g)?.[0]).toContain("&lt;script&gt;");
    expect(html).not.toMatch(/[^\P{Cc}\n]|\p{Cs}/u);
    expect(
      descendants(body(html)).filter(({ text }) => text.includes("<script>alert(1)</script>")).length,
    ).toBeGreaterThan(2);
  });
});

describe("colours", () => {
  const schemes: [string, Scheme][] = [
    ["light", LIGHT],
    ["dark", DARK],
  ];
  it.each(schemes)("can be read on %s paper", (_, { paper, ink, muted, past, modes }) => {
    for (const colour of [ink, muted, past, ...Object.values(modes)]) {
      expect(contrast(colour, paper)).toBeGreaterThanOrEqual(4.5);
    }
  });
});

/** WCAG 2 contrast of two colours, 1 to 21. */
function contrast(first: string, second: string): number {
  const luminance = (colour: string) => {
    const [red = 0, green = 0, blue = 0] = [1, 3, 5]
      .map((at) => Number.parseInt(colour.slice(at, at + 2), 16) / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const [dark = 0, light = 0] = [luminance(first), luminance(second)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}
