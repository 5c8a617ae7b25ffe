/** A description as the JSON that `vmcopy info --json` prints. */
import type { Description } from "../info/describe.ts";
import type { PageSummary } from "../info/pages.ts";
import { printable } from "../ui/style.ts";
import { isoTime } from "../units.ts";
import type { CrashMemory } from "../vmcore/memory.ts";

/**
 * Sizes and offsets are numbers, in bytes. Physical and virtual addresses are strings, 0x and hexadecimal digits:
 * kernel addresses do not fit the numbers of JSON's usual readers. What the file does not say is null. Text out of
 * the file is made printable: a crashed kernel's memory may hold escape sequences, and JSON lets some of them through.
 */
export function toJson(description: Description): object {
  const { path, size, backing, elf, totals, crashTime } = description;
  return {
    path,
    size,
    backing,
    elf,
    kernelRelease: text(description.kernelRelease),
    buildId: text(description.buildId),
    crashTime: crashTime ?? null,
    crashTimeIso: isoTime(crashTime) ?? null,
    kernelOffset: hex(description.kernelOffset),
    pageSize: description.pageSize ?? null,
    cpus: description.cpus,
    notes: description.notes.map((note) => ({ ...note, name: printable(note.name) })),
    segments: description.segments.map((segment) => ({
      index: segment.index,
      kind: segment.kind,
      offset: segment.offset,
      fileSize: segment.fileSize,
      // Only a file that lies has one of 2^53 bytes or more; rounded then.
      memorySize: Number(segment.memorySize),
      physicalAddress: hex(segment.physicalAddress),
      virtualAddress: hex(segment.virtualAddress),
      flags: segment.flags,
      marks: segment.marks,
    })),
    totals: {
      segments: totals.segments,
      fileBytes: Number(totals.fileBytes),
      memoryBytes: Number(totals.memoryBytes),
      ramBytes: Number(totals.ramBytes),
      repeatedBytes: Number(totals.repeatedBytes),
      holes: totals.holes,
      holeBytes: Number(totals.holeBytes),
      lowestAddress: hex(totals.lowestAddress),
      highestAddress: hex(totals.highestAddress),
    },
    vmcoreinfo: Object.fromEntries(
      [...description.vmcoreinfo].map(([key, value]) => [printable(key), printable(value)]),
    ),
  };
}

/** A dump that is no ELF file, as JSON. */
export function dumpJson(memory: CrashMemory): object {
  const { path, format, flattened, architecture, pageSize, endPfn, dumpLevel, incomplete, info } = memory;
  return {
    ...{ path, format, flattened, architecture, pageSize, dumpLevel, incomplete, cpus: memory.cpus },
    kernelRelease: text(info.release),
    crashTime: info.crashTime ?? null,
    crashTimeIso: isoTime(info.crashTime) ?? null,
    ramPages: memory.ram.reduce((sum, { start, end }) => sum + end - start, 0),
    endPfn,
    vmcoreinfo: Object.fromEntries(
      [...info.entries].map(([key, value]) => [printable(key), printable(value)]),
    ),
  };
}

/** Pages by kind and level, as JSON. */
export function pagesJson({ counts, codec, sampled, levels, problems }: PageSummary): object {
  const estimates = levels.map(({ level, kept, bytes, seconds }) => ({ level, kept, bytes, seconds }));
  return { ...counts, estimate: { codec, sampledPages: sampled, levels: estimates }, problems };
}

function text(value: string | undefined): string | null {
  return value === undefined ? null : printable(value);
}

function hex(value: bigint | undefined): string | null {
  return value === undefined ? null : `0x${value.toString(16)}`;
}
