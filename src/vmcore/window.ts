/**
 * Reads a vmcore through windows.
 *
 * Each PT_LOAD is mapped by itself, window by window, and a window is unmapped whole. Where mmap fails, that
 * one window is read by pread instead; so are headers and notes. What cannot be read at all is zeros here, and
 * is listed.
 *
 * The consumer works in chunks (the manifest's digests are of chunks). A chunk that lies in one window is handed
 * out where the kernel mapped it, without a copy; one that spans several is put together in a buffer.
 */
import { isMediumError, LibcError } from "../../ffi/errno.ts";
import type { FaultGuard } from "../../ffi/guard.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { rangeAt } from "./layout.ts";
import { ReadAhead } from "./read-ahead.ts";
import type { Vmcore } from "./vmcore.ts";

/** Chunks are this large or larger: what stays in a core's own cache between being read and being written. */
export const LEAST_CHUNK = 256 << 10;
const LARGEST_CHUNK = 4 << 20;
/** Larger chunks are taken where there would be more than so many: their digests have to stay in memory. */
const MOST_CHUNKS = 65_536;

/**
 * Bytes of a chunk, the unit of digests, of fallback reads and of the one buffer: 256 KiB for a vmcore of up
 * to 16 GiB, 1 MiB up to 64 GiB, 4 MiB for more.
 *
 * @param size bytes of the vmcore
 */
export function chunkSizeFor(size: number): number {
  let chunk = LEAST_CHUNK;
  while (chunk < LARGEST_CHUNK && size > chunk * MOST_CHUNKS) chunk *= 4;
  return chunk;
}

export type Method = "mmap" | "read";

export interface Extent {
  /** bytes from the file's start */
  readonly offset: number;
  /** bytes */
  readonly length: number;
}

/** A stretch of the vmcore in memory, until it is released. */
export interface Window extends Extent {
  readonly address: number;
  /** whether it lies where the kernel mapped it, and touching it may fault */
  readonly mapped: boolean;
  /** All of it as bytes; detached by {@link Window.release} where it is mapped. */
  bytes(): Uint8Array;
  /** Pages of it that could not be read so far; they hold zeros. Touching a page may add to it. */
  unreadable(): Extent[];
  release(): void;
}

export class WindowReader implements Disposable {
  /** windows that were mapped, and those that had to be read because mmap failed */
  readonly counts = { mapped: 0, fallback: 0 };
  /** bytes */
  readonly chunkSize: number;
  readonly #buffer: Mapping;
  readonly #ahead: ReadAhead | undefined;
  /** Where the last window would have ended that could not be mapped: until there, all is read. */
  #readUntil = 0;

  constructor(
    readonly vmcore: Vmcore,
    readonly method: Method,
    /** bytes of a window, a multiple of the page size */
    readonly mapSize: number,
    readonly guard: FaultGuard,
  ) {
    this.chunkSize = chunkSizeFor(vmcore.size);
    this.#buffer = Mapping.buffer(vmcore.file.libc, this.chunkSize);
    this.#ahead = method === "read" ? ReadAhead.of(vmcore.file, vmcore.size) : undefined;
  }

  /**
   * The window at `offset`: the rest of its chunk, or more where the mapping is larger than that.
   *
   * @param offset bytes, a multiple of the page size, inside the file
   * @param limit at most so many bytes
   * @throws LibcError where the file as such cannot be read
   */
  window(offset: number, limit = Infinity): Window {
    const { vmcore, chunkSize } = this;
    const range = rangeAt(vmcore.ranges, offset);
    const nextChunk = (Math.floor(offset / chunkSize) + 1) * chunkSize;
    const chunkEnd = Math.min(vmcore.size, nextChunk, offset + limit);
    if (this.method === "mmap" && range.mappable && offset >= this.#readUntil) {
      let end = Math.min(range.offset + range.length, offset + this.mapSize, offset + limit);
      if (end < vmcore.size && end > chunkEnd) end = Math.floor(end / chunkSize) * chunkSize;
      if (end >= chunkEnd) {
        const mapping = this.#map(offset, end - offset);
        if (mapping !== undefined) return this.#mapped(mapping, offset);
      }
    }
    return this.#readAhead(offset, chunkEnd - offset) ?? this.#assembled(offset, chunkEnd - offset);
  }

  [Symbol.dispose](): void {
    this.#ahead?.[Symbol.dispose]();
    this.#buffer.unmap();
  }

  #map(offset: number, length: number): Mapping | undefined {
    const { file } = this.vmcore;
    try {
      const mapping = Mapping.ofFile(file.libc, file, offset, length);
      this.counts.mapped++;
      return mapping;
    } catch (error) {
      if (!(error instanceof LibcError)) throw error;
      this.counts.fallback++;
      // Just this window is read; it is not tried again in pieces.
      this.#readUntil = offset + length;
      return undefined;
    }
  }

  #mapped(mapping: Mapping, offset: number): Window {
    const { guard } = this;
    guard.watch(mapping);
    return {
      offset,
      length: mapping.length,
      address: mapping.address,
      mapped: true,
      bytes: () => mapping.bytes(),
      unreadable: () => this.#faults(mapping, offset),
      release: () => {
        guard.unwatch();
        mapping.unmap();
      },
    };
  }

  /** A chunk that was read while the last ones were worked on. */
  #readAhead(offset: number, length: number): Window | undefined {
    const taken = this.#ahead?.take(offset, length);
    return taken && inMemory(taken.memory, taken.at, offset, length, []);
  }

  #assembled(offset: number, length: number): Window {
    const { libc } = this.vmcore.file;
    const unreadable: Extent[] = [];
    for (let at = 0; at < length; ) {
      const range = rangeAt(this.vmcore.ranges, offset + at);
      let piece = Math.min(range.offset + range.length - (offset + at), length - at);
      const to = this.#buffer.address + at;
      if (this.method === "mmap" && range.mappable && offset + at >= this.#readUntil) {
        piece = Math.min(piece, this.mapSize);
        const mapping = this.#map(offset + at, piece);
        if (mapping === undefined) {
          this.#read(to, piece, offset + at, unreadable);
        } else {
          this.guard.watch(mapping);
          libc.backend.calls.memcpy(to, mapping.address, piece);
          unreadable.push(...this.#faults(mapping, offset + at));
          this.guard.unwatch();
          mapping.unmap();
        }
      } else {
        this.#read(to, piece, offset + at, unreadable);
      }
      at += piece;
    }
    return inMemory(this.#buffer, 0, offset, length, unreadable);
  }

  /** Reads a piece into the buffer; halves it until what is bad stands alone. */
  #read(address: number, length: number, offset: number, unreadable: Extent[]): void {
    const { file, size } = this.vmcore;
    const { pageSize } = file.libc;
    let count = 0;
    try {
      count = file.pread(address, length, offset);
      // The file became shorter while it was read.
      if (count < length)
        unreadable.push({ offset: offset + count, length: Math.min(length, size - offset) - count });
    } catch (error) {
      if (!isMediumError(error)) throw error;
      if (length > pageSize) {
        const half = Math.ceil(length / 2 / pageSize) * pageSize;
        this.#read(address, half, offset, unreadable);
        this.#read(address + half, length - half, offset + half, unreadable);
        return;
      }
      unreadable.push({ offset, length });
    }
    const from = address - this.#buffer.address;
    this.#buffer.bytes(from + count, length - count).fill(0);
  }

  #faults(mapping: Mapping, offset: number): Extent[] {
    const { pageSize } = this.vmcore.file.libc;
    return this.guard.faults().map((address) => {
      const at = address - mapping.address;
      return { offset: offset + at, length: Math.min(pageSize, mapping.length - at) };
    });
  }
}

/** A window on memory of this program's own. */
function inMemory(memory: Mapping, at: number, offset: number, length: number, unreadable: Extent[]): Window {
  return {
    offset,
    length,
    address: memory.address + at,
    mapped: false,
    bytes: () => memory.bytes(at, length),
    unreadable: () => unreadable,
    release: () => {},
  };
}

/** Joins extents that touch or overlap. @returns in file order */
export function joinExtents(extents: readonly Extent[]): Extent[] {
  const joined: Extent[] = [];
  for (const extent of [...extents].sort((a, b) => a.offset - b.offset)) {
    const last = joined[joined.length - 1];
    if (last !== undefined && extent.offset <= last.offset + last.length) {
      const end = Math.max(last.offset + last.length, extent.offset + extent.length);
      joined[joined.length - 1] = { offset: last.offset, length: end - last.offset };
    } else {
      joined.push(extent);
    }
  }
  return joined;
}
