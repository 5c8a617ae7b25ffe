/** The benchmark as text, its figures beside those of 2013. */
import { describe, expect, it } from "bun:test";
import { axisLine, logBar } from "../../src/bench/bars.ts";
import { OLDMEM_2013, READ_2013, VMCORE_2013 } from "../../src/bench/history.ts";
import { renderText } from "../../src/bench/report.ts";
import { MODE_TEXT, MODES, rate2013, rateRange, spreadText } from "../../src/bench/rows.ts";
import { highlights, highlightText, significant } from "../../src/bench/summary.ts";
import { HOSTILE, REPORTS, report, row, whole } from "./reports.ts";

const wide = { columns: 120, colours: false };

describe("renderText", () => {
  it("has the columns of 2013, today's figures and the old ones in one line", () => {
    const lines = renderText(whole, wide).split("\n");
    const cells = (size: string, nth: number) =>
      lines
        .filter((line) => line.trim().startsWith(size))
        [nth]?.trim()
        .split(/ {2,}/);
    expect(lines.find((line) => line.includes("page table"))?.trim()).toMatch(
      /^size +time +page table +GiB\/s +2013 +spread +ns\/page +0\.1 +1 +10 +100 +1,000/,
    );
    expect(cells("4 KiB", 0)?.slice(0, 5)).toEqual(["4 KiB", "16.7 s", "-", "0.24", "0.21"]);
    expect(cells("4 KiB", 1)?.slice(0, 5)).toEqual(["4 KiB", "9.52 s", "8 B", "0.42", "0.40"]);
    expect(cells("64 MiB", 0)?.slice(0, 6)).toEqual([
      "64 MiB",
      "2.10 ms",
      "128 KiB",
      "1,907.00",
      "70.42",
      "40 %",
    ]);
    // 2013 measured no touch and no copy.
    expect(cells("64 MiB", 1)?.[4]).toBe("-");
  });

  it("explains each mode it shows, and no other", () => {
    const text = renderText(report([row("touch", 4096, 1)]), { columns: 1000, colours: false });
    for (const mode of MODES) expect(text.includes(`${mode}: ${MODE_TEXT[mode]}`)).toBe(mode === "touch");
    expect(text).not.toContain("2013");
  });

  it("says that the bars are on a log scale, and whose figures are beside them", () => {
    const text = renderText(whole, wide);
    expect(text).toContain("log scale");
    expect(text).toContain("| marks 2013.");
    expect(text).toContain("another machine's");
    expect(renderText(whole, { ...wide, unicode: true })).toContain("│ marks 2013.");
  });

  it.each(REPORTS)("fits 50 to 140 columns without control characters: %s", (_, drawn) => {
    for (const columns of [50, 60, 80, 100, 140]) {
      const text = renderText(drawn, { columns, colours: false });
      expect(text).toMatch(/^[\x20-\x7e\n]*$/);
      for (const line of text.split("\n")) expect(line.length).toBeLessThanOrEqual(columns);
      expect(text).not.toMatch(/NaN|Infinity|undefined/);
    }
  });

  it("colours without changing a character", () => {
    expect(Bun.stripANSI(renderText(whole, { ...wide, colours: true }))).toBe(renderText(whole, wide));
  });

  it("sends a terminal nothing of what a name may hold", () => {
    const text = renderText(report([], { kernel: HOSTILE, cpu: HOSTILE, source: HOSTILE }), wide);
    expect(text).not.toContain("\x1b");
    expect(text).not.toContain("\x00");
  });
});

describe("bars", () => {
  const axis = { min: 0.1, max: 1000 }; // four decades

  it.each([
    [0.1, undefined, "#"],
    [1, undefined, "###########"],
    [10, undefined, "#####################"],
    [1000, undefined, "#".repeat(40)],
    [1, 10, "###########         |"],
    [10, 1, "##########|##########"],
    [1, 1, "##########|"],
    [0, 1, "          |"],
    [Number.NaN, undefined, ""],
    [Infinity, undefined, ""],
    [5000, 0.001, `|${"#".repeat(39)}`],
  ] as [number, number | undefined, string][])("%d with a mark at %p", (value, mark, bar) => {
    expect(logBar(axis, 40, value, mark)).toBe(bar);
  });

  it("has its figures where the values lie", () => {
    expect(axisLine(axis, 40)).toBe("0.1       1         10        100  1,000");
    expect(axisLine(axis, 12)).toBe("0.1   10 100");
  });
});

describe("2013", () => {
  it.each([
    ["/proc/vmcore", VMCORE_2013],
    ["/dev/oldmem", OLDMEM_2013],
  ] as const)("has fifteen sizes of %s whose rates fit their times", (_, rows) => {
    expect(rows.map(({ size }) => size)).toEqual(Array.from({ length: 15 }, (_, n) => 4096 << n));
    for (const { size, seconds, pageTableBytes, gibPerSecond } of rows) {
      expect(pageTableBytes).toBe((size / 4096) * 8);
      // Within what two printed decimals of a time leave open.
      expect(Math.abs(31.7 / gibPerSecond - seconds)).toBeLessThan(0.006 + seconds * 0.02);
    }
  });

  it("read 31.7 GiB in two and a half minutes", () => {
    expect(READ_2013.gibPerSecond * READ_2013.seconds).toBeCloseTo(31.7, 1);
  });

  it.each([
    ["read", 4096, 214.26 / 1024],
    ["read", 65536, undefined],
    ["map", 4096, 0.4],
    ["map", 64 * 1024 ** 2, 70.42],
    ["map", 128 * 1024 ** 2, undefined],
    ["touch", 4096, undefined],
    ["copy", 4096, undefined],
  ] as const)("%s at %d", (mode, size, rate) => expect(rate2013(mode, size)).toBe(rate));
});

describe("figures", () => {
  it("tells the best of each mode, and how much better than reading", () => {
    expect(highlights(whole).map((highlight) => highlightText(whole, highlight))).toEqual([
      "read: 0.240 GiB/s at 4 KiB",
      "map: 1,907 GiB/s at 64 MiB, 7,946 times read at 4 KiB",
      "touch: 18.8 GiB/s at 64 MiB, 78.4 times read at 4 KiB",
      "copy: 5.58 GiB/s at 64 MiB, 23.3 times read at 4 KiB",
    ]);
    expect(highlights(report([]))).toEqual([]);
  });

  it.each([
    [0.2092, "0.209"],
    [0.00123, "0.00123"],
    [5.174, "5.17"],
    [63.38, "63.4"],
    [1113.2, "1,113"],
    [0, "0"],
    [Number.NaN, "-"],
  ])("significant %d", (value, text) => expect(significant(value)).toBe(text));

  it("turns the spread of times into a spread of rates", () => {
    const measured = row("map", 4096, 2, 0.5); // 2 s, 1 to 3 s
    expect(spreadText(measured)).toBe("100 %");
    expect(rateRange(measured)).toEqual({ slowest: 2 / 1.5, fastest: 4 });
    expect(rateRange(row("map", 4096, 2))).toBeUndefined();
    expect(spreadText(row("map", 4096, 2))).toBeUndefined();
  });
});
