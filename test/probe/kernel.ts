/**
 * A pretended kernel: a sample file that answers as /proc/vmcore does, well or with one thing wrong. It keeps track
 * of windows and of the memory types reserved for them as x86's does, and of a clock that calls move on.
 */
import { MAP_SHARED, PROC_SUPER_MAGIC, PROT_EXEC, PROT_WRITE } from "../../ffi/constants.ts";
import { Libc } from "../../ffi/libc.ts";
import { STATFS } from "../../ffi/structs.ts";
import { backend } from "../support/files.ts";
import { inject, type Rule } from "../support/inject.ts";

/** What this kernel does wrong, or differently. */
export interface Ways {
  /** mmap of the vmcore fails so */
  readonly mmap?: string;
  /** mmap of this offset fails, whatever the length */
  readonly mmapAt?: { readonly offset: number; readonly errno: string };
  /** touching a window that begins here raises SIGBUS: it is mapped from an empty file, given by its descriptor */
  readonly badWindow?: { readonly offset: number; readonly emptyFile: number };
  readonly grantsWrite?: boolean;
  readonly grantsShared?: boolean;
  readonly grantsExec?: boolean;
  readonly grantsMprotect?: boolean;
  readonly grantsPastTheEnd?: boolean;
  /** read gives another byte at this file offset, where the read is longer than `longer` bytes */
  readonly flip?: { readonly offset: number; readonly longer?: number };
  /** read of this offset fails */
  readonly unreadable?: number;
  /** reading behind the end gives something */
  readonly endless?: boolean;
  /** windows across the borders of objects are no longer tracked page by page: neither fault */
  readonly mended?: boolean;
  /** split windows keep their reservation */
  readonly keepsSplit?: boolean;
  /** microseconds a page: copying from memory mapped uncached, read() of a page, of a page in a longer read */
  readonly uncachedCopy?: number;
  readonly readOne?: number;
  readonly readMany?: number;
}

interface Held {
  readonly offset: number;
  readonly length: number;
  readonly spans: boolean;
}

const PAGE = 4096;

export class PretendedKernel {
  readonly libc: Libc;
  /** calls of munmap that did not unmap a whole window of the vmcore */
  partial = 0;
  /** windows of the vmcore still mapped, by address */
  readonly held = new Map<number, Held>();
  readonly #ways: Ways;
  readonly #borders: readonly number[];
  readonly #size: number;
  readonly #lost: Held[] = [];
  #milliseconds = 0;

  /** @param borders file offsets where an object begins, without 0 @param size of the file, bytes */
  constructor(borders: readonly number[], size: number, ways: Ways = {}) {
    this.#ways = ways;
    this.#borders = borders;
    this.#size = size;
    const rules = {
      fstatfs: this.#fstatfs,
      mmap: this.#mmap,
      munmap: this.#munmap,
      mprotect: this.#mprotect,
    };
    this.libc = new Libc(inject(backend, { ...rules, pread: this.#pread, memcpy: this.#memcpy }));
  }

  readonly now = () => this.#milliseconds;

  #fstatfs: Rule = (call, real) => {
    const result = real(...call.args);
    const status = new DataView(backend.view(call.args[1] as number, 120));
    status.setBigInt64(STATFS.f_type, BigInt(PROC_SUPER_MAGIC), true);
    return result;
  };

  #mmap: Rule = (call, real) => {
    const [, length = 0, protection = 0, flags = 0, fd, offset = 0] = call.args;
    if (fd === -1) return real(...call.args);
    const ways = this.#ways;
    if (ways.mmap !== undefined) return call.fail(ways.mmap);
    if (ways.mmapAt?.offset === offset) return call.fail(ways.mmapAt.errno);
    if (offset + length > this.#size && !ways.grantsPastTheEnd) return call.fail("EINVAL");
    const write = (protection & PROT_WRITE) !== 0;
    if (write && !(flags & MAP_SHARED ? ways.grantsShared : ways.grantsWrite)) return call.fail("EPERM");
    if (protection & PROT_EXEC && !ways.grantsExec) return call.fail("EPERM");
    const spans = this.#borders.some((border) => border > offset && border < offset + length);
    const meets = (other: Held) => other.offset < offset + length && offset < other.offset + other.length;
    const inside = [...this.held.values()].filter((window) => !window.spans);
    if (spans && !ways.mended && [...inside, ...this.#lost].some(meets)) return call.fail("EAGAIN");
    const bad = ways.badWindow?.offset === offset ? ways.badWindow.emptyFile : undefined;
    const address = real(...(bad === undefined ? call.args : call.args.with(4, bad).with(5, 0)));
    this.held.set(address, { offset, length, spans });
    this.#milliseconds += length / PAGE / 1e6;
    return address;
  };

  #munmap: Rule = (call, real) => {
    const [address = 0, length = 0] = call.args;
    const window = this.held.get(address);
    if (window?.length === length) {
      this.held.delete(address);
    } else {
      for (const [start, whole] of this.held) {
        if (address < start || address >= start + whole.length) continue;
        this.partial++;
        this.held.delete(start);
        if (!this.#ways.keepsSplit) this.#lost.push(whole);
      }
    }
    return real(...call.args);
  };

  #mprotect: Rule = (call, real) => {
    const [address = 0, , protection = 0] = call.args;
    const refused = this.held.has(address) && (protection & PROT_WRITE) !== 0 && !this.#ways.grantsMprotect;
    return refused ? call.fail("EACCES") : real(...call.args);
  };

  #pread: Rule = (call, real) => {
    const [, address = 0, length = 0, offset = 0] = call.args;
    const { flip, unreadable, endless, readOne = 20, readMany = 19 } = this.#ways;
    const end = offset + length;
    if (unreadable !== undefined && unreadable >= offset && unreadable < end) return call.fail("EFAULT");
    if (endless && offset >= this.#size) return length;
    const count = real(...call.args);
    if (flip !== undefined && flip.offset >= offset && flip.offset < end && length > (flip.longer ?? 0)) {
      const bytes = new Uint8Array(backend.view(address, length));
      bytes[flip.offset - offset] = (bytes[flip.offset - offset] as number) ^ 1;
    }
    this.#milliseconds += ((length / PAGE) * (length > PAGE ? readMany : readOne)) / 1000;
    return count;
  };

  #memcpy: Rule = (call, real) => {
    const [, from = 0, length = 0] = call.args;
    const window = [...this.held].find(([start, held]) => from >= start && from < start + held.length)?.[1];
    const uncached = window?.spans === true && !this.#ways.mended;
    this.#milliseconds += ((length / PAGE) * (uncached ? (this.#ways.uncachedCopy ?? 40) : 0.5)) / 1000;
    return real(...call.args);
  };
}
