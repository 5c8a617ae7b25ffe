/**
 * The crashed kernel's virtual memory, by its own page tables: from a virtual address to physical ones, and to the
 * bytes there. Tables are read a page at a time and a few of them are kept, and the last stretch that was found is
 * remembered: a run of struct pages costs one walk for each 2 MiB.
 */
import type { Libc } from "../../ffi/libc.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { VmcopyError } from "../errors.ts";
import type { CrashMemory, PageReader, PhysicalReader } from "./memory.ts";
import type { Paging, Stretch } from "./paging.ts";
import { pagingAarch64 } from "./paging-aarch64.ts";
import { pagingX86 } from "./paging-x86_64.ts";

/** Pages that are kept: the tables of one walk, and those around it. */
const CACHED_PAGES = 16;
/** The most that is read at once through {@link AddressSpace.readVirtual}. */
const READ_LIMIT = 64 << 20;

export class AddressSpace implements PhysicalReader, Disposable {
  readonly #libc: Libc;
  readonly #reader: PageReader;
  readonly #paging: Paging;
  readonly #cache: Mapping;
  /** PFN in each place of the cache; -1 where there is none. */
  readonly #cached = new Float64Array(CACHED_PAGES).fill(-1);
  #next = 0;
  #last: { readonly virtual: bigint; readonly stretch: Stretch } | undefined;

  private constructor(
    libc: Libc,
    readonly memory: CrashMemory,
    paging: Paging,
  ) {
    this.#libc = libc;
    this.#paging = paging;
    this.#reader = memory.pages();
    this.#cache = Mapping.buffer(libc, CACHED_PAGES * memory.pageSize);
  }

  /** @throws VmcopyError E_UNSUPPORTED where the architecture is not known, or VMCOREINFO lacks something */
  static of(libc: Libc, memory: CrashMemory): AddressSpace {
    return new AddressSpace(libc, memory, pagingOf(memory));
  }

  /** @returns undefined where the address is not mapped, or its tables cannot be read */
  translate(virtual: bigint): Stretch | undefined {
    const last = this.#last;
    if (last !== undefined && virtual >= last.virtual) {
      const inside = virtual - last.virtual;
      if (inside < BigInt(last.stretch.length)) {
        return { physical: last.stretch.physical + inside, length: last.stretch.length - Number(inside) };
      }
    }
    const stretch = this.#paging.translate(virtual, (address) => this.#entry(address));
    if (stretch !== undefined) this.#last = { virtual, stretch };
    return stretch;
  }

  readPhysical(address: bigint, length: number): Uint8Array<ArrayBuffer> | undefined {
    const bytes = new Uint8Array(length);
    const size = BigInt(this.memory.pageSize);
    for (let done = 0; done < length; ) {
      const at = address + BigInt(done);
      const page = this.#page(at / size);
      if (page === undefined) return undefined;
      const inside = Number(at % size);
      const piece = Math.min(length - done, this.memory.pageSize - inside);
      bytes.set(page.subarray(inside, inside + piece), done);
      done += piece;
    }
    return bytes;
  }

  /** `length` bytes at a virtual address. @returns undefined where a part of it cannot be had */
  readVirtual(virtual: bigint, length: number): Uint8Array<ArrayBuffer> | undefined {
    if (length > READ_LIMIT) return undefined;
    if (length === 0) return new Uint8Array(0);
    if (length <= this.memory.pageSize) {
      const stretch = this.translate(virtual);
      if (stretch !== undefined && stretch.length >= length)
        return this.readPhysical(stretch.physical, length);
    }
    using buffer = Mapping.buffer(this.#libc, length);
    if (this.readVirtualInto(virtual, length, buffer.address) < length) return undefined;
    return buffer.bytes(0, length).slice();
  }

  /**
   * Reads virtual memory to `address`, whole pages straight from where they lie.
   *
   * @returns bytes that are there, from the start; less than `length` where something is not mapped or unreadable
   * @throws LibcError where the file as such cannot be read
   */
  readVirtualInto(virtual: bigint, length: number, address: number): number {
    const { pageSize } = this.memory;
    for (let done = 0; done < length; ) {
      const stretch = this.translate(virtual + BigInt(done));
      if (stretch === undefined) return done;
      const piece = Math.min(stretch.length, length - done);
      const inside = Number(stretch.physical % BigInt(pageSize));
      const pfn = Number(stretch.physical / BigInt(pageSize));
      const whole = inside === 0 ? Math.floor(piece / pageSize) : 0;
      if (whole > 0) {
        const there = this.#readPages(pfn, whole, address + done);
        done += there * pageSize;
        if (there < whole) return done;
      } else {
        const part = Math.min(piece, pageSize - inside);
        const bytes = this.readPhysical(stretch.physical, part);
        if (bytes === undefined) return done;
        new Uint8Array(this.#libc.backend.view(address + done, part)).set(bytes);
        done += part;
      }
    }
    return length;
  }

  [Symbol.dispose](): void {
    this.#reader[Symbol.dispose]();
    this.#cache.unmap();
  }

  /** @returns pages that are there, from the first on */
  #readPages(pfn: number, count: number, address: number): number {
    let there = 0;
    for (const { start, end } of this.memory.stored(pfn, pfn + count)) {
      if (start !== pfn + there) break;
      there = end - pfn;
    }
    if (there === 0) return 0;
    const bad = this.#reader.read(pfn, there, address);
    return bad.length === 0 ? there : Math.min(...bad) - pfn;
  }

  #entry(physical: bigint): bigint | undefined {
    const size = BigInt(this.memory.pageSize);
    const page = this.#page(physical / size);
    if (page === undefined) return undefined;
    return new DataView(page.buffer, page.byteOffset).getBigUint64(Number(physical % size) & ~7, true);
  }

  /** A page, good until {@link CACHED_PAGES} others were asked for. */
  #page(number: bigint): Uint8Array | undefined {
    const { pageSize } = this.memory;
    if (number >= 1n << 52n) return undefined;
    const pfn = Number(number);
    let place = this.#cached.indexOf(pfn);
    if (place < 0) {
      place = this.#next;
      this.#cached[place] = -1;
      if (this.#readPages(pfn, 1, this.#cache.address + place * pageSize) < 1) return undefined;
      this.#cached[place] = pfn;
      this.#next = (place + 1) % CACHED_PAGES;
    }
    return this.#cache.bytes(place * pageSize, pageSize);
  }
}

function pagingOf({ architecture, info, path }: CrashMemory): Paging {
  if (architecture === "x86_64") return pagingX86(info);
  if (architecture === "aarch64") return pagingAarch64(info);
  throw new VmcopyError(
    "E_UNSUPPORTED",
    `Cannot translate addresses of ${path}: its machine is neither x86_64 nor aarch64`,
  );
}
