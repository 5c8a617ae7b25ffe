/** Pages by kind and level, and dumps that are no ELF files, as text for people. */
import type { PageSummary } from "../info/pages.ts";
import { type Look, paint, printable } from "../ui/style.ts";
import { formatCount, formatDuration, formatPercent, formatSize, isoTime } from "../units.ts";
import type { CrashMemory } from "../vmcore/memory.ts";

/** What each level leaves out, in words. */
const LEVEL_NAMES: Record<number, string> = {
  0: "nothing left out",
  1: "zero pages",
  17: "zero and free pages",
  25: "zero, free and user pages",
  31: "page cache too",
};

/** A kdump-compressed dump, or a flattened one. */
export function dumpText(memory: CrashMemory, look: Look): string {
  const { info, dumpLevel, format, flattened, architecture, incomplete } = memory;
  const pages = memory.ram.reduce((sum, { start, end }) => sum + end - start, 0);
  let stored = 0;
  for (const { start, end } of memory.stored(0, memory.endPfn)) stored += end - start;
  const lines: [string, string][] = [
    [
      "format",
      `${format === "kdump" ? "kdump-compressed" : "ELF"}${flattened ? ", flattened" : ""}, ${architecture}`,
    ],
    ["kernel", info.release ?? "not said"],
    ["crashed", isoTime(info.crashTime) ?? "not said"],
    ["dump level", format === "kdump" ? String(dumpLevel) : "not said"],
    ["pages", `${formatCount(stored)} of ${formatCount(pages)} are in it`],
    ["CPUs", `${formatCount(memory.cpus)} (with saved registers)`],
  ];
  const width = Math.max(...lines.map(([label]) => label.length));
  const body = lines.map(([label, value]) => `  ${label.padEnd(width)}  ${printable(value)}\n`).join("");
  const mark = incomplete ? `  ${paint(look.colours, "bad", "INCOMPLETE: not all of it was written")}\n` : "";
  return `${paint(look.colours, "strong", printable(memory.path))}\n${body}${mark}`;
}

/** Pages by kind, and what the levels give. */
export function pagesText(summary: PageSummary, pageSize: number, look: Look): string {
  const { counts, levels, problems, codec, sampled } = summary;
  const kinds: [string, number][] = [
    ["free", counts.free],
    ["page cache", counts.cache],
    ["page cache with private data", counts.cachePrivate],
    ["user", counts.user],
    ["poisoned", counts.hwpoison],
    ["offline", counts.offline],
    ["kernel and others", counts.kept],
  ];
  const width = Math.max(...kinds.map(([name]) => name.length));
  const row = ([name, pages]: [string, number]) =>
    `  ${name.padEnd(width)}  ${formatPercent(pages, counts.total).padStart(7)}  ${formatSize(pages * pageSize)}\n`;
  let text = `${paint(look.colours, "strong", "pages by kind")}\n`;
  text += kinds
    .filter(([, pages]) => pages > 0)
    .map(row)
    .join("");
  text += `${paint(look.colours, "strong", "dump levels")} (${codec}, one thread; an estimate from ${formatCount(sampled)} pages)\n`;
  for (const { level, kept, bytes, seconds } of levels) {
    const size = formatSize(bytes).padStart(9);
    const share = formatPercent(kept, counts.total).padStart(7);
    text += `  -d ${String(level).padEnd(3)} ${share} of the pages ${size}  ${formatDuration(seconds).padStart(8)}  ${LEVEL_NAMES[level] ?? ""}\n`;
  }
  for (const problem of problems) text += `  ${problem}\n`;
  return text;
}
