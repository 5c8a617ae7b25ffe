/**
 * The pages of an ELF vmcore: /proc/vmcore, a raw copy of it, or a filtered ELF dump.
 *
 * PT_LOADs say where pages lie. They may overlap (on x86_64 the kernel's text is there twice), begin and end inside
 * a page, and hold less in the file than in memory: what is missing there is not in the dump.
 */
import { FaultGuard } from "../../ffi/guard.ts";
import { type ElfHeaders, EM_AARCH64, EM_X86_64 } from "./elf.ts";
import { ElfPageReader, type FilePages, type Reading } from "./elf-page-reader.ts";
import type { Architecture, CrashMemory, MemoryFormat, PageReader, PfnRun } from "./memory.ts";
import { NT_PRSTATUS } from "./notes.ts";
import { clipRuns, firstEndingAfter, joinRuns, runsHold } from "./pfn-runs.ts";
import type { Vmcore } from "./vmcore.ts";

/** More notes than any machine's are refused: they are held in memory. */
const MOST_NOTES = 64 << 20;

/** The flattened stream that a file was made from. */
export interface FlatStream {
  /** it has no end */
  readonly truncated: boolean;
}

/** makedumpfile's mark in e_flags. */
const INCOMPLETE = 1;

/**
 * Whether pages were left out of an ELF file, or may have been. A copy of /proc/vmcore has its notes on a page of
 * their own (merge_note_headers_elf64() in fs/proc/vmcore.c), a filtered dump right behind its headers.
 */
export function isFiltered({ flags, loads, notes }: ElfHeaders): boolean {
  return (
    (flags & INCOMPLETE) !== 0 ||
    notes.some(({ offset }) => offset % 4096 !== 0) ||
    loads.some(({ fileSize, memorySize }) => BigInt(fileSize) < memorySize)
  );
}

export class ElfMemory implements CrashMemory {
  readonly format: MemoryFormat;
  readonly flattened: boolean;
  readonly architecture: Architecture;
  readonly pageSize: number;
  readonly endPfn: number;
  readonly ram: readonly PfnRun[];
  readonly dumpLevel = 0;
  readonly incomplete: boolean;
  /** by PFN, disjoint */
  readonly filePages: readonly FilePages[];
  readonly #stored: readonly PfnRun[];
  /** Installed with the memory and taken away with it: handlers go in the opposite order in which they came. */
  readonly #guard: FaultGuard | undefined;
  #noteBytes: Uint8Array | undefined;

  private constructor(
    readonly vmcore: Vmcore,
    readonly reading: Reading,
    flat: FlatStream | undefined,
  ) {
    const { headers, info } = vmcore;
    const { libc } = vmcore.file;
    this.pageSize = info.pageSize ?? libc.pageSize;
    this.architecture = architectureOf(headers.machine, headers.elfClass === 64 && headers.littleEndian);
    this.incomplete = (headers.flags & INCOMPLETE) !== 0 || flat?.truncated === true;
    this.format = isFiltered(headers) ? "elf" : "raw";
    this.flattened = flat !== undefined;
    this.ram = joinRuns(
      headers.loads.flatMap(({ physicalAddress, memorySize }) =>
        physicalAddress === undefined ? [] : [pagesOf(physicalAddress, memorySize, this.pageSize)],
      ),
    );
    this.endPfn = this.ram.at(-1)?.end ?? 0;
    this.filePages = filePagesOf(vmcore, this.pageSize);
    this.#stored = joinRuns(this.filePages);
    this.#guard = reading.method === "mmap" ? new FaultGuard(libc) : undefined;
  }

  /** @throws VmcopyError E_NOT_VMCORE where its notes are malformed */
  static of(vmcore: Vmcore, reading: Reading, flat?: FlatStream): ElfMemory {
    return new ElfMemory(vmcore, reading, flat);
  }

  get path(): string {
    return this.vmcore.path;
  }

  get info() {
    return this.vmcore.info;
  }

  get cpus(): number {
    return this.vmcore.notes.filter(({ name, type }) => name === "CORE" && type === NT_PRSTATUS).length;
  }

  get noteBytes(): Uint8Array {
    this.#noteBytes ??= readNoteBytes(this.vmcore);
    return this.#noteBytes;
  }

  holds(pfn: number): boolean {
    return runsHold(this.#stored, pfn);
  }

  stored(start: number, end: number): Iterable<PfnRun> {
    return clipRuns(this.#stored, start, end);
  }

  pages(): PageReader {
    return new ElfPageReader(this.vmcore, this.filePages, this.pageSize, this.reading, this.#guard);
  }

  [Symbol.dispose](): void {
    this.#guard?.[Symbol.dispose]();
    this.vmcore[Symbol.dispose]();
  }
}

function architectureOf(machine: number, is64LittleEndian: boolean): Architecture {
  if (!is64LittleEndian) return "other";
  return machine === EM_X86_64 ? "x86_64" : machine === EM_AARCH64 ? "aarch64" : "other";
}

/** The pages that a stretch of physical memory touches. PFNs above 2^53 bytes' worth are none that exist. */
function pagesOf(address: bigint, size: bigint, pageSize: number): PfnRun {
  const page = BigInt(pageSize);
  const clamp = (pfn: bigint) => Number(pfn < 1n << 52n ? pfn : 1n << 52n);
  return { start: clamp(address / page), end: clamp((address + size + page - 1n) / page) };
}

/**
 * Where pages lie in the file. A page that is there twice is taken from the PT_LOAD that holds more of it, whole
 * pages before partial ones.
 */
function filePagesOf(vmcore: Vmcore, pageSize: number): FilePages[] {
  const { loads } = vmcore.headers;
  // /proc/vmcore has whole pages, whatever p_paddr and p_filesz say; so have dumps that were copied from it.
  const widened = loads.every(
    ({ offset, physicalAddress, fileSize }) =>
      fileSize === 0 ||
      (physicalAddress !== undefined && offset % pageSize === Number(physicalAddress % BigInt(pageSize))),
  );
  const pieces: FilePages[] = [];
  for (const { physicalAddress, fileSize, offset } of loads) {
    if (physicalAddress === undefined || fileSize === 0) continue;
    const { start, end } = pagesOf(physicalAddress, BigInt(fileSize), pageSize);
    const begin = offset - Number(physicalAddress % BigInt(pageSize));
    const own = { from: offset, to: offset + fileSize };
    const padded = { from: Math.max(0, begin), to: Math.min(vmcore.size, begin + (end - start) * pageSize) };
    pieces.push({ start, end, offset: begin, ...(widened ? padded : own) });
  }
  // Larger ones first: what is there already is not taken again.
  pieces.sort((a, b) => b.end - b.start - (a.end - a.start));
  const taken: FilePages[] = [];
  const known: PfnRun[] = [];
  for (const piece of pieces) {
    let at = piece.start;
    const parts: FilePages[] = [];
    const add = (start: number, end: number) => {
      if (start < end)
        parts.push({ ...piece, start, end, offset: piece.offset + (start - piece.start) * pageSize });
    };
    for (const { start, end } of clipRuns(known, piece.start, piece.end)) {
      add(at, start);
      at = end;
    }
    add(at, piece.end);
    taken.push(...parts);
    for (const part of parts) known.splice(firstEndingAfter(known, part.start), 0, part);
  }
  return taken.sort((a, b) => a.start - b.start);
}

function readNoteBytes(vmcore: Vmcore): Uint8Array {
  const parts: Uint8Array[] = [];
  let total = 0;
  for (const { offset, fileSize } of vmcore.headers.notes) {
    for (let at = 0; at < fileSize && total < MOST_NOTES; at += 1 << 20) {
      const part = vmcore.read(offset + at, Math.min(1 << 20, fileSize - at));
      parts.push(part);
      total += part.length;
    }
  }
  const bytes = new Uint8Array(total);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
