/**
 * Reads pages of a kdump-compressed dump: descriptors by the hundred, stored bytes in long stretches where they lie
 * one behind the other, as writers leave them.
 */
import { isMediumError } from "../../ffi/errno.ts";
import type { Libc } from "../../ffi/libc.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { CodecError, createUnpacker, type PageUnpacker } from "../codec/unpacker.ts";
import type { PageReader, PfnRun } from "../vmcore/memory.ts";
import { DESCRIPTOR_SIZE } from "./kdump-header.ts";
import type { KdumpMember } from "./kdump-member.ts";

/** Descriptors that are read at once. */
const DESCRIPTORS = 1024;
/** Bytes of page data that are read at once; more than a page. */
const DATA = 1 << 20;

/** Why a page that the dump has cannot be had. */
export interface PageFault {
  readonly pfn: number;
  readonly kind: "lost" | "corrupt" | "unreadable";
  /** to follow "page ..." */
  readonly reason: string;
}

/** What the reader needs to know of the dump. */
export interface KdumpPages {
  readonly pageSize: number;
  readonly members: readonly KdumpMember[];
  stored(start: number, end: number): Iterable<PfnRun>;
}

export class KdumpPageReader implements PageReader {
  readonly #dump: KdumpPages;
  readonly #libc: Libc;
  readonly #unpacker: PageUnpacker;
  readonly #table: Mapping;
  readonly #words: Uint32Array;
  readonly #data: Mapping;
  /** What of which file is in the buffer. */
  #held: { member: KdumpMember; offset: number; length: number } | undefined;
  /** The last page that was stored as it is, for those that share it: zero pages. */
  #shared: { readonly member: KdumpMember; readonly offset: number } | undefined;
  readonly #page: Mapping;

  constructor(dump: KdumpPages) {
    this.#dump = dump;
    this.#libc = (dump.members[0] as KdumpMember).file.libc;
    this.#unpacker = createUnpacker(this.#libc, dump.pageSize);
    this.#table = Mapping.buffer(this.#libc, DESCRIPTORS * DESCRIPTOR_SIZE);
    this.#words = new Uint32Array(this.#table.buffer, 0, (DESCRIPTORS * DESCRIPTOR_SIZE) / 4);
    this.#data = Mapping.buffer(this.#libc, DATA);
    this.#page = Mapping.buffer(this.#libc, dump.pageSize);
  }

  read(pfn: number, count: number, address: number): readonly number[] {
    const bad: number[] = [];
    this.visit(pfn, count, address, (fault) => bad.push(fault.pfn));
    return bad;
  }

  /** As {@link PageReader.read}, and says what is wrong with a page. */
  visit(pfn: number, count: number, address: number, onFault: (fault: PageFault) => void): void {
    const { pageSize } = this.#dump;
    let at = pfn;
    for (const { start, end } of this.#dump.stored(pfn, pfn + count)) {
      this.#zero(address + (at - pfn) * pageSize, (start - at) * pageSize);
      for (let from = start; from < end; ) {
        const member = this.#memberOf(from);
        const to = Math.min(end, member.stopPfn, from + DESCRIPTORS);
        this.#run(member, from, to - from, address + (from - pfn) * pageSize, onFault);
        from = to;
      }
      at = end;
    }
    this.#zero(address + (at - pfn) * pageSize, (pfn + count - at) * pageSize);
  }

  [Symbol.dispose](): void {
    for (const memory of [this.#table, this.#data, this.#page]) memory.unmap();
  }

  #memberOf(pfn: number): KdumpMember {
    return this.#dump.members.find((member) => pfn >= member.startPfn && pfn < member.stopPfn) as KdumpMember;
  }

  #run(
    member: KdumpMember,
    pfn: number,
    count: number,
    address: number,
    onFault: (fault: PageFault) => void,
  ): void {
    const { pageSize } = this.#dump;
    const length = count * DESCRIPTOR_SIZE;
    const got = member.file.pread(this.#table.address, length, member.descriptorAt(member.rank(pfn)));
    for (let index = 0; index < count; index++) {
      const to = address + index * pageSize;
      const at = (index * DESCRIPTOR_SIZE) / 4;
      const high = this.#words[at + 1] as number;
      const offset = high * 2 ** 32 + (this.#words[at] as number);
      const [size, flags] = [this.#words[at + 2] as number, this.#words[at + 3] as number];
      const refuse = (kind: PageFault["kind"], reason: string) => {
        this.#zero(to, pageSize);
        onFault({ pfn: pfn + index, kind, reason });
      };
      if ((index + 1) * DESCRIPTOR_SIZE > got) refuse("corrupt", "has no descriptor: the dump is cut off");
      else if (offset === 0) refuse("lost", "was lost when the dump was written");
      else if (size === 0 || size > pageSize) refuse("corrupt", `has a stored size of ${size} bytes`);
      else if (offset < member.descriptors || offset + size > member.size) {
        refuse("corrupt", `has its data at ${offset}, outside the dump's ${member.size} bytes`);
      } else {
        this.#unpack(member, offset, size, flags, to, refuse);
      }
    }
  }

  #unpack(
    member: KdumpMember,
    offset: number,
    size: number,
    flags: number,
    to: number,
    refuse: (kind: PageFault["kind"], reason: string) => void,
  ): void {
    const { memcpy } = this.#libc.backend.calls;
    const { pageSize } = this.#dump;
    const shared = this.#shared;
    if (shared?.member === member && shared.offset === offset && flags === 0 && size === pageSize) {
      memcpy(to, this.#page.address, pageSize);
      return;
    }
    try {
      const stored = this.#bytes(member, offset, size);
      if (stored === undefined) {
        refuse("corrupt", "has no data: the dump is cut off");
        return;
      }
      if (flags === 0 && size === pageSize) {
        // Kept for the next that shares it; a page that is no one's but its own costs a copy.
        memcpy(this.#page.address, this.#data.address + stored.byteOffset, pageSize);
        memcpy(to, this.#page.address, pageSize);
        this.#shared = { member, offset };
        return;
      }
      this.#unpacker.unpack(flags, stored, to);
    } catch (error) {
      if (error instanceof CodecError) refuse("corrupt", error.message);
      else if (isMediumError(error)) refuse("unreadable", `cannot be read: ${error.text} (${error.code})`);
      else throw error;
    }
  }

  /** Stored bytes, good until the next are asked for. What lies behind them is read with them. */
  #bytes(member: KdumpMember, offset: number, size: number): Uint8Array<ArrayBuffer> | undefined {
    let held = this.#held;
    if (held?.member !== member || offset < held.offset || offset + size > held.offset + held.length) {
      this.#held = undefined;
      // A page that lies by itself is read by itself: the shared zero page, far back.
      const isNext = held !== undefined && held.member === member && offset >= held.offset;
      const wanted = isNext || held === undefined ? Math.min(DATA, member.size - offset) : size;
      const length = this.#read(member, offset, wanted, size);
      held = { member, offset, length };
      this.#held = held;
    }
    const at = offset - held.offset;
    if (at + size > held.length) return undefined;
    return new Uint8Array(this.#data.buffer, at, size);
  }

  /** @returns bytes read; where they cannot be read all together, just those of the page */
  #read(member: KdumpMember, offset: number, wanted: number, size: number): number {
    try {
      return member.file.pread(this.#data.address, wanted, offset);
    } catch (error) {
      if (!isMediumError(error) || wanted === size) throw error;
      return member.file.pread(this.#data.address, size, offset);
    }
  }

  #zero(address: number, length: number): void {
    if (length > 0) new Uint8Array(this.#libc.backend.view(address, length)).fill(0);
  }
}
