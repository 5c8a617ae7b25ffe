/** A benchmark as text: the table of 2013 with today's figures, and bars beside them. */
import { type Look, paint, printable, type Style, wrap } from "../ui/style.ts";
import { type Column, type Row, type Table, tableLines, tableWidth } from "../ui/table.ts";
import { formatDuration, formatFixed, formatSize, NO_FIGURE } from "../units.ts";
import { decadeAxis, type LogAxis } from "./axis.ts";
import { axisLine, logBar, markChar } from "./bars.ts";
import {
  type BenchMode,
  type BenchReport,
  type BenchRow,
  has2013,
  MODE_TEXT,
  modesOf,
  rate2013,
  rateDecimals,
  remarks,
  repeatText,
  rowsOf,
  spreadText,
} from "./rows.ts";
import { highlights, highlightText } from "./summary.ts";

export type { BenchMode, BenchReport, BenchRow } from "./rows.ts";

const MODE_STYLE: Record<BenchMode, Style> = { read: "second", map: "accent", touch: "warn", copy: "good" };

/** Narrower bars show nothing. */
const LEAST_BAR = 12;
const WIDEST_BAR = 60;

/**
 * The report for a terminal or a log, each line ended by a line feed and at most `look.columns` wide (from 50 on).
 *
 * @example
 * ```ts
 * process.stdout.write(renderText(report, { columns: 80, colours: false }));
 * ```
 */
export function renderText(report: BenchReport, look: Look): string {
  const text = (line: string, style?: Style) =>
    wrap(line, look.columns).map((part) => paint(look.colours, style, part));
  return `${[
    ...text(`Bench of ${printable(report.source).trim()}`, "strong"),
    ...text(`${formatSize(report.bytes)} in each row, ${repeatText(report)}`),
    ...text(`kernel ${printable(report.kernel).trim()}`),
    ...text(`CPU ${printable(report.cpu).trim()}`),
    "",
    ...(report.rows.length === 0 ? ["Nothing was measured."] : tableWithBars(report, look)),
    "",
    ...highlights(report).flatMap((highlight) => text(highlightText(report, highlight))),
    ...remarks(report).flatMap((remark) => text(remark, "dim")),
  ].join("\n")}\n`;
}

function tableWithBars(report: BenchReport, look: Look): string[] {
  const room = Math.min(WIDEST_BAR, look.columns - tableWidth(resultTable(report, look), look) - 2);
  if (room < LEAST_BAR) return tableLines(resultTable(report, look), look);
  const rates = report.rows.flatMap((row) => [row.gibPerSecond, rate2013(row.mode, row.size) ?? 0]);
  const bars = { axis: decadeAxis(rates), width: room };
  const mark = has2013(report) ? ` ${markChar(look.unicode ?? false)} marks 2013.` : "";
  const legend = `Bars are on a log scale in GiB/s: equal steps are equal ratios.${mark}`;
  return [...tableLines(resultTable(report, look, bars), look), "", ...wrap(legend, look.columns)];
}

/** One section a mode. Columns that only a wide terminal has room for come and go with `look.columns`. */
function resultTable(report: BenchReport, look: Look, bars?: { axis: LogAxis; width: number }): Table {
  const decimals = rateDecimals(report);
  const shown: { column: Column; cell: (row: BenchRow) => string }[] = [
    { column: { title: "size", align: "right" }, cell: (row) => formatSize(row.size) },
    { column: { title: "time", align: "right" }, cell: (row) => formatDuration(row.seconds) },
    {
      column: { title: "page table", align: "right" },
      cell: (row) => (row.pageTableBytes > 0 ? formatSize(row.pageTableBytes) : NO_FIGURE),
    },
    { column: { title: "GiB/s", align: "right" }, cell: (row) => formatFixed(row.gibPerSecond, decimals) },
  ];
  if (has2013(report)) {
    // Always the two decimals it was published with.
    const past = ({ mode, size }: BenchRow) => formatFixed(rate2013(mode, size) ?? Number.NaN, 2);
    shown.push({ column: { title: "2013", align: "right" }, cell: past });
  }
  if (look.columns >= 90 && report.rows.some((row) => spreadText(row) !== undefined)) {
    shown.push({ column: { title: "spread", align: "right" }, cell: (row) => spreadText(row) ?? NO_FIGURE });
  }
  if (look.columns >= 100) {
    shown.push({
      column: { title: "ns/page", align: "right" },
      cell: (row) => formatFixed(row.nsPerPage, 1),
    });
  }
  const columns = shown.map(({ column }) => column);
  if (bars) columns.push({ title: axisLine(bars.axis, bars.width) });
  const rows = modesOf(report).flatMap((mode, index): Row[] => [
    ...(index > 0 ? [{ line: "" }] : []),
    { line: `${mode}: ${MODE_TEXT[mode]}`, style: MODE_STYLE[mode] },
    ...rowsOf(report, mode).map((row) => {
      const cells = shown.map(({ cell }) => cell(row));
      if (!bars) return cells;
      const bar = logBar(bars.axis, bars.width, row.gibPerSecond, rate2013(mode, row.size), look.unicode);
      return [...cells, { text: bar, style: MODE_STYLE[mode] }];
    }),
  ]);
  return { columns, rows };
}
