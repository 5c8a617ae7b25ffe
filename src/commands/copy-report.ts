/** What a copy found, as JSON and in words. */
import type { FilteredReport } from "../copy/filtered.ts";
import type { CopyReport } from "../copy/raw.ts";
import { formatDuration, formatPercent, formatRate, formatSize } from "../units.ts";

/** A raw copy as `--json` prints it. */
export function rawJson(report: CopyReport): object {
  const { pages, problems, unreadable, ...rest } = report;
  return {
    source: rest.source,
    dest: rest.dest,
    format: "raw",
    dumpLevel: 0,
    compression: "none",
    method: rest.method,
    mapSize: rest.mapSize,
    bytesRead: rest.bytesRead,
    bytesWritten: rest.bytesWritten,
    seconds: rest.seconds,
    bytesPerSecond: rest.bytesRead / rest.seconds,
    peakRssBytes: rest.peakRssBytes,
    anonymousRssBytes: rest.anonymousRssBytes,
    manifest: rest.manifest,
    // A raw copy tells zero pages from others, and keeps them all.
    pages: {
      total: pages.total,
      zero: pages.zero,
      cache: 0,
      cachePrivate: 0,
      user: 0,
      free: 0,
      hwpoison: 0,
      offline: 0,
      kept: pages.total,
    },
    unreadable,
    problems,
  };
}

/** A raw copy in words. */
export function rawText(report: CopyReport): string {
  const { dest, bytesRead, bytesWritten, seconds, pages, unreadable, manifest } = report;
  const zeros =
    pages.zero === null ? "" : `; ${formatPercent(pages.zero, pages.total)} of the pages are zeros`;
  const lines = [
    `${report.source} -> ${dest === "-" ? "standard output" : dest}`,
    `  ${formatSize(bytesRead)} read by ${report.method === "mmap" ? "mmap" : "pread"}, ${formatSize(bytesWritten)} written in ${formatDuration(seconds)} (${formatRate(bytesRead / seconds)})${zeros}`,
  ];
  if (unreadable.length > 0) lines.push(`  INCOMPLETE: ${unreadable.length} ranges could not be read`);
  if (manifest !== null) lines.push(`  prove it anywhere: vmcopy verify ${dest}`);
  return `${lines.join("\n")}\n`;
}

/** A dump of pages as `--json` prints it. */
export function filteredJson(report: FilteredReport): object {
  const { pages, seconds, bytesRead, ...rest } = report;
  const { unknown, ...counts } = pages;
  return {
    source: rest.source,
    dest: rest.dest,
    dests: rest.dests,
    format: rest.format,
    dumpLevel: rest.dumpLevel,
    compression: rest.compression,
    flattened: rest.flattened,
    jobs: rest.jobs,
    dryRun: rest.dryRun,
    method: rest.method,
    mapSize: rest.mapSize,
    bytesRead,
    bytesWritten: rest.bytesWritten,
    size: rest.size,
    seconds,
    filterSeconds: rest.filterSeconds,
    bytesPerSecond: bytesRead / seconds,
    peakRssBytes: rest.peakRssBytes,
    anonymousRssBytes: rest.anonymousRssBytes,
    manifest: rest.manifest,
    pages: { ...counts, unknown },
    unreadablePages: rest.unreadable,
    incomplete: rest.incomplete,
    problems: rest.problems,
  };
}

/** A dump of pages in words. */
export function filteredText(report: FilteredReport): string {
  const { pages, seconds, dryRun } = report;
  const share = (count: number) => `${count} (${formatPercent(count, pages.total)})`;
  const kept = `${share(pages.kept)} of ${pages.total} pages kept`;
  const target = report.dest === "-" ? "standard output" : report.dests.join(" ");
  const what = report.format === "elf" ? "ELF" : `kdump-compressed, ${report.compression}`;
  const lines = [`${report.source} -> ${dryRun ? "nothing (--dry-run)" : target}`];
  lines.push(`  ${what}, dump level ${report.dumpLevel}${report.flattened ? ", flattened" : ""}: ${kept}`);
  const kinds: [name: string, count: number | null][] = [
    ["zero", pages.zero],
    ["cache", pages.cache],
    ["cache with private data", pages.cachePrivate],
    ["user", pages.user],
    ["free", pages.free],
    ["poisoned", pages.hwpoison],
    ["offline", pages.offline],
  ];
  const found = kinds.filter(([, count]) => count !== null && count > 0);
  if (found.length > 0) lines.push(`  ${found.map(([name, count]) => `${name} ${count}`).join(", ")}`);
  if (dryRun) lines.push(`  filtered in ${formatDuration(seconds)}`);
  else {
    const rate = formatRate(report.bytesRead / seconds);
    lines.push(
      `  ${formatSize(report.bytesRead)} of memory in ${formatSize(report.size)}, in ${formatDuration(seconds)} (${rate}); filter ${formatDuration(report.filterSeconds)}`,
    );
  }
  if (report.incomplete) lines.push(`  INCOMPLETE: ${report.unreadable} pages could not be read`);
  if (report.manifest !== null) lines.push(`  prove it anywhere: vmcopy verify ${report.dest}`);
  return `${lines.join("\n")}\n`;
}
