/**
 * One file of a kdump-compressed dump: its headers, checked; its bitmaps, read a block at a time; its descriptors.
 * A dump has one, a split set several.
 */
import type { File } from "../../ffi/file.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { VmcopyError } from "../errors.ts";
import { countBits } from "../vmcore/pfn-bits.ts";
import {
  DESCRIPTOR_SIZE,
  decodeMainHeader,
  decodeSubHeader,
  type MainHeader,
  STATUS_INCOMPLETE,
  SUB_SIZE,
  type SubHeader,
} from "./kdump-header.ts";

/** Bytes of a bitmap that are read, and counted, at once. */
const BITMAP_BLOCK = 4096;
export const BLOCK_PFNS = BITMAP_BLOCK * 8;
const MOST_NOTES = 64 << 20;

export class KdumpMember implements Disposable {
  readonly main: MainHeader;
  readonly sub: SubHeader;
  /** bytes */
  readonly pageSize: number;
  /** max_mapnr */
  readonly endPfn: number;
  /** PFNs that this file has descriptors for */
  readonly startPfn: number;
  readonly stopPfn: number;
  /** bytes from the file's start */
  readonly bitmap1: number;
  readonly bitmap2: number;
  readonly descriptors: number;
  readonly noteBytes: Uint8Array;
  readonly incomplete: boolean;
  readonly size: number;
  /** Descriptors before each block of bitmap 2. */
  #ranks: Float64Array | undefined;
  readonly #block: Mapping;
  #cached = "";

  /** @throws VmcopyError E_NOT_VMCORE naming the field that cannot be */
  constructor(readonly file: File) {
    this.size = file.size();
    const refuse = (reason: string): never => {
      throw new VmcopyError("E_NOT_VMCORE", `Cannot read ${file.path} as a kdump-compressed dump: ${reason}`);
    };
    const main = decodeMainHeader(readBytes(file, 512, 0)) ?? refuse("its signature is not KDUMP");
    this.main = main;
    const version = Number(main.header_version);
    if (version < 1 || version > 6) refuse(`its header_version is ${version}, not 1 to 6`);
    this.pageSize = Number(main.block_size);
    if (![4096, 8192, 16384, 32768, 65536].includes(this.pageSize)) {
      refuse(`its block_size is ${this.pageSize}, no size of a page`);
    }
    const sub = readBytes(file, SUB_SIZE, this.pageSize);
    if (sub.length < SUB_SIZE) refuse("it ends before its sub header: it is cut off");
    this.sub = decodeSubHeader(sub);
    const endPfn = version >= 6 ? this.sub.max_mapnr_64 : main.max_mapnr;
    const bitmapBlocks = Number(main.bitmap_blocks);
    const subBlocks = Number(main.sub_hdr_size);
    if (subBlocks < 1 || subBlocks > 65_536) refuse(`its sub_hdr_size is ${subBlocks}`);
    if (endPfn <= 0n || endPfn > 1n << 40n) refuse(`its max_mapnr is ${endPfn}`);
    this.endPfn = Number(endPfn);
    const blocksOfOne = Math.ceil(Math.ceil(this.endPfn / 8) / this.pageSize);
    if (bitmapBlocks < 2 * blocksOfOne) {
      refuse(
        `its bitmap_blocks is ${bitmapBlocks}, less than the ${2 * blocksOfOne} of ${this.endPfn} pages`,
      );
    }
    this.bitmap1 = (1 + subBlocks) * this.pageSize;
    this.bitmap2 = this.bitmap1 + (bitmapBlocks / 2) * this.pageSize;
    this.descriptors = this.bitmap1 + bitmapBlocks * this.pageSize;
    if (this.size < this.descriptors) {
      refuse(`it ends inside its bitmaps, at ${this.size} of ${this.descriptors} bytes: it is cut off`);
    }
    const isSplit = this.sub.split !== 0n;
    const [start, stop] =
      version >= 6 ? [this.sub.start_pfn_64, this.sub.end_pfn_64] : [this.sub.start_pfn, this.sub.end_pfn];
    this.startPfn = isSplit ? Number(start) : 0;
    this.stopPfn = isSplit ? Math.min(Number(stop), this.endPfn) : this.endPfn;
    if (this.startPfn > this.stopPfn) refuse(`it is a split member of the pages ${start} to ${stop}`);
    this.incomplete = (main.status & BigInt(STATUS_INCOMPLETE)) !== 0n;
    this.noteBytes = version >= 4 ? this.#notes(refuse) : new Uint8Array(0);
    this.#block = Mapping.buffer(file.libc, BITMAP_BLOCK);
  }

  /** A block of a bitmap, good until the next is asked for. @throws LibcError */
  bits(bitmap: 1 | 2, block: number): Uint8Array {
    const bytes = this.#block.bytes(0, BITMAP_BLOCK);
    const key = `${bitmap}:${block}`;
    if (this.#cached === key) return bytes;
    this.#cached = "";
    const whole = Math.ceil(this.endPfn / 8) - block * BITMAP_BLOCK;
    const length = Math.max(0, Math.min(BITMAP_BLOCK, whole));
    const base = bitmap === 1 ? this.bitmap1 : this.bitmap2;
    this.file.pread(this.#block.address, length, base + block * BITMAP_BLOCK);
    bytes.fill(0, length);
    // Bits behind the last page mean nothing.
    const tail = this.endPfn % 8;
    if (length === whole && tail !== 0 && length > 0) {
      bytes[length - 1] = (bytes[length - 1] as number) & ((1 << tail) - 1);
    }
    this.#cached = key;
    return bytes;
  }

  /** Pages with a descriptor, in this file. */
  get pages(): number {
    return this.rank(this.stopPfn);
  }

  /** Place of a PFN's descriptor: how many pages of this file lie before it. @param pfn up to `stopPfn` */
  rank(pfn: number): number {
    this.#ranks ??= this.#count();
    return this.#before(pfn) - this.#before(this.startPfn);
  }

  /** Offset of a descriptor in the file. */
  descriptorAt(rank: number): number {
    return this.descriptors + rank * DESCRIPTOR_SIZE;
  }

  [Symbol.dispose](): void {
    this.#block.unmap();
    this.file.close();
  }

  #before(pfn: number): number {
    const block = Math.floor(pfn / BLOCK_PFNS);
    const inside = pfn % BLOCK_PFNS;
    const ranks = this.#ranks as Float64Array;
    const counted = ranks[Math.min(block, ranks.length - 1)] as number;
    if (inside === 0) return counted;
    const bits = this.bits(2, block);
    const whole = inside >> 3;
    const rest = (bits[whole] as number) & ((1 << (inside & 7)) - 1);
    return counted + countBits(bits.subarray(0, whole)) + countBits(Uint8Array.of(rest));
  }

  #count(): Float64Array {
    const blocks = Math.ceil(this.endPfn / BLOCK_PFNS);
    const ranks = new Float64Array(blocks + 1);
    for (let block = 0; block < blocks; block++) {
      ranks[block + 1] = (ranks[block] as number) + countBits(this.bits(2, block));
    }
    return ranks;
  }

  #notes(refuse: (reason: string) => never): Uint8Array {
    const [at, size] = [Number(this.sub.offset_note), Number(this.sub.size_note)];
    if (size === 0) return new Uint8Array(0);
    if (size > MOST_NOTES || at + size > this.bitmap1) {
      refuse(`its notes (offset_note ${at}, size_note ${size}) are not before its bitmaps (${this.bitmap1})`);
    }
    return readBytes(this.file, size, at);
  }
}

/** @returns fewer where the file ends */
export function readBytes(file: File, length: number, offset: number): Uint8Array<ArrayBuffer> {
  using buffer = Mapping.buffer(file.libc, Math.max(1, length));
  return buffer.bytes(0, file.pread(buffer.address, length, offset)).slice();
}
