/**
 * The vmcore that is probed: its objects in file order, and the two ways to look at a stretch of it, mmap and
 * read, held against each other.
 */
import { MAP_PRIVATE, PROT_READ } from "../../ffi/constants.ts";
import { LibcError } from "../../ffi/errno.ts";
import { FaultGuard } from "../../ffi/guard.ts";
import type { Libc } from "../../ffi/libc.ts";
import { Mapping } from "../../ffi/mapping.ts";
import type { Segment } from "../vmcore/elf.ts";
import type { Vmcore } from "../vmcore/vmcore.ts";

/** One of the objects that /proc/vmcore is made of, widened to whole pages as the kernel widens it. */
export interface VmcoreObject {
  readonly name: string;
  /** bytes from the file's start */
  readonly offset: number;
  /** bytes */
  readonly length: number;
  /** the PT_LOAD whose memory it is; undefined for headers and notes */
  readonly load: Segment | undefined;
}

/** Bytes compared at a time. */
export const PIECE = 1 << 20;

export class Subject implements Disposable {
  readonly libc: Libc;
  /** The file is the kernel's own /proc/vmcore: its behaviour is the kernel's. */
  readonly live: boolean;
  /** bytes; of this kernel on a live vmcore, else of the one that crashed, as their objects are rounded */
  readonly pageSize: number;
  /** in file order */
  readonly objects: readonly VmcoreObject[];
  readonly guard: FaultGuard;
  /** two pieces of scratch memory */
  readonly buffer: Mapping;

  constructor(
    readonly vmcore: Vmcore,
    /** a clock, milliseconds */
    readonly now: () => number,
  ) {
    this.libc = vmcore.file.libc;
    this.live = vmcore.backing === "procfs";
    this.pageSize = this.live ? this.libc.pageSize : (vmcore.info.pageSize ?? this.libc.pageSize);
    this.objects = objectsOf(vmcore, this.pageSize);
    this.guard = new FaultGuard(this.libc);
    this.buffer = Mapping.buffer(this.libc, 2 * PIECE);
  }

  /** The objects that are old memory, in file order. */
  get loads(): readonly VmcoreObject[] {
    return this.objects.filter(({ load }) => load !== undefined);
  }

  /** Why old memory cannot be mapped at all; undefined where it can, or where there is none. */
  get unmappable(): LibcError | undefined {
    const first = this.loads[0];
    return first === undefined ? undefined : this.refusal(first.offset, this.libc.pageSize);
  }

  /** Why a window cannot be mapped for reading; undefined where it can. */
  refusal(offset: number, length: number): LibcError | undefined {
    return Mapping.refusal(this.libc, this.vmcore.file, offset, length, PROT_READ, MAP_PRIVATE);
  }

  /**
   * Maps a window and holds it against read, byte by byte.
   *
   * @param offset bytes, a multiple of the page size
   * @returns what is wrong, in words; undefined where they agree
   */
  disagreement(offset: number, length: number): string | undefined {
    const { vmcore, libc, guard, buffer } = this;
    try {
      using mapping = Mapping.ofFile(libc, vmcore.file, offset, length);
      guard.watch(mapping);
      try {
        for (let at = 0; at < length; at += PIECE) {
          const size = Math.min(PIECE, length - at);
          const count = vmcore.file.pread(buffer.address, size, offset + at);
          if (count < size) return `read gives ${count} of ${size} bytes at offset ${offset + at}`;
          const differs = libc.backend.calls.memcmp(buffer.address, mapping.address + at, size) !== 0;
          const [bad] = guard.faults();
          if (bad !== undefined) return `SIGBUS at offset ${offset + bad - mapping.address}`;
          if (differs) return `mmap and read differ in ${size} bytes at offset ${offset + at}`;
        }
      } finally {
        guard.unwatch();
      }
      return undefined;
    } catch (error) {
      if (error instanceof LibcError)
        return `${error.call} of ${length} bytes at offset ${offset}: ${error.code}`;
      throw error;
    }
  }

  /** Whether a stretch of the file is all zeros; at most PIECE bytes of it are looked at. */
  isZero(offset: number, length: number): boolean {
    return this.vmcore.read(offset, Math.min(length, PIECE)).every((byte) => byte === 0);
  }

  roundDown(bytes: number): number {
    return Math.floor(bytes / this.pageSize) * this.pageSize;
  }

  roundUp(bytes: number): number {
    return Math.ceil(bytes / this.pageSize) * this.pageSize;
  }

  [Symbol.dispose](): void {
    this.guard[Symbol.dispose]();
    this.buffer.unmap();
  }
}

function objectsOf({ headers }: Vmcore, pageSize: number): VmcoreObject[] {
  const widened = (name: string, start: number, size: number, load?: Segment): VmcoreObject => {
    const offset = Math.floor(start / pageSize) * pageSize;
    return { name, offset, length: Math.ceil((start + size) / pageSize) * pageSize - offset, load };
  };
  return [
    widened("headers", 0, headers.headersEnd),
    ...headers.notes.map((note) => widened("notes", note.offset, note.fileSize)),
    ...headers.loads.map((load) => widened(`PT_LOAD ${load.index}`, load.offset, load.fileSize, load)),
  ]
    .filter(({ length }) => length > 0)
    .sort((a, b) => a.offset - b.offset);
}

/** At most `most` of the items, evenly spread, the first and the last among them. */
export function spread<Item>(items: readonly Item[], most: number): readonly Item[] {
  if (items.length <= most) return items;
  return Array.from(
    { length: most },
    (_, i) => items[Math.round((i * (items.length - 1)) / (most - 1))] as Item,
  );
}

/** "4 PT_LOADs", or "128 of 300 PT_LOADs" where not all were looked at. */
export function counted(looked: number, all: number, what: string): string {
  return looked === all ? `${all} ${what}${all === 1 ? "" : "s"}` : `${looked} of ${all} ${what}s`;
}
