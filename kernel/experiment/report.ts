// RESULTS.md: the table of 2013 beside ours, for each kernel, with what the figures can and cannot show.

import { SETUP_2013, VMCORE_2013 } from "../../src/bench/history.ts";
import { type BenchMode, MODE_TEXT, MODES, rate2013 } from "../../src/bench/rows.ts";
import { significant } from "../../src/bench/summary.ts";
import { formatDuration, formatRate, formatSize, NO_FIGURE } from "../../src/units.ts";
import { findingsTable, markdownTable } from "../../test/peers/results.ts";
import { type Experiment, kernelOf, nameOf, ordered, rowOf, sizesOf } from "./results.ts";
import { targetFindings, timesAt } from "./targets.ts";

/** The whole file. */
export function renderResults(experiment: Experiment): string {
  const findings = targetFindings(experiment);
  const sections = [
    "# The experiment of 2013, rerun",
    origin(experiment),
    "![Rates of read, map, touch and copy over block and map sizes, for each kernel](results.svg)",
    KERNELS,
    ...(findings.length > 0
      ? ["## Targets", "Ours against stock, in the same run.", findingsTable(findings)]
      : []),
    "## What the figures can show, and what they cannot",
    LIMITS,
    ...MODES.flatMap((mode) => modeSection(experiment, mode)),
    ...tablesSection(experiment),
    ...copySection(experiment),
    ...problemsSection(experiment),
  ];
  return `${sections.join("\n\n")}\n`;
}

function origin({ began, ended, host, guest, plan }: Experiment): string {
  const minutes = Math.round((Date.parse(ended) - Date.parse(began)) / 60_000);
  const loads = `${Math.min(...host.loads)} to ${Math.max(...host.loads)}`;
  return [
    `Written by \`npm run experiment\` on ${began.slice(0, 10)}, in ${minutes} minutes, on ${host.cpu}, ${host.cpus} CPUs, Linux ${host.kernel};`,
    `load average ${loads} as the kernels were timed. Guests: qemu ${host.qemu} without KVM, one processor, ${guest.memMiB} MiB,`,
    `crashkernel=${guest.crashkernel}. Each kernel crashed and was measured by \`vmcopy bench\` in its own capture kernel, on the real`,
    `/proc/vmcore: ${formatSize(plan.small)} in each row (${formatSize(plan.large)} from windows of 2 MiB on), the fastest of ${plan.repeat} rounds.`,
  ].join("\n");
}

const KERNELS = `All kernels of a version are built from the same source with the same configuration:

- **no-mmap**: /proc/vmcore cannot be mapped, as before 2013 (test-patches/)
- **stock**: as Debian ships it
- **ours**: with the series of patches/`;

const LIMITS = `- **Times** are of an emulated processor, on a machine that may have other work. Other work only adds, so the fastest
  round counts; at a load average near or above the number of CPUs that does not help much. Compare kernels within this
  run, never heights with 2013. read at 4 KiB is the same in stock and ours: what its \`times stock\` is off 1 is such work.
- **Emulation does not show the cost of uncached memory.** A window that spans two objects is mapped uncached by a stock
  kernel: as fast as any other here, slower by far on hardware. No figure below has that gain in it, for vmcopy never maps
  such a window.
- **Emulation makes copying dear.** Guests have no ERMS, as the processor of 2013 had none: the kernel would copy by
  \`rep movsb\` then, which qemu carries out byte by byte, and so slowly that read shows little else. \`rep movsq\` is
  emulated too, so that on hardware a still larger part of read's time is what our series takes away.
- **Instructions** are counted by qemu (\`-icount shift=0\`: one instruction, one nanosecond of the guest): the same on a
  busy machine. But they are no time: a load that misses every cache counts as much as an addition. Each step of
  \`rep movsq\` counts, so that to copy a page is 512 instructions alone, and so do those of \`rep stosq\`: new page
  tables weigh too much in small windows. vmcopy's own instructions are in them too.`;

const MODE_NOTE: Partial<Record<BenchMode, string>> = {
  map: "Where a kernel maps only what is touched, this is what mmap and munmap cost and no more: `touch` says what was put off.",
  touch:
    "A loop with one load for each page is all that vmcopy adds. All windows but the first of a PT_LOAD begin at multiples of their size in physical memory; an end that cuts a huge page would be mapped by 4 KiB with our series too.",
};

function modeSection(experiment: Experiment, mode: BenchMode): string[] {
  const sizes = sizesOf(experiment, "wall", mode);
  if (sizes.length === 0) return [];
  const counted = sizesOf(experiment, "counted", mode);
  return [
    `## ${mode}`,
    [MODE_TEXT[mode], MODE_NOTE[mode]].filter(Boolean).join(" "),
    `By the clock, GiB/s${mode === "map" || mode === "read" ? `; 2013: ${SETUP_2013.cpu}, ${SETUP_2013.kernel}` : ""}:`,
    comparison(experiment, mode, "wall", mode === "read" ? sizes : withPast(sizes, mode)),
    ...(counted.length > 0
      ? ["Instructions a page of 4 KiB:", comparison(experiment, mode, "counted", counted)]
      : []),
  ];
}

/** Sizes of 2013 too, where it measured this mode. */
function withPast(sizes: readonly number[], mode: BenchMode): number[] {
  const past = mode === "map" ? VMCORE_2013.map(({ size }) => size) : [];
  return [...new Set([...sizes, ...past])].sort((a, b) => a - b);
}

/** A column for each kernel that has such rows, and after ours how many times stock it is. */
function comparison(
  experiment: Experiment,
  mode: BenchMode,
  means: "wall" | "counted",
  sizes: readonly number[],
): string {
  const columns: { title: string; cell: (size: number) => string }[] = [];
  if (mode !== "read") columns.push({ title: "page table", cell: (size) => formatSize((size / 4096) * 8) });
  if (means === "wall" && (mode === "map" || mode === "read")) {
    columns.push({ title: "2013", cell: (size) => figure(rate2013(mode, size)) });
  }
  for (const kernel of ordered(experiment)) {
    const report = kernel[means];
    if (report === null || !report.rows.some((row) => row.mode === mode)) continue;
    const value = (size: number) => {
      const row = rowOf(report, mode, size);
      return means === "wall" ? row?.gibPerSecond : row?.nsPerPage;
    };
    columns.push({ title: nameOf(kernel), cell: (size) => figure(value(size)) });
    const stock = kernelOf(experiment, kernel.version, "stock");
    if (kernel.series === "ours" && stock !== undefined) {
      const times = (size: number) => timesAt(stock[means], report, mode, size);
      columns.push({ title: "times stock", cell: (size) => figure(times(size)) });
    }
  }
  return markdownTable(
    [mode === "read" ? "block size" : "map size", ...columns.map(({ title }) => title)],
    sizes.map((size) => [formatSize(size), ...columns.map(({ cell }) => cell(size))]),
    true,
  );
}

function tablesSection(experiment: Experiment): string[] {
  const kernels = ordered(experiment).filter(({ tables }) => tables.rows.length > 0);
  const sizes = sizesOf(experiment, "tables", "touch");
  if (kernels.length === 0) return [];
  return [
    "## Page tables",
    "By how much the process's page tables (VmPTE) grew while one window was mapped and each of its pages touched. A table is 4 KiB, so a small window grows them by a few tables or by none:",
    markdownTable(
      ["map size", "8 bytes a page", ...kernels.map(nameOf)],
      sizes.map((size) => [
        formatSize(size),
        formatSize((size / 4096) * 8),
        ...kernels.map(({ tables }) =>
          formatSize(rowOf(tables, "touch", size)?.pageTableGrowth ?? Number.NaN),
        ),
      ]),
      true,
    ),
  ];
}

function copySection(experiment: Experiment): string[] {
  const time = (seconds: readonly number[]) => formatDuration(Math.min(...seconds));
  return [
    "## Copy and verify",
    `\`vmcopy copy\` and \`vmcopy verify\` of the whole /proc/vmcore, a quarter of which is noise and most of the rest zeros; the fastest of ${experiment.plan.copies}. The disk is an emulated one and most of what a copy to it takes. vmcopy chooses by itself how to read.`,
    markdownTable(
      [
        "kernel",
        "reads by",
        "copy to /dev/null",
        "copy to disk",
        "verify against /proc/vmcore",
        "verify by manifest",
      ],
      ordered(experiment).map((kernel) => {
        const { copy } = kernel;
        const how = `${copy.method}, ${formatSize(copy.mapSize)}`;
        return [
          nameOf(kernel),
          how,
          `${time(copy.null)}, ${formatRate(copy.bytes / Math.min(...copy.null))}`,
          ...[copy.disk, copy.source, copy.manifest].map(time),
        ];
      }),
      true,
    ),
  ];
}

function problemsSection({ kernels }: Experiment): string[] {
  const lines = kernels.flatMap((kernel) => {
    const [first, ...others] = kernel.problems;
    if (first === undefined) return [];
    return [`- ${nameOf(kernel)}: ${first}${others.length > 0 ? ` (and ${others.length} more rows)` : ""}`];
  });
  return lines.length === 0 ? [] : ["## What could not be measured", lines.join("\n")];
}

function figure(value: number | undefined): string {
  return value === undefined ? NO_FIGURE : significant(value);
}
