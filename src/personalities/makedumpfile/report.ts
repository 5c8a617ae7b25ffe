/** makedumpfile's report (message level 16): times, pages by kind, sizes, in the lines that its readers know. */
import type { FilteredReport } from "../../copy/filtered.ts";
import { LEVEL_ZERO } from "../../filter/classify.ts";

/** The report's lines. */
export function reportLines(report: FilteredReport): string[] {
  const { pages, seconds, filterSeconds, endPfn, size } = report;
  const isElf = report.format === "elf";
  const zero = (report.dumpLevel & LEVEL_ZERO) === 0 ? 0 : (pages.zero ?? 0);
  const excluded = pages.total - pages.kept + zero;
  const remaining = pages.total - excluded;
  const written = isElf ? report.storedPages : remaining;
  const percent = pages.total === 0 ? 0 : Math.floor((written * 100) / pages.total);
  const inElf = (count: number) => (isElf ? [`     in ELF format : ${hex(count)}`] : []);
  return [
    step("Excluding unnecessary pages", filterSeconds),
    step("Copying data", seconds - filterSeconds),
    "",
    `Original pages  : ${hex(pages.total)}`,
    `  Excluded pages   : ${hex(excluded)}`,
    ...inElf(pages.total - written),
    `    Pages filled with zero  : ${hex(zero)}`,
    `    Non-private cache pages : ${hex(pages.cache)}`,
    `    Private cache pages     : ${hex(pages.cachePrivate)}`,
    `    User process data pages : ${hex(pages.user)}`,
    `    Free pages              : ${hex(pages.free)}`,
    `    Hwpoison pages          : ${hex(pages.hwpoison)}`,
    `    Offline pages           : ${hex(pages.offline)}`,
    `  Remaining pages  : ${hex(remaining)}`,
    ...inElf(written),
    `  (The number of pages is reduced to ${percent}%.)`,
    `Memory Hole     : ${hex(endPfn - pages.total)}`,
    "--------------------------------------------------",
    `Total pages     : ${hex(endPfn)}`,
    `Write bytes     : ${size}`,
    "",
  ];
}

function step(name: string, seconds: number): string {
  return `STEP [${name.padEnd(27)}] : ${seconds.toFixed(6)} seconds`;
}

function hex(count: number): string {
  return `0x${count.toString(16).padStart(16, "0")}`;
}
