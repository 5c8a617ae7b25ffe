/** Text tables: alignment, fitting, colours, and no way for a cell to send a terminal anything. */
import { describe, expect, it } from "bun:test";
import { type Look, paint, printable, textWidth, wrap } from "../../src/ui/style.ts";
import { renderTable, type Table, tableLines } from "../../src/ui/table.ts";

const plain: Look = { columns: 80, colours: false };

const segments: Table = {
  columns: [
    { title: "object" },
    { title: "what is in it", wrapTo: 12 },
    { title: "pages\n(4 KiB)", align: "right", optional: 1 },
    { title: "bytes", align: "right" },
  ],
  rows: [
    ["headers", "the ELF header and the program headers", "1", "4,096"],
    ["notes", "registers of each CPU, VMCOREINFO", "12", "49,152"],
    ["PT_LOAD 0", "RAM below 1 MiB", "159", { text: "651,264", style: "good" }],
  ],
  footer: [["", "", "172", "704,512"]],
};

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
const CONTROL = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/;

describe("renderTable", () => {
  it("aligns text left and figures right, rules below the titles and above the totals", () => {
    expect(renderTable(segments, plain)).toBe(
      [
        "                                                     pages",
        "object     what is in it                           (4 KiB)    bytes",
        "-------------------------------------------------------------------",
        "headers    the ELF header and the program headers        1    4,096",
        "notes      registers of each CPU, VMCOREINFO            12   49,152",
        "PT_LOAD 0  RAM below 1 MiB                             159  651,264",
        "-------------------------------------------------------------------",
        "                                                       172  704,512",
        "",
      ].join("\n"),
    );
  });

  it.each([120, 80, 67, 66, 60, 50, 45, 40])("fits %d columns and keeps every figure whole", (columns) => {
    const lines = tableLines(segments, { ...plain, columns });
    for (const line of lines) expect(textWidth(line)).toBeLessThanOrEqual(columns);
    const text = lines.join("\n");
    for (const figure of ["4,096", "49,152", "651,264", "704,512"]) expect(text).toContain(figure);
    // Nothing of what wraps is lost.
    for (const word of ["program", "headers", "VMCOREINFO"]) expect(text).toContain(word);
  });

  it("wraps before it leaves a column out", () => {
    const at = (columns: number) => renderTable(segments, { ...plain, columns });
    expect(at(45)).toContain("(4 KiB)");
    expect(at(40)).not.toContain("(4 KiB)");
  });

  it("leaves out the highest number first", () => {
    const table: Table = {
      columns: ["aaaaaaaaaa", "bbbbbbbbbb", "cccccccccc"].map((title, index) => ({ title, optional: index })),
      rows: [["1", "2", "3"]],
    };
    expect(tableLines(table, { ...plain, columns: 34 })[0]).toBe("aaaaaaaaaa  bbbbbbbbbb  cccccccccc");
    expect(tableLines(table, { ...plain, columns: 33 })[0]).toBe("aaaaaaaaaa  bbbbbbbbbb");
    expect(tableLines(table, { ...plain, columns: 10 })[0]).toBe("aaaaaaaaaa");
  });

  it("writes lines across the table, and rows shorter than the columns", () => {
    const table: Table = {
      columns: segments.columns,
      rows: [{ line: "All of memory", style: "strong" }, ["alone"]],
    };
    expect(tableLines(table, plain).slice(3)).toEqual(["All of memory", "alone"]);
  });

  it("works with nothing in it", () => {
    expect(tableLines({ columns: [], rows: [] }, plain)).toEqual([""]);
    expect(tableLines({ columns: [{ title: "one" }], rows: [] }, plain)).toEqual(["one", "---"]);
  });

  it("has no control character and no trailing space, whatever the cells hold", () => {
    const table: Table = {
      columns: segments.columns,
      rows: [["\x1b[2J\x1b]0;title\x07", "tab\there\r\nnew\u009b31m \u202ehidden", "\b", "\0"]],
      footer: [{ line: "\x1b[31mtotal" }],
    };
    for (const columns of [80, 40]) {
      const text = renderTable(table, { ...plain, columns });
      expect(text).not.toMatch(CONTROL);
      expect(text).not.toContain("\u202e");
      expect(text).not.toMatch(/ \n/);
    }
    // With colours the only escape sequences are ours.
    const coloured = renderTable(table, { ...plain, colours: true });
    expect(Bun.stripANSI(coloured)).toBe(renderTable(table, plain));
  });

  it("colours only when told, and colours change no width", () => {
    const coloured = renderTable(segments, { ...plain, colours: true });
    expect(coloured).toContain("\x1b[32m651,264\x1b[39m");
    expect(Bun.stripANSI(coloured)).toBe(renderTable(segments, plain));
  });

  it("draws rules as lines where Unicode is allowed", () => {
    expect(tableLines(segments, { ...plain, unicode: true })[2]).toMatch(/^─+$/);
  });
});

describe("style", () => {
  it("paints by meaning, whatever the environment says", () => {
    expect(process.env.NO_COLOR).toBe("1");
    expect(paint(true, "bad", "no")).toBe("\x1b[31mno\x1b[39m");
    expect(paint(false, "bad", "no")).toBe("no");
    expect(paint(true, undefined, "no")).toBe("no");
    expect(paint(true, "bad", "")).toBe("");
  });

  it.each([
    ["6.1.0-53-cloud-amd64", "6.1.0-53-cloud-amd64"],
    ["été", "été"],
    ["a\nb\tc", "a?b?c"],
    ["\x1b[31m", "?[31m"],
    ["\x7f\u0085\u2028\u200f", "????"],
  ])("printable %p", (text, expected) => expect(printable(text)).toBe(expected));

  it.each([
    ["a b c", 1, ["a", "b", "c"]],
    ["one two three", 7, ["one two", "three"]],
    ["abcdefghij", 4, ["abcd", "efgh", "ij"]],
    ["go abcdefghij", 4, ["go", "abcd", "efgh", "ij"]],
    ["", 4, [""]],
    ["abc", 0, ["a", "b", "c"]],
  ] as [string, number, string[]][])("wraps %p at %d", (text, width, lines) => {
    expect(wrap(text, width)).toEqual(lines);
  });
});
