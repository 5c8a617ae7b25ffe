/** A description as text for people: a block of facts, the memory map, the notes. */

import type { Description } from "../info/describe.ts";
import type { MapSegment, SegmentKind } from "../info/memory-map.ts";
import { type Look, paint, printable, wrap } from "../ui/style.ts";
import { type Row, renderTable } from "../ui/table.ts";
import { formatCount, formatSize, isoTime } from "../units.ts";

/** Rows of a table; what is more is left to --json. */
const MOST_ROWS = 40;

const KINDS: Record<SegmentKind, string> = { kernel: "kernel text", ram: "RAM", unknown: "unknown" };
const BACKINGS = {
  procfs: "old memory (procfs)",
  memory: "a file in memory",
  disk: "a file or block device",
};

/** All of it as whole lines. */
export function toText(description: Description, look: Look): string {
  return `${facts(description, look)}\n${memory(description, look)}\n${notes(description, look)}`;
}

/** VMCOREINFO as KEY=VALUE lines. */
export function vmcoreinfoText(description: Pick<Description, "vmcoreinfo">): string {
  return [...description.vmcoreinfo].map(([key, value]) => `${printable(`${key}=${value}`)}\n`).join("");
}

function facts(description: Description, look: Look): string {
  const { elf, pageSize, kernelOffset, vmcoreinfo, crashTime } = description;
  const unsaid = "not said";
  // /proc/kcore: VMCOREINFO gets its CRASHTIME by a crash.
  const isRunning = description.backing === "procfs" && crashTime === undefined;
  const backing = isRunning ? "the running kernel's memory (procfs)" : BACKINGS[description.backing];
  const lines: [label: string, text: string][] = [
    ["size", `${exactSize(description.size)}, ${backing}`],
    ["format", `ELF${elf.class}, ${elf.littleEndian ? "little" : "big"}-endian, ${machine(description)}`],
    ["kernel", description.kernelRelease ?? unsaid],
    [
      "crashed",
      isoTime(crashTime) ??
        (isRunning ? "not yet" : crashTime === undefined ? unsaid : `at ${crashTime} s, in no calendar`),
    ],
    ["build id", description.buildId ?? unsaid],
    ["KASLR", kernelOffset === undefined ? unsaid : `kernel moved by ${hex(kernelOffset)}`],
    ["page size", pageSize === undefined ? unsaid : formatSize(pageSize)],
    ["CPUs", `${formatCount(description.cpus)} (with saved registers)`],
    [
      "VMCOREINFO",
      `${formatCount(vmcoreinfo.size)} keys${vmcoreinfo.size > 0 ? " (--vmcoreinfo prints them)" : ""}`,
    ],
  ];
  const width = Math.max(...lines.map(([label]) => label.length));
  let text = `${paint(look.colours, "strong", printable(description.path))}\n`;
  for (const [label, value] of lines) {
    const [first = "", ...rest] = wrap(printable(value), Math.max(20, look.columns - width - 4));
    text += `  ${label.padEnd(width)}  ${first}\n`;
    for (const line of rest) text += `${" ".repeat(width + 4)}${line}\n`;
  }
  if (elf.incomplete) {
    const mark = "INCOMPLETE: the program that wrote this dump could not finish it (e_flags bit 0)";
    for (const line of wrap(mark, look.columns - 2)) text += `  ${paint(look.colours, "bad", line)}\n`;
  }
  return text;
}

function memory(description: Description, look: Look): string {
  const { segments, totals } = description;
  const shown = segments.slice(0, MOST_ROWS);
  // Nearly always the same figure twice.
  const differs = segments.some(({ fileSize, memorySize }) => BigInt(fileSize) !== memorySize);
  const rows = shown.map((segment): Row => {
    const cells = [
      String(segment.index),
      KINDS[segment.kind],
      hex(segment.offset),
      physicalRange(segment),
      hex(segment.virtualAddress),
      letters(segment.flags),
      formatSize(segment.fileSize),
      differs ? formatSize(Number(segment.memorySize)) : "",
    ];
    return [...cells.slice(0, differs ? 8 : 7), marks(segment)];
  });
  if (segments.length > shown.length) rows.push({ line: more(segments.length - shown.length, "segments") });
  const sums = [
    "",
    "all",
    "",
    "",
    "",
    "",
    formatSize(Number(totals.fileBytes)),
    formatSize(Number(totals.memoryBytes)),
  ];
  const inMemory = { title: "in\nmemory", align: "right", optional: 1 } as const;
  const table = renderTable(
    {
      columns: [
        { title: "#", align: "right" },
        { title: "PT_LOAD", wrapTo: 7 },
        { title: "file\noffset", align: "right", optional: 2 },
        { title: "physical" },
        { title: "virtual", optional: 3 },
        { title: "flags", optional: 4 },
        { title: "in file", align: "right" },
        ...(differs ? [inMemory] : []),
        { title: "marks", wrapTo: 11 },
      ],
      rows,
      footer: [sums.slice(0, differs ? 8 : 7), ...totalLines(description).map((line) => ({ line }))],
    },
    look,
  );
  return table;
}

function totalLines({ totals }: Description): string[] {
  const { lowestAddress, highestAddress, ramBytes, repeatedBytes, holes, holeBytes } = totals;
  if (lowestAddress === undefined || highestAddress === undefined) {
    return ["Of no segment the physical address is known."];
  }
  const between = `from ${hex(lowestAddress)} to ${hex(highestAddress)}`;
  const twice =
    repeatedBytes > 0n ? `; ${formatSize(Number(repeatedBytes))} are in the file more than once` : "";
  const gaps =
    holes === 0
      ? "no holes"
      : `${formatCount(holes)} ${holes === 1 ? "hole" : "holes"}, ${formatSize(Number(holeBytes))} in all`;
  return [`${formatSize(Number(ramBytes))} of RAM ${between}${twice}; ${gaps}.`];
}

/** Notes of one name and type in one row. */
function notes(description: Description, look: Look): string {
  const groups = new Map<
    string,
    { name: string; type: string; count: number; bytes: number; sizes: Set<number> }
  >();
  for (const { name, typeName, size } of description.notes) {
    const key = `${name}\n${typeName}`;
    const group = groups.get(key) ?? { name, type: typeName, count: 0, bytes: 0, sizes: new Set() };
    group.count++;
    group.bytes += size;
    group.sizes.add(size);
    groups.set(key, group);
  }
  if (groups.size === 0) return "There are no notes.\n";
  const all = [...groups.values()];
  const rows = all.slice(0, MOST_ROWS).map(({ name, type, count, bytes, sizes }): Row => {
    const [size = 0] = sizes;
    return [name, type, formatCount(count), sizes.size === 1 ? formatCount(size) : "", formatCount(bytes)];
  });
  if (all.length > MOST_ROWS) rows.push({ line: more(all.length - MOST_ROWS, "kinds of notes") });
  return renderTable(
    {
      columns: [
        { title: "note", wrapTo: 10 },
        { title: "type", wrapTo: 11 },
        { title: "count", align: "right" },
        { title: "bytes\neach", align: "right", optional: 1 },
        { title: "bytes", align: "right" },
      ],
      rows,
    },
    look,
  );
}

function marks({ marks, physicalAddress }: MapSegment): string {
  if (physicalAddress === undefined) return "no p_paddr";
  const words: string[] = marks.filter((mark) => mark === "overlap");
  if (marks.includes("shared-page")) words.push("page shared");
  const [start, end] = [marks.includes("unaligned-start"), marks.includes("unaligned-end")];
  if (start || end) words.push(start && end ? "unaligned" : start ? "unaligned start" : "unaligned end");
  return words.join(", ");
}

/** First and last byte, as /proc/iomem has them. */
function physicalRange({ physicalAddress: start, memorySize }: MapSegment): string {
  if (start === undefined) return "-";
  return memorySize === 0n ? `${hex(start)} (empty)` : `${hex(start)}-${hex(start + memorySize - 1n)}`;
}

function letters(flags: number): string {
  return `${flags & 4 ? "r" : "-"}${flags & 2 ? "w" : "-"}${flags & 1 ? "x" : "-"}`;
}

function machine({ elf }: Description): string {
  return elf.machine === "unknown" ? `machine ${elf.machineNumber}` : elf.machine;
}

function exactSize(bytes: number): string {
  return bytes < 1024 ? formatSize(bytes) : `${formatSize(bytes)} (${formatCount(bytes)} bytes)`;
}

function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}

function more(count: number, what: string): string {
  return `... and ${formatCount(count)} more ${what}: --json has them all`;
}
