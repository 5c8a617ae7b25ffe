/** What was taken from a raw partition, as JSON and in words. */
import type { TakenReport } from "../copy/take-out.ts";
import { memoryUsage } from "../memory-usage.ts";
import { formatDuration, formatRate, formatSize } from "../units.ts";

/** As `--json` prints it: the members of any copy, and what the capture is. */
export function takenJson(report: TakenReport): object {
  const { dump, seconds, bytesRead } = report;
  const { peakRss, anonymous } = memoryUsage();
  return {
    source: report.source,
    dest: report.dest,
    format: dump?.format ?? null,
    dumpLevel: dump?.dumpLevel ?? null,
    compression: dump?.compression ?? null,
    method: "read",
    mapSize: 0,
    bytesRead,
    bytesWritten: report.bytesWritten,
    seconds,
    bytesPerSecond: bytesRead / seconds,
    peakRssBytes: peakRss,
    anonymousRssBytes: anonymous,
    manifest: report.manifest,
    pages: null,
    state: report.state,
    files: report.files,
    problems: report.problems,
  };
}

/** In words; problems were told as warnings. */
export function takenText(report: TakenReport): string {
  const { source, dest, state, files, bytesRead, seconds, manifest, problems } = report;
  const rate = formatRate(bytesRead / seconds);
  const lines = [
    `${source} -> ${dest === "-" ? "standard output" : dest}`,
    `  ${formatSize(bytesRead)} of a capture (${state}) taken out in ${formatDuration(seconds)} (${rate})`,
  ];
  if (files.length > 1) lines.push(`  ${files.join(" ")}`);
  if (problems.length > 0) lines.push("  NOT as it should be: see the warnings");
  if (manifest !== null)
    lines.push(`  prove it anywhere: vmcopy verify ${manifest.replace(/\.manifest\.json$/, "")}`);
  return `${lines.join("\n")}\n`;
}
