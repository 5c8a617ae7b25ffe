// What a guest wrote to a disk, write by write and flush by flush, and what the disk may hold where the power is cut at
// any moment of it. qemu's blklogwrites makes the log, in the format of dm-log-writes
// (Documentation/admin-guide/device-mapper/log-writes.rst, drivers/md/dm-log-writes.c).
//
// A disk has a cache. What was written before a flush that has ended is there; of what was written since, anything: all
// of it, nothing, some writes and not others, of one write some sectors. Entries stand in the order in which they ended:
// a write that ended while a flush was under way counts as flushed, which a disk need not do.

import { closeSync, openSync, readSync } from "node:fs";
import type { Random } from "../support/random.ts";
import { rawDisk } from "./disks.ts";
import type { Disk } from "./guest.ts";

const SECTOR = 512;
const MAGIC = 0x6a736677736872n;
const FLUSH = 1;

/** A write, or with no bytes a flush; in the order in which they ended. */
interface Entry {
  readonly offset: number;
  readonly length: number;
  /** of its bytes in the log */
  readonly at: number;
}

/** A disk of which each write is logged into a file of at most so many bytes. */
export function loggedDisk({ path }: Disk, log: string, mostBytes: number): Disk {
  // qemu does not make it larger.
  rawDisk(log, mostBytes);
  const file = `file.driver=file,file.filename=${path},file.cache.no-flush=on`;
  const logged = `log.driver=file,log.filename=${log},log.cache.no-flush=on`;
  return { path, drive: `driver=blklogwrites,${file},${logged},log-sector-size=${SECTOR}` };
}

/** A log that is read while it grows. */
export class WriteLog {
  readonly entries: Entry[] = [];
  readonly #path: string;
  /** The next entry's place. */
  #at = SECTOR;

  constructor(path: string) {
    this.#path = path;
  }

  /** Reads on, to the end of what a guest has written so far. @returns entries there are @throws Error at other ones */
  read(): number {
    const fd = openSync(this.#path, "r");
    const header = new Uint8Array(32);
    const view = new DataView(header.buffer);
    const number = (at: number) => Number(view.getBigUint64(at, true));
    try {
      for (;;) {
        if (readSync(fd, header, 0, header.length, this.#at) < header.length) break;
        const [sector, sectors, flags] = [number(0), number(8), number(16)];
        if (sectors === 0 && flags === 0) break;
        if ((flags & ~FLUSH) !== 0 || (flags === FLUSH) !== (sectors === 0))
          throw new Error(`Cannot read ${this.#path}: an entry at ${this.#at} is neither write nor flush`);
        const length = sectors * SECTOR;
        this.entries.push({ offset: sector * SECTOR, length, at: this.#at + SECTOR });
        this.#at += SECTOR + length;
      }
    } finally {
      closeSync(fd);
    }
    return this.entries.length;
  }

  /** Whether the file's first sector says that it is such a log, once its guest has ended, with so many entries. */
  get isWhole(): boolean {
    const { buffer, byteOffset } = Bun.mmap(this.#path);
    const view = new DataView(buffer, byteOffset, SECTOR);
    return (
      view.getBigUint64(0, true) === MAGIC && Number(view.getBigUint64(16, true)) === this.entries.length
    );
  }

  /**
   * A disk as it may be after a cut behind the first `count` entries.
   *
   * @param before the disk as it was when the log began
   */
  cut(before: Uint8Array, count: number, random: Random): Uint8Array {
    const log = Bun.mmap(this.#path);
    const disk = before.slice();
    const durable = this.entries.slice(0, count).findLastIndex(({ length }) => length === 0);
    /** Of four writes in the cache, so many get to the disk. */
    const kept = random.between(0, 4);
    for (const [index, { offset, length, at }] of this.entries.slice(0, count).entries()) {
      if (index < durable) disk.set(log.subarray(at, at + length), offset);
      else if (random.below(4) < kept) {
        // Of some the sectors of one end only.
        const sectors = length / SECTOR;
        const whole = !random.chance(0.25);
        const from = whole || random.chance(0.5) ? 0 : random.below(sectors) * SECTOR;
        const to = whole || from > 0 ? length : random.between(1, sectors) * SECTOR;
        disk.set(log.subarray(at + from, at + to), offset + from);
      }
    }
    return disk;
  }
}
