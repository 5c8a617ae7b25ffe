/**
 * Reads pages of an ELF vmcore by PFN: from windows of old memory, or by pread straight to where they are wanted.
 *
 * A window lies in one PT_LOAD (layout.ts), is kept as long as what is asked for lies in it, and is watched by the
 * SIGBUS guard. Where it cannot be mapped, that window is read instead. Memory that cannot be read is zeros.
 */
import { isMediumError, LibcError } from "../../ffi/errno.ts";
import type { FaultGuard } from "../../ffi/guard.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { firstWindow, rangeAt } from "./layout.ts";
import type { PageReader, PfnRun } from "./memory.ts";
import { firstEndingAfter } from "./pfn-runs.ts";
import type { Vmcore } from "./vmcore.ts";
import type { Method } from "./window.ts";

/** PFNs that lie one behind the other in the file. */
export interface FilePages extends PfnRun {
  /** bytes from the file's start: where the page `start` begins, or would begin where its beginning is not there */
  readonly offset: number;
  /** bytes of the file that are these pages' own: a filtered dump's partial pages end early */
  readonly from: number;
  readonly to: number;
}

/** How a vmcore's bytes are come by. */
export interface Reading {
  readonly method: Method;
  /** bytes of a window */
  readonly mapSize: number;
}

const NOTHING: readonly number[] = [];

export class ElfPageReader implements PageReader {
  readonly #vmcore: Vmcore;
  readonly #pages: readonly FilePages[];
  readonly #pageSize: number;
  readonly #reading: Reading;
  readonly #guard: FaultGuard | undefined;
  #window: Mapping | undefined;
  /** bytes from the file's start */
  #windowOffset = 0;
  /** The window that could not be mapped: it is read. */
  #refused = { offset: 0, end: 0 };
  #last: FilePages | undefined;

  /** @param pages by PFN, disjoint @param guard of windows; shared with other readers of the same memory */
  constructor(
    vmcore: Vmcore,
    pages: readonly FilePages[],
    pageSize: number,
    reading: Reading,
    guard: FaultGuard | undefined,
  ) {
    this.#vmcore = vmcore;
    this.#pages = pages;
    this.#pageSize = pageSize;
    this.#reading = reading;
    this.#guard = guard;
  }

  read(pfn: number, count: number, address: number): readonly number[] {
    let bad: number[] | undefined;
    const end = pfn + count;
    for (let at = pfn; at < end; ) {
      const to = address + (at - pfn) * this.#pageSize;
      const pages = this.#at(at);
      if (pages === undefined || pages.start >= end) {
        this.#zero(to, (end - at) * this.#pageSize);
        break;
      }
      if (pages.start > at) {
        this.#zero(to, (pages.start - at) * this.#pageSize);
        at = pages.start;
        continue;
      }
      const taken = Math.min(end, pages.end) - at;
      const offsets = this.#take(pages, at, taken, to);
      if (offsets.length > 0) {
        bad ??= [];
        for (const offset of offsets) bad.push(at + Math.floor(offset / this.#pageSize));
      }
      at += taken;
    }
    return bad === undefined ? NOTHING : [...new Set(bad)];
  }

  [Symbol.dispose](): void {
    this.#release();
  }

  /** The first file pages that end behind a PFN. */
  #at(pfn: number): FilePages | undefined {
    const last = this.#last;
    if (last === undefined || pfn < last.start || pfn >= last.end) {
      this.#last = this.#pages[firstEndingAfter(this.#pages, pfn)];
    }
    return this.#last;
  }

  /** @returns where bytes could not be read, from `to` on */
  #take(pages: FilePages, pfn: number, count: number, to: number): readonly number[] {
    const begin = pages.offset + (pfn - pages.start) * this.#pageSize;
    const end = begin + count * this.#pageSize;
    const from = Math.max(begin, pages.from);
    const until = Math.min(end, pages.to);
    if (from > begin) this.#zero(to, Math.min(from, end) - begin);
    if (until < end) this.#zero(to + Math.max(0, until - begin), end - Math.max(begin, until));
    if (from >= until) return NOTHING;
    const bad =
      this.#reading.method === "mmap"
        ? this.#copy(from, until - from, to + from - begin)
        : this.#read(from, until - from, to + from - begin);
    return from === begin ? bad : bad.map((offset) => offset + from - begin);
  }

  /** From windows. */
  #copy(offset: number, length: number, to: number): readonly number[] {
    let bad: number[] | undefined;
    const { memcpy } = this.#vmcore.file.libc.backend.calls;
    for (let done = 0; done < length; ) {
      const at = offset + done;
      const window = this.#windowAt(at);
      if (window === undefined) {
        const piece = Math.min(length - done, Math.max(this.#refused.end - at, this.#pageSize));
        for (const where of this.#read(at, piece, to + done)) {
          bad ??= [];
          bad.push(done + where);
        }
        done += piece;
        continue;
      }
      const into = at - this.#windowOffset;
      const piece = Math.min(length - done, window.length - into);
      // Another reader may have had the guard meanwhile.
      if (this.#guard?.watched !== window) this.#guard?.watch(window);
      memcpy(to + done, window.address + into, piece);
      for (const fault of this.#guard?.faults() ?? []) {
        const where = fault - window.address - into;
        if (where <= -this.#pageSize || where >= piece) continue;
        bad ??= [];
        bad.push(done + Math.max(0, where));
      }
      done += piece;
    }
    return bad ?? NOTHING;
  }

  /** The window that holds a byte of the file. @returns undefined where it has to be read */
  #windowAt(offset: number): Mapping | undefined {
    const held = this.#window;
    if (held !== undefined && offset >= this.#windowOffset && offset < this.#windowOffset + held.length) {
      return held;
    }
    if (offset >= this.#refused.offset && offset < this.#refused.end) return undefined;
    this.#release();
    const { file, ranges } = this.#vmcore;
    const { mapSize } = this.#reading;
    const range = rangeAt(ranges, offset);
    const first = firstWindow(range, this.#vmcore.physical, mapSize, this.#pageSize);
    const inRange = offset - range.offset;
    const start = inRange < first ? 0 : first + Math.floor((inRange - first) / mapSize) * mapSize;
    const length = Math.min(inRange < first ? first : mapSize, range.length - start);
    try {
      if (!range.mappable) throw new LibcError("mmap", file.path, 22);
      this.#window = Mapping.ofFile(file.libc, file, range.offset + start, length);
      this.#windowOffset = range.offset + start;
    } catch (error) {
      if (!(error instanceof LibcError)) throw error;
      this.#refused = { offset: range.offset + start, end: range.offset + start + length };
    }
    return this.#window;
  }

  #release(): void {
    if (this.#window === undefined) return;
    if (this.#guard?.watched === this.#window) this.#guard.unwatch();
    this.#window.unmap();
    this.#window = undefined;
  }

  /** By pread; halves what cannot be read until what is bad stands alone. */
  #read(offset: number, length: number, to: number): readonly number[] {
    const { file } = this.#vmcore;
    try {
      const count = file.pread(to, length, offset);
      if (count === length) return NOTHING;
      // The file became shorter while it was read.
      this.#zero(to + count, length - count);
      const missing = Math.ceil((length - count) / this.#pageSize);
      return Array.from({ length: missing }, (_, index) =>
        Math.min(count + index * this.#pageSize, length - 1),
      );
    } catch (error) {
      if (!isMediumError(error)) throw error;
      const page = this.#pageSize;
      if (length <= page) {
        this.#zero(to, length);
        return [0];
      }
      const half = Math.ceil(length / 2 / page) * page;
      return [
        ...this.#read(offset, half, to),
        ...this.#read(offset + half, length - half, to + half).map((where) => where + half),
      ];
    }
  }

  #zero(address: number, length: number): void {
    if (length > 0) new Uint8Array(this.#vmcore.file.libc.backend.view(address, length)).fill(0);
  }
}
