/** RESULTS.md: every figure in its place, whatever the run lacks. */
import { describe, expect, it } from "bun:test";
import { renderResults } from "../../kernel/experiment/report.ts";
import { EXPERIMENTS, experiment, kernel, READ_SIZES, whole } from "./experiments.ts";

/** Cells of the tables below a heading, by row. */
function tables(text: string, heading: string): string[][] {
  const section = text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? "";
  return section
    .split("\n")
    .filter((line) => line.startsWith("|"))
    .map((line) => line.slice(1, -1).split("|"))
    .map((cells) => cells.map((cell) => cell.trim()));
}

describe("renderResults", () => {
  const text = renderResults(whole);

  it.each(EXPERIMENTS)("says nothing that is no figure: %s", (_, run) => {
    const rendered = renderResults(run);
    expect(rendered).not.toMatch(/NaN|undefined|Infinity|\[object/);
    expect(rendered).toStartWith("# ");
    expect(rendered).toEndWith("\n");
    expect(rendered).not.toMatch(/\n\n\n|[^\S\n]\n/);
  });

  it("tells when and on what it was measured", () => {
    expect(text.replaceAll("\n", " ")).toContain(
      "on 2030-05-06, in 30 minutes, on A CPU, 2 CPUs, Linux 6.1.0; load average 0.25 to 1.5",
    );
    expect(text).toContain("64 MiB in each row (256 MiB from windows of 2 MiB on), the fastest of 5 rounds.");
    expect(text).toContain("(results.svg)");
  });

  it("has the table of 2013 beside ours, newest version first", () => {
    const [head, , ...rows] = tables(text, "map");
    expect(head).toEqual([
      "map size",
      "page table",
      "2013",
      "6.12 stock",
      "6.12 ours",
      "times stock",
      "6.1 stock",
      "6.1 ours",
      "times stock",
    ]);
    expect(rows[0]).toEqual(["4 KiB", "8 B", "0.400", "0.100", "6.00", "60.0", "0.100", "0.100", "1.00"]);
    expect(rows[14]).toEqual([
      ...["64 MiB", "128 KiB", "70.4", "40.0", "2,400", "60.0", "40.0", "40.0", "1.00"],
    ]);
    // And behind it what was counted.
    expect(rows[15]?.slice(0, 4)).toEqual(["map size", "page table", "6.12 stock", "6.12 ours"]);
    expect(rows.at(-1)?.slice(0, 3)).toEqual(["64 MiB", "128 KiB", "95.4"]);
  });

  it("has a column for the kernel without mmap where it can do something", () => {
    const [head, , ...rows] = tables(text, "read");
    expect(head?.filter((title) => title.includes("no-mmap"))).toEqual(["6.12 no-mmap", "6.1 no-mmap"]);
    expect(rows.slice(0, READ_SIZES.length).map(([size]) => size)).toEqual([
      ...["4 KiB", "8 KiB", "16 KiB", "32 KiB", "64 KiB", "128 KiB", "256 KiB", "512 KiB", "1 MiB"],
    ]);
    expect(rows[0]?.[1]).toBe("0.209");
    expect(rows[1]?.[1]).toBe("-");
    for (const mode of ["map", "touch", "copy", "Page tables"]) {
      expect(tables(text, mode)[0]?.join()).not.toContain("no-mmap");
    }
    expect(text).toContain(
      "- 6.1 no-mmap: map at 4096 bytes could not be measured: mmap fails (and 1 more rows)",
    );
  });

  it("has what a window takes of page tables, and the fastest of copies", () => {
    const page = tables(text, "Page tables");
    expect(page.at(-1)).toEqual(["512 MiB", "1 MiB", "1 MiB", "12 KiB", "1 MiB", "1 MiB"]);
    const copies = tables(text, "Copy and verify");
    expect(copies.map(([name]) => name).slice(2)).toEqual([
      ...["6.12 no-mmap", "6.12 stock", "6.12 ours", "6.1 no-mmap", "6.1 stock", "6.1 ours"],
    ]);
    expect(copies[2]).toEqual([
      ...["6.12 no-mmap", "read, 4 MiB", "1.00 s, 512 MiB/s", "10.0 s", "4.00 s", "250 ms"],
    ]);
  });

  it("names a missed target as missed", () => {
    expect(text).not.toContain("**missed**");
    const missed = experiment([kernel("6.12", "stock"), kernel("6.12", "ours", { map: 2 })]);
    expect(renderResults(missed)).toMatch(
      /6\.12: map at 64 MiB, time a page\s*\|[^|]*\|[^|]*\| \*\*missed\*\*/,
    );
  });

  it("says beside the figures what they cannot show", () => {
    expect(text).toMatch(/does not show the cost of uncached memory/);
    expect(text).toMatch(/to copy a page is 512 instructions/);
  });
});
