/**
 * Writes a kdump-compressed dump in one pass: headers, marked incomplete, and bitmaps first; then page data as it
 * comes, and descriptors; the mark is taken off last, after everything else is durable. Whatever ends it before,
 * what is there can be opened: a page without a descriptor is one that was lost.
 *
 * Pages that repeat one word, zero pages above all, are stored once, and their descriptors share them.
 */
import { CODEC_FLAGS, type CodecName, type PackedPages } from "../codec/packed.ts";
import type { PfnRun } from "../vmcore/memory.ts";
import { setBits } from "../vmcore/pfn-bits.ts";
import { clipRuns } from "../vmcore/pfn-runs.ts";
import { DescriptorTable } from "./descriptor-table.ts";
import type { DumpOutput } from "./dump-file.ts";
import {
  DESCRIPTOR_SIZE,
  encodeMainHeader,
  encodeSubHeader,
  KDUMP_VERSION,
  type KdumpLayout,
  kdumpLayout,
  STATUS_AT,
  STATUS_INCOMPLETE,
  SUB_SIZE,
} from "./kdump-header.ts";

/** The pages of a dump: see src/filter/kept.ts. */
export interface PageBits {
  /** Bits of a piece of `pieceBytes` bytes, the lowest PFN first. */
  bits(piece: number): Uint8Array;
  countIn(start: number, end: number): number;
}

export interface KdumpPlan {
  /** bytes */
  readonly pageSize: number;
  readonly ram: readonly PfnRun[];
  /** max_mapnr */
  readonly endPfn: number;
  readonly kept: PageBits;
  /** bytes of `kept.bits` */
  readonly pieceBytes: number;
  readonly noteBytes: Uint8Array;
  /** of the VMCOREINFO text, in `noteBytes` */
  readonly vmcoreinfo: { readonly offset: number; readonly size: number };
  readonly cpus: number;
  /** phys_base on x86_64, PHYS_OFFSET on aarch64 */
  readonly physBase: bigint;
  /** struct new_utsname, 390 bytes */
  readonly utsname: Uint8Array;
  /** seconds since 1970 */
  readonly crashTime: number;
  readonly dumpLevel: number;
  readonly codec: CodecName;
  /** the source itself was incomplete: so is this */
  readonly incomplete: boolean;
  /** a member of a split set: the PFNs it has */
  readonly split: PfnRun | undefined;
}

/** Words that are remembered, for pages that repeat one. */
const MOST_WORDS = 65_536;

export class KdumpWriter {
  readonly #output: DumpOutput;
  readonly #plan: KdumpPlan;
  readonly #layout: KdumpLayout;
  readonly #table: DescriptorTable;
  readonly #pages: number;
  /** Where the zero page is stored; pages that repeat another word, by the word. */
  #zeroPage: number | undefined;
  readonly #uniform = new Map<bigint, number>();
  /** Where the next data goes. */
  #offset: number;
  #incomplete: boolean;
  /** zero pages so far */
  zeroPages = 0;

  constructor(output: DumpOutput, plan: KdumpPlan) {
    this.#output = output;
    this.#plan = plan;
    const { split, endPfn } = plan;
    this.#layout = kdumpLayout(plan.pageSize, plan.noteBytes.length, endPfn);
    this.#pages = plan.kept.countIn(split?.start ?? 0, split?.end ?? endPfn);
    this.#table = new DescriptorTable(output, this.#layout.descriptors);
    this.#offset = this.#layout.descriptors + this.#pages * DESCRIPTOR_SIZE;
    this.#incomplete = plan.incomplete;
  }

  /** bytes so far */
  get size(): number {
    return this.#offset;
  }

  /** Writes headers, notes and bitmaps. @throws LibcError, VmcopyError */
  async begin(): Promise<void> {
    const head = this.#headers();
    if (this.#output.rewritable) {
      await this.#output.writeBytes(head, 0);
    } else {
      // The status comes last, and no byte twice.
      await this.#output.writeBytes(head.subarray(0, STATUS_AT), 0);
      await this.#output.writeBytes(head.subarray(STATUS_AT + 4), STATUS_AT + 4);
    }
    const { bitmap1, bitmap2, bitmapBytes } = this.#layout;
    const { kept, pieceBytes, ram } = this.#plan;
    const bits = new Uint8Array(pieceBytes);
    for (let at = 0; at < bitmapBytes; at += pieceBytes) {
      const first = at * 8;
      bits.fill(0);
      for (const run of clipRuns(ram, first, first + pieceBytes * 8)) {
        setBits(bits, run.start - first, run.end - first);
      }
      await this.#output.writeBytes(bits.subarray(0, Math.min(pieceBytes, bitmapBytes - at)), bitmap1 + at);
    }
    for (let at = 0; at < bitmapBytes; at += pieceBytes) {
      const piece = kept.bits(at / pieceBytes).subarray(0, Math.min(pieceBytes, bitmapBytes - at));
      await this.#output.writeBytes(piece, bitmap2 + at);
    }
  }

  /**
   * Adds pages, in PFN order.
   *
   * @param lost indices of pages that could not be read: the dump stays marked incomplete
   */
  async add(packed: PackedPages, lost?: ReadonlySet<number>): Promise<void> {
    const { count, address, length, sizes, flags, words } = packed;
    const table = this.#table;
    let at = this.#offset;
    if (length > 0) await this.#output.write(address, length, at);
    this.#offset += length;
    for (let index = 0; index < count; index++) {
      if (table.isFull) await table.flush();
      const size = sizes[index] as number;
      if (lost?.has(index) === true) {
        table.add(0, 0, 0);
        this.#incomplete = true;
      } else if (size === 0) {
        const [low, high] = [words[2 * index] as number, words[2 * index + 1] as number];
        // Not awaited where there is nothing to write: of zero pages there are millions.
        const place = this.#shared(low, high) ?? (await this.#store(low, high));
        table.add(place, this.#plan.pageSize, 0);
      } else {
        table.add(at, size, flags[index] as number);
      }
      at += size;
    }
  }

  /**
   * Completes the dump: descriptors, and the mark taken off when all is durable.
   *
   * @returns its size in bytes
   */
  async finish(): Promise<number> {
    await this.#table.flush();
    await this.#output.sync();
    await this.#output.writeBytes(u32(this.#status(this.#incomplete)), STATUS_AT);
    return this.#offset;
  }

  /** Where a page that repeats a word is stored already; counts zero pages. */
  #shared(low: number, high: number): number | undefined {
    if (low !== 0 || high !== 0) return this.#uniform.get(wordOf(low, high));
    this.zeroPages++;
    return this.#zeroPage;
  }

  /** Stores a page that repeats a word. @returns where */
  async #store(low: number, high: number): Promise<number> {
    const word = wordOf(low, high);
    const place = this.#offset;
    if (word === 0n) this.#zeroPage = place;
    else if (this.#uniform.size < MOST_WORDS) this.#uniform.set(word, place);
    const { pageSize } = this.#plan;
    const page = new BigUint64Array(pageSize / 8).fill(word);
    await this.#output.writeBytes(new Uint8Array(page.buffer), place);
    this.#offset += pageSize;
    return place;
  }

  #status(incomplete: boolean): number {
    return CODEC_FLAGS[this.#plan.codec] | (incomplete ? STATUS_INCOMPLETE : 0);
  }

  /** Block 0 and the sub header with the notes. */
  #headers(): Uint8Array {
    const { pageSize, noteBytes, endPfn, split, vmcoreinfo } = this.#plan;
    const { subBlocks, bitmapBlocks } = this.#layout;
    const notesAt = pageSize + SUB_SIZE;
    const limited = BigInt(Math.min(endPfn, 0xffff_ffff));
    const main = encodeMainHeader({
      header_version: BigInt(KDUMP_VERSION),
      "timestamp.tv_sec": BigInt(this.#plan.crashTime),
      "timestamp.tv_usec": 0n,
      status: BigInt(this.#status(true)),
      block_size: BigInt(pageSize),
      sub_hdr_size: BigInt(subBlocks),
      bitmap_blocks: BigInt(bitmapBlocks),
      max_mapnr: limited,
      total_ram_blocks: 0n,
      device_blocks: 0n,
      written_blocks: 0n,
      current_cpu: 0n,
      nr_cpus: BigInt(Math.max(1, this.#plan.cpus)),
      utsname: this.#plan.utsname,
    });
    const sub = encodeSubHeader({
      phys_base: this.#plan.physBase,
      dump_level: BigInt(this.#plan.dumpLevel),
      split: split === undefined ? 0n : 1n,
      start_pfn: BigInt(Math.min(split?.start ?? 0, 0xffff_ffff)),
      end_pfn: BigInt(Math.min(split?.end ?? 0, 0xffff_ffff)),
      offset_vmcoreinfo: vmcoreinfo.size === 0 ? 0n : BigInt(notesAt + vmcoreinfo.offset),
      size_vmcoreinfo: BigInt(vmcoreinfo.size),
      offset_note: BigInt(notesAt),
      size_note: BigInt(noteBytes.length),
      offset_eraseinfo: 0n,
      size_eraseinfo: 0n,
      start_pfn_64: BigInt(split?.start ?? 0),
      end_pfn_64: BigInt(split?.end ?? 0),
      max_mapnr_64: BigInt(endPfn),
    });
    const bytes = new Uint8Array((1 + subBlocks) * pageSize);
    bytes.set(main);
    bytes.set(sub, pageSize);
    bytes.set(noteBytes, notesAt);
    return bytes;
  }
}

/** Cuts kept pages into members of about equal size. @returns a PFN range for each, without gaps */
export function splitRanges(kept: PageBits, pieceBytes: number, endPfn: number, members: number): PfnRun[] {
  const total = kept.countIn(0, endPfn);
  const ranges: PfnRun[] = [];
  let start = 0;
  let seen = 0;
  for (let at = 0; at < endPfn && ranges.length < members - 1; at += pieceBytes * 8) {
    const end = Math.min(endPfn, at + pieceBytes * 8);
    const inPiece = kept.countIn(at, end);
    // Where a member's share ends inside this piece, by halving.
    while (ranges.length < members - 1 && seen + inPiece >= (total * (ranges.length + 1)) / members) {
      const wanted = (total * (ranges.length + 1)) / members - seen;
      let [low, high] = [at, end];
      while (low < high) {
        const middle = Math.floor((low + high) / 2);
        if (kept.countIn(at, middle) < wanted) low = middle + 1;
        else high = middle;
      }
      ranges.push({ start, end: low });
      start = low;
    }
    seen += inPiece;
  }
  return [...ranges, { start, end: endPfn }];
}

function wordOf(low: number, high: number): bigint {
  return (BigInt(high) << 32n) | BigInt(low);
}

function u32(value: number): Uint8Array {
  return new Uint8Array(new Uint32Array([value]).buffer);
}
