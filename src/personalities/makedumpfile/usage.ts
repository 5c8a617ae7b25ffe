/** makedumpfile's --mem-usage: what a kernel's pages are, before any crash; its lines as its readers know them. */
import type { FilteredReport } from "../../copy/filtered.ts";

const RULE = "-".repeat(70);

/** @param report of all pages, at level 31 */
export function usageLines({ pages, pageSize }: FilteredReport): string[] {
  const zero = pages.zero ?? 0;
  const rows: [name: string, count: number, excludable: string, what: string][] = [
    ["ZERO\t\t", zero, "yes", "Pages filled with zero"],
    ["NON_PRI_CACHE\t", pages.cache, "yes", "Cache pages without private flag"],
    ["PRI_CACHE\t", pages.cachePrivate, "yes", "Cache pages with private flag"],
    ["USER\t\t", pages.user, "yes", "User process pages"],
    ["FREE\t\t", pages.free, "yes", "Free pages"],
    ["KERN_DATA\t", pages.kept - zero, "no", "Dumpable kernel data "],
  ];
  const wide = (count: number) => String(count).padEnd(16);
  return [
    "",
    "TYPE\t\tPAGES\t\t\tEXCLUDABLE\tDESCRIPTION",
    RULE,
    ...rows.map(([name, count, excludable, what]) => `${name}${wide(count)}\t${excludable}\t\t${what}`),
    "",
    `page size:\t\t${wide(pageSize)}`,
    `Total pages on system:\t${wide(pages.total)}`,
    `Total size on system:\t${wide(pages.total * pageSize)} Byte`,
  ];
}
