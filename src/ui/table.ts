/**
 * Text tables that fit the terminal they are shown on. Too wide a table first gives up its optional columns, then wraps
 * the columns that may wrap; figures are never cut.
 */
import { type Look, pad, paint, printable, type Style, textWidth, wrap } from "./style.ts";

/** A column. Titles may hold line feeds: `page table\n(bytes)`. */
export interface Column {
  title: string;
  /** Figures are aligned right. Left unless told. */
  align?: "left" | "right";
  /** May be wrapped when the table is too wide, down to this many characters. */
  wrapTo?: number;
  /** May be left out when the table is too wide; the highest number goes first. */
  optional?: number;
}

/** A cell's text, or text and what it means. Control characters in it are made visible as `?`. */
export type Cell = string | { text: string; style: Style | undefined };

/** Cells in the order of the columns (missing ones are empty), or a line of its own across the table. */
export type Row = readonly Cell[] | { line: string; style?: Style };

/** The parts of a table. */
export interface Table {
  columns: readonly Column[];
  rows: readonly Row[];
  /** Totals, below a second rule. */
  footer?: readonly Row[];
}

const GAP = "  ";

/** The table as lines without line feeds, none longer than `look.columns` where that can be done. */
export function tableLines(table: Table, look: Look): string[] {
  const layout = fit(table, look.columns);
  const rows = (from: readonly Row[]) => from.flatMap((row) => rowLines(row, layout, look));
  const ruler = (look.unicode ? "─" : "-").repeat(Math.max(0, total(layout)));
  const rule = paint(look.colours, "dim", ruler);
  const footer = table.footer ?? [];
  return [
    ...headerLines(layout, look),
    rule,
    ...rows(table.rows),
    ...(footer.length > 0 ? [rule, ...rows(footer)] : []),
  ];
}

/**
 * The table as text, each line ended by a line feed.
 *
 * @example
 * ```ts
 * renderTable({ columns: [{ title: "what" }, { title: "bytes", align: "right" }], rows: [["notes", "4,096"]] }, look);
 * ```
 */
export function renderTable(table: Table, look: Look): string {
  return `${tableLines(table, look).join("\n")}\n`;
}

/** Characters that the table's columns and the gaps between them take, as {@link tableLines} would draw them. */
export function tableWidth(table: Table, look: Look): number {
  return total(fit(table, look.columns));
}

/** A column that is shown: which one, and how wide. */
interface Slot {
  column: Column;
  index: number;
  width: number;
}

function fit(table: Table, columns: number): Slot[] {
  const cells = [...table.rows, ...(table.footer ?? [])].filter(
    (row): row is readonly Cell[] => !("line" in row),
  );
  let slots = table.columns.map((column, index): Slot => {
    const widths = column.title.split("\n").map(textWidth);
    for (const row of cells) widths.push(textWidth(textOf(row[index])));
    return { column, index, width: Math.max(...widths) };
  });
  // A column that may wrap is counted at its least width here: wrapping loses nothing, leaving out does.
  const least = () => total(slots.map((slot) => ({ ...slot, width: floor(slot) })));
  while (least() > columns) {
    const ranks = slots.map((slot) => slot.column.optional ?? -1);
    const worst = Math.max(...ranks);
    if (worst < 0) break;
    slots = slots.filter((_, position) => position !== ranks.lastIndexOf(worst));
  }
  for (let excess = total(slots) - columns; excess > 0; excess--) {
    const widest = slots
      .filter((slot) => slot.width > floor(slot))
      .reduce<Slot | undefined>((best, slot) => (best && best.width >= slot.width ? best : slot), undefined);
    if (widest === undefined) break;
    widest.width--;
  }
  return slots;
}

function floor({ column, width }: Slot): number {
  return column.wrapTo === undefined ? width : Math.min(width, Math.max(1, column.wrapTo));
}

function total(slots: readonly Slot[]): number {
  return slots.reduce((sum, slot) => sum + slot.width, 0) + GAP.length * Math.max(0, slots.length - 1);
}

function headerLines(slots: readonly Slot[], look: Look): string[] {
  const titles = slots.map(({ column, width }) =>
    column.title.split("\n").flatMap((line) => wrap(line, width)),
  );
  const height = Math.max(0, ...titles.map((lines) => lines.length));
  // Titles stand on the rule: the short ones are filled up from above.
  const stood = titles.map((lines) => [...Array<string>(height - lines.length).fill(""), ...lines]);
  return assemble(
    slots,
    stood,
    stood.map(() => "strong" as const),
    look,
  );
}

function rowLines(row: Row, slots: readonly Slot[], look: Look): string[] {
  if ("line" in row) {
    return wrap(printable(row.line), look.columns).map((line) => paint(look.colours, row.style, line));
  }
  const cells = slots.map(({ index }) => row[index]);
  const texts = slots.map(({ width }, position) => wrap(textOf(cells[position]), width));
  return assemble(
    slots,
    texts,
    cells.map((cell) => (typeof cell === "object" ? cell.style : undefined)),
    look,
  );
}

/** Cells of one or more lines side by side. Nothing is left of trailing spaces: they would wrap on a narrow console. */
function assemble(
  slots: readonly Slot[],
  cells: readonly (readonly string[])[],
  styles: readonly (Style | undefined)[],
  look: Look,
): string[] {
  const height = Math.max(0, ...cells.map((lines) => lines.length));
  return Array.from({ length: height }, (_, y) => {
    let line = "";
    let owed = ""; // spaces not written until something follows them
    slots.forEach((slot, position) => {
      const text = cells[position]?.[y] ?? "";
      const filled = pad(text, slot.width, slot.column.align ?? "left");
      const body = filled.trimEnd();
      const lead = body.length - body.trimStart().length;
      if (body !== "") {
        line += owed + body.slice(0, lead) + paint(look.colours, styles[position], body.slice(lead));
        owed = "";
      }
      owed += filled.slice(body.length) + GAP;
    });
    return line;
  });
}

function textOf(cell: Cell | undefined): string {
  return printable(cell === undefined ? "" : typeof cell === "string" ? cell : cell.text);
}
