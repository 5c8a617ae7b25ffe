/** A benchmark as one page that needs nothing else: to look at, to print, to send to somebody. */
import { formatCount, formatSize } from "../units.ts";
import { SETUP_2013 } from "./history.ts";
import { pageStyle } from "./html-style.ts";
import { historyTable, modeTable } from "./html-tables.ts";
import { clip, escapeMarkup as safe } from "./markup.ts";
import { type BenchMode, type BenchReport, MODE_TEXT, modesOf, remarks, repeatText, rowsOf } from "./rows.ts";
import { type Highlight, highlights, significant } from "./summary.ts";
import { renderSvg } from "./svg.ts";

/**
 * Draws the report as an HTML document: no script, no external resource, light and dark, printable.
 *
 * @example
 * ```ts
 * await writeFile("bench.html", renderHtml(report));
 * ```
 */
export function renderHtml(report: BenchReport): string {
  const modes = modesOf(report);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>vmcopy bench: ${safe(clip(report.source, 80))}</title>
<style>
${pageStyle()}
</style>
</head>
<body>
<main>
<header>
<p class="tool">vmcopy bench</p>
<h1>${safe(clip(report.source, 200))}</h1>
<p class="lead">${safe(formatSize(report.bytes))} in each row, ${safe(repeatText(report))}</p>
</header>
${cards(report)}
<figure>
<div class="wide" tabindex="0" role="group" aria-label="Chart">
${renderSvg(report)}</div>
<figcaption>${safe(remarks(report).join(" "))} GiB/s counts every byte read or mapped, touched or not.</figcaption>
</figure>
${modes.length === 0 ? "<p>Nothing was measured.</p>" : section("What each mode measures", explanations(modes))}
${modes.map((mode) => modeTable(report, mode)).join("\n")}
${section("The figures of 2013", history())}
${section("Environment", environment(report))}
</main>
</body>
</html>
`;
}

function section(title: string, content: string): string {
  return `<section>\n<h2>${safe(title)}</h2>\n${content}\n</section>`;
}

function cards(report: BenchReport): string {
  const all = highlights(report).map((highlight) => card(report, highlight));
  return all.length === 0 ? "" : `<ul class="cards">\n${all.join("\n")}\n</ul>`;
}

function card(report: BenchReport, { mode, row, timesRead }: Highlight): string {
  const base = rowsOf(report, "read")[0];
  const beside =
    timesRead === undefined || base === undefined
      ? mode === "read"
        ? "the baseline"
        : ""
      : `${significant(timesRead)} times read at ${formatSize(base.size)}`;
  return `<li class="${mode}"><p class="mode">${mode} <span>at ${safe(formatSize(row.size))}</span></p>
<p class="figure">${safe(significant(row.gibPerSecond))} <span>GiB/s</span></p>
<p class="beside">${safe(beside)}</p></li>`;
}

function explanations(modes: readonly BenchMode[]): string {
  return list(modes.map((mode) => [mode, MODE_TEXT[mode], mode]));
}

function history(): string {
  const { author, title, list: where, date, cpu, memory, vmcore, kernel, oldmemSource } = SETUP_2013;
  return `<p>${safe(author)}, <cite>${safe(title)}</cite>, ${safe(where)}, ${safe(date)}. A ${safe(vmcore)} vmcore of a machine with
${safe(memory)}, ${safe(cpu)}, kernel ${safe(kernel)}. The columns for /dev/oldmem, which Linux no longer has, are from
<a href="${safe(oldmemSource)}">an earlier posting</a>.</p>
${historyTable()}`;
}

function environment(report: BenchReport): string {
  return list([
    ["kernel", report.kernel],
    ["CPU", report.cpu],
    ["source", report.source],
    ["bytes in each row", `${formatCount(report.bytes)} (${formatSize(report.bytes)})`],
    ["repetitions", formatCount(report.repeat ?? 1)],
  ]);
}

function list(entries: readonly (readonly [term: string, text: string, kind?: string])[]): string {
  const items = entries.map(
    ([term, text, kind]) =>
      `<div><dt${kind === undefined ? "" : ` class="${kind}"`}>${safe(term)}</dt><dd>${safe(text)}</dd></div>`,
  );
  return `<dl>\n${items.join("\n")}\n</dl>`;
}
