/** Targets: met exactly where the figures say so, and silent where there are none. */
import { describe, expect, it } from "bun:test";
import { targetFindings } from "../../kernel/experiment/targets.ts";
import { EXPERIMENTS, experiment, type Gains, kernel, whole } from "./experiments.ts";

function findings(gains: Gains, tableShare = 1) {
  return targetFindings(experiment([kernel("6.12", "stock"), kernel("6.12", "ours", gains, tableShare)]));
}

/** Whether each target whose name holds `words` is met. */
const met = (words: string, gains: Gains, tableShare?: number) =>
  findings(gains, tableShare)
    .filter(({ what }) => what.includes(words))
    .map((finding) => finding.met);

describe("targetFindings", () => {
  it.each<[string, Gains, Gains]>([
    ["map at 64 MiB", { map: 20.01 }, { map: 19.9 }],
    ["touch at 64 MiB", { touch: 1.501 }, { touch: 1.49 }],
  ])("%s: both by time and by instructions", (words, enough, less) => {
    expect(met(words, enough)).toEqual([true, true]);
    expect(met(words, less)).toEqual([false, false]);
  });

  it("read: the least gain from 128 KiB on counts", () => {
    expect(met("read at 128 KiB", { read: 2.01 })).toEqual([true]);
    expect(met("read at 128 KiB", { read: 1.99 })).toEqual([false]);
    const ours = kernel("6.12", "ours", { read: 3 });
    const slow = (size: number) => ({
      ...ours,
      wall: {
        ...ours.wall,
        rows: ours.wall.rows.map((row) =>
          row.mode === "read" && row.size === size ? { ...row, nsPerPage: row.nsPerPage * 2 } : row,
        ),
      },
    });
    const read = (size: number) =>
      targetFindings(experiment([kernel("6.12", "stock"), slow(size)])).find(({ what }) =>
        what.includes("read"),
      );
    expect(read(1 << 19)?.met).toBeFalse();
    expect(read(1 << 19)?.measured).toContain("1.50 times (least, at 512 KiB)");
    expect(read(1 << 16)?.met).toBeTrue();
  });

  it("page tables: at most a tenth of stock's 1 MiB", () => {
    expect(met("page tables", {}, 0.1)).toEqual([false]); // 104 KiB: tables are whole pages
    expect(met("page tables", {}, 0.09)).toEqual([true]);
    expect(findings({}, 0.01).at(-1)?.measured).toBe("1/85.3: 1 MiB to 12 KiB");
  });

  it("large pages are no target of 6.1", () => {
    const names = targetFindings(whole).map(({ what }) => what);
    expect(names.filter((what) => what.startsWith("6.1:"))).toEqual([
      "6.1: read at 128 KiB and above, time a page",
    ]);
    expect(names.filter((what) => what.startsWith("6.12:"))).toHaveLength(6);
  });

  it.each(EXPERIMENTS.slice(1, 4))("%s: nothing to compare", (_, incomplete) => {
    expect(targetFindings(incomplete)).toEqual([]);
  });
});
