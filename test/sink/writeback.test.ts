/** How much is under way at once: as much as the device takes in a moment. */
import { afterEach, describe, expect, it } from "bun:test";
import { writeFileSync } from "node:fs";
import {
  O_RDWR,
  SYNC_FILE_RANGE_WAIT_AFTER,
  SYNC_FILE_RANGE_WRITE,
  TMPFS_MAGIC,
} from "../../ffi/constants.ts";
import { File } from "../../ffi/file.ts";
import type { Libc } from "../../ffi/libc.ts";
import { STATFS } from "../../ffi/structs.ts";
import { Writeback } from "../../src/sink/writeback.ts";
import { injected, temporaryFolder } from "../support/files.ts";

const path = temporaryFolder();
const MIB = 1 << 20;
const { now } = performance;
afterEach(() => {
  performance.now = now;
});

/** Ranges of a file that is written 256 KiB at a time to a device of so many bytes a second, by a clock of our own. */
function ranges(fileSize: number, bytesPerSecond: number, type = 0xef53) {
  let clock = 0;
  /** When the device will have done what it was given. */
  let idleAt = 0;
  performance.now = () => clock;
  const started: number[] = [];
  const waits: number[] = [];
  const through: Libc = injected({
    fstatfs: (call, real) => {
      const result = real(...call.args);
      through.structureView.setBigInt64(STATFS.f_type, BigInt(type), true);
      return result;
    },
    sync_file_range: (call) => {
      const [, , length = 0, flags = 0] = call.args;
      if ((flags & SYNC_FILE_RANGE_WAIT_AFTER) === 0) {
        expect(flags).toBe(SYNC_FILE_RANGE_WRITE);
        started.push(length);
        idleAt = Math.max(clock, idleAt) + (length / bytesPerSecond) * 1000;
        return 0;
      }
      // The range that was started last is still to be done when the one before it is.
      const doneAt = idleAt - ((started.at(-1) as number) / bytesPerSecond) * 1000;
      waits.push(Math.max(0, doneAt - clock));
      clock = Math.max(clock, doneAt);
      return 0;
    },
  });
  writeFileSync(path("file"), "");
  using file = File.open(through, path("file"), O_RDWR);
  const writeback = new Writeback(file, 0);
  for (let at = MIB / 4; at <= fileSize; at += MIB / 4) writeback.settle(at);
  return { started, waits, left: fileSize - started.reduce((sum, length) => sum + length, 0) };
}

describe("what is under way", () => {
  it("grows on a device that keeps up, and begins small", () => {
    const { started } = ranges(256 * MIB, 1e9);
    expect(started[0]).toBe(MIB / 4);
    expect(Math.max(...started)).toBe(8 * MIB);
    expect(started.at(-1)).toBe(8 * MIB);
  });

  it.each([1000, 300, 100])("is waited for 3 s at the most on a device of %i KiB/s", (rate) => {
    const { started, waits, left } = ranges(16 * MIB, rate * 1024);
    expect(Math.max(...waits)).toBeLessThanOrEqual(3000);
    expect(Math.min(...started)).toBe(MIB / 4);
    // The last sync waits for what is left and the range before it.
    expect(left + (started.at(-1) as number)).toBeLessThanOrEqual(MIB / 2);
  });

  it("is nothing in memory", () => {
    expect(ranges(16 * MIB, 1e9, TMPFS_MAGIC).started).toEqual([]);
  });
});
