/** A kdump-compressed dump, or a split set of them, as a crashed machine's memory. */
import type { File } from "../../ffi/file.ts";
import { CODEC_FLAGS, type CodecName } from "../codec/packed.ts";
import { VmcopyError } from "../errors.ts";
import type { Architecture, CrashMemory, PageReader, PfnRun } from "../vmcore/memory.ts";
import { countNotes, findNote, NT_PRSTATUS } from "../vmcore/notes.ts";
import { runsOfBits } from "../vmcore/pfn-bits.ts";
import { decodeUtsname } from "../vmcore/utsname.ts";
import { Vmcoreinfo } from "../vmcore/vmcoreinfo.ts";
import { FlattenedView } from "./flattened-reader.ts";
import { BLOCK_PFNS, KdumpMember } from "./kdump-member.ts";
import { KdumpPageReader } from "./kdump-page-reader.ts";

/** Runs of RAM; a machine has a few dozen. */
const MOST_RUNS = 1 << 20;

export class KdumpMemory implements CrashMemory {
  readonly format = "kdump";
  readonly flattened: boolean;
  readonly architecture: Architecture;
  readonly pageSize: number;
  readonly endPfn: number;
  readonly noteBytes: Uint8Array;
  readonly cpus: number;
  readonly info: Vmcoreinfo;
  readonly dumpLevel: number;
  readonly incomplete: boolean;
  #ram: PfnRun[] | undefined;

  private constructor(
    /** by the PFNs that they have */
    readonly members: readonly KdumpMember[],
  ) {
    const first = members[0] as KdumpMember;
    this.pageSize = first.pageSize;
    this.endPfn = first.endPfn;
    this.noteBytes = first.noteBytes;
    this.cpus = countNotes(first.noteBytes, "CORE", NT_PRSTATUS);
    this.dumpLevel = Number(first.sub.dump_level) & 31;
    const streams = members.flatMap(({ file }) => (file instanceof FlattenedView ? [file] : []));
    this.flattened = streams.length > 0;
    this.incomplete =
      members.some(({ incomplete }) => incomplete) || streams.some(({ truncated }) => truncated);
    const text = findNote(first.noteBytes, "VMCOREINFO");
    this.info = new Vmcoreinfo(text === undefined ? "" : new TextDecoder("latin1").decode(text));
    const { machine } = decodeUtsname(first.main.utsname);
    this.architecture = machine === "x86_64" || machine === "aarch64" ? machine : "other";
  }

  /**
   * Opens a dump, or the members of a split set in any order. The files are its own from then on.
   *
   * @throws VmcopyError E_NOT_VMCORE where one is none, or they do not belong together
   */
  static open(files: readonly File[]): KdumpMemory {
    const members: KdumpMember[] = [];
    try {
      for (const file of files) members.push(new KdumpMember(file));
      members.sort((a, b) => a.startPfn - b.startPfn);
      for (const [index, member] of members.entries()) belongsTogether(members[index - 1], member);
      return new KdumpMemory(members);
    } catch (error) {
      for (const member of members) member[Symbol.dispose]();
      for (const file of files) file.close();
      throw error;
    }
  }

  /** As its header says; each page says of itself which it really has. */
  get codec(): CodecName {
    const { status } = (this.members[0] as KdumpMember).main;
    const codecs = Object.keys(CODEC_FLAGS) as CodecName[];
    return codecs.find((name) => (Number(status) & CODEC_FLAGS[name]) !== 0) ?? "none";
  }

  get path(): string {
    return this.members.map(({ file }) => file.path).join(" ");
  }

  get ram(): readonly PfnRun[] {
    if (this.#ram === undefined) {
      this.#ram = [];
      for (const run of this.#runs(1, 0, this.endPfn)) {
        if (this.#ram.length === MOST_RUNS) {
          throw new VmcopyError(
            "E_NOT_VMCORE",
            `Cannot read ${this.path}: its RAM is in more than ${MOST_RUNS} pieces`,
          );
        }
        this.#ram.push(run);
      }
    }
    return this.#ram;
  }

  holds(pfn: number): boolean {
    for (const run of this.stored(pfn, pfn + 1)) return run.start === pfn;
    return false;
  }

  *stored(start: number, end: number): Generator<PfnRun> {
    for (const member of this.members) {
      const [from, to] = [Math.max(start, member.startPfn), Math.min(end, member.stopPfn)];
      if (from < to) yield* this.#runs(2, from, to, member);
    }
  }

  pages(): KdumpPageReader & PageReader {
    return new KdumpPageReader(this);
  }

  [Symbol.dispose](): void {
    for (const member of this.members) member[Symbol.dispose]();
  }

  /** Runs of set bits, joined over the borders of blocks. */
  *#runs(
    bitmap: 1 | 2,
    start: number,
    end: number,
    member = this.members[0] as KdumpMember,
  ): Generator<PfnRun> {
    let open: { start: number; end: number } | undefined;
    for (let at = start; at < end; ) {
      const block = Math.floor(at / BLOCK_PFNS);
      const first = block * BLOCK_PFNS;
      const stop = Math.min(end, first + BLOCK_PFNS);
      // All of a block at once: whoever takes a run may ask for another block.
      const runs = [...runsOfBits(member.bits(bitmap, block), at - first, stop - first)];
      for (const run of runs) {
        const found = { start: first + run.start, end: first + run.end };
        if (open !== undefined && open.end === found.start) open.end = found.end;
        else {
          if (open !== undefined) yield open;
          open = found;
        }
      }
      at = stop;
    }
    if (open !== undefined) yield open;
  }
}

function belongsTogether(before: KdumpMember | undefined, member: KdumpMember): void {
  if (before === undefined) return;
  const same =
    before.pageSize === member.pageSize &&
    before.endPfn === member.endPfn &&
    before.main["timestamp.tv_sec"] === member.main["timestamp.tv_sec"] &&
    before.sub.split !== 0n &&
    member.sub.split !== 0n;
  if (same && before.stopPfn <= member.startPfn) return;
  const reason = same ? "they have the same pages" : "they are not of one split set";
  throw new VmcopyError(
    "E_NOT_VMCORE",
    `Cannot read ${before.file.path} and ${member.file.path} together: ${reason}`,
  );
}
