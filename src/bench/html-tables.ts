/** The tables of the benchmark's page. */
import { formatDuration, formatFixed, formatSize, NO_FIGURE } from "../units.ts";
import { OLDMEM_2013, READ_2013, VMCORE_2013 } from "./history.ts";
import { escapeMarkup as safe } from "./markup.ts";
import {
  type BenchMode,
  type BenchReport,
  type BenchRow,
  rate2013,
  rateDecimals,
  rowsOf,
  spreadText,
} from "./rows.ts";

/** A column: its title, what it means (shown on hover), and the text of a row's cell. */
type Column<Row> = readonly [title: string, meaning: string, cell: (row: Row) => string];

/** All figures of one mode, with the spread of the repetitions where there is one, and 2013 where it measured the same. */
export function modeTable(report: BenchReport, mode: BenchMode): string {
  const rows = rowsOf(report, mode);
  const decimals = rateDecimals(report);
  const columns: Column<BenchRow>[] = [
    [
      mode === "read" ? "block size" : "map size",
      "bytes read or mapped at a time",
      (row) => formatSize(row.size),
    ],
    ["time", "median for all bytes", (row) => formatDuration(row.seconds)],
    ["GiB/s", "2^30 bytes a second", (row) => formatFixed(row.gibPerSecond, decimals)],
    ["ns a page", "nanoseconds for 4 KiB", (row) => formatFixed(row.nsPerPage, 1)],
  ];
  if (mode !== "read") {
    const cell = (row: BenchRow) => (row.pageTableBytes > 0 ? formatSize(row.pageTableBytes) : NO_FIGURE);
    columns.push(["page table", "bytes of page table that map one window", cell]);
  }
  if (rows.some((row) => spreadText(row) !== undefined)) {
    columns.push(
      ["fastest", "the fastest repetition", (row) => formatDuration(row.secondsMin ?? Number.NaN)],
      ["slowest", "the slowest repetition", (row) => formatDuration(row.secondsMax ?? Number.NaN)],
      ["spread", "slowest less fastest, of the median", (row) => spreadText(row) ?? NO_FIGURE],
    );
  }
  if (rows.some((row) => rate2013(mode, row.size) !== undefined)) {
    const past = (row: BenchRow) => formatFixed(rate2013(mode, row.size) ?? Number.NaN, 2);
    columns.push(["2013 GiB/s", "what 2013 measured on its machine", past]);
  }
  return table(`<span class="${mode}">${mode}</span>`, columns, rows);
}

/** Both tables of 2013 side by side, and the read that they were held against. */
export function historyTable(): string {
  const rows = VMCORE_2013.map((vmcore, index) => ({ vmcore, oldmem: OLDMEM_2013[index] }));
  const read = `read at ${formatSize(READ_2013.size)}: ${formatFixed(READ_2013.gibPerSecond * 1024, 2)} MiB/s, ${formatDuration(READ_2013.seconds)}`;
  return table(`${safe(read)}; map:`, HISTORY_COLUMNS, rows);
}

type Pair = { vmcore: (typeof VMCORE_2013)[number]; oldmem: (typeof OLDMEM_2013)[number] | undefined };

const HISTORY_COLUMNS: Column<Pair>[] = [
  ["map size", "bytes mapped at a time", ({ vmcore }) => formatSize(vmcore.size)],
  [
    "page table",
    "bytes of page table that map one window",
    ({ vmcore }) => formatSize(vmcore.pageTableBytes),
  ],
  ["/proc/vmcore, s", "seconds for all of it", ({ vmcore }) => formatFixed(vmcore.seconds, 2)],
  ["GiB/s", "2^30 bytes a second", ({ vmcore }) => formatFixed(vmcore.gibPerSecond, 2)],
  ["/dev/oldmem, s", "seconds for all of it", ({ oldmem }) => formatFixed(oldmem?.seconds ?? Number.NaN, 2)],
  ["GiB/s", "2^30 bytes a second", ({ oldmem }) => formatFixed(oldmem?.gibPerSecond ?? Number.NaN, 2)],
];

function table<Row>(caption: string, columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const head = columns.map(
    ([title, meaning]) => `<th scope="col" title="${safe(meaning)}">${safe(title)}</th>`,
  );
  const body = rows.map((row) => {
    const cells = columns.map(([, , cell], index) => {
      const text = safe(cell(row));
      return index === 0 ? `<th scope="row">${text}</th>` : `<td>${text}</td>`;
    });
    return `<tr>${cells.join("")}</tr>`;
  });
  return `<div class="wide" tabindex="0" role="group" aria-label="Table">
<table>
<caption>${caption}</caption>
<thead><tr>${head.join("")}</tr></thead>
<tbody>
${body.join("\n")}
</tbody>
</table>
</div>`;
}
