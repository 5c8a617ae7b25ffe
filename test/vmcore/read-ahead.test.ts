/** Reading ahead: the file's bytes wherever it gives any, and nothing where it cannot. */
import { afterAll, describe, expect, it } from "bun:test";
import { truncateSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { File } from "../../ffi/file.ts";
import { ReadAhead } from "../../src/vmcore/read-ahead.ts";
import { libc, temporaryFolder } from "../support/files.ts";
import { property } from "../support/random.ts";

const path = temporaryFolder();
const PAGE = 4096;
const MIB = 1 << 20;
const bytes = new Uint8Array(9 * MIB + 77);
for (let at = 0; at < bytes.length; at++) bytes[at] = (at * 7 + (at >> 11)) & 0xff;

function opened(name: string) {
  writeFileSync(path(name), bytes);
  const file = File.open(libc, path(name));
  return { file, ahead: ReadAhead.of(file, bytes.length) as ReadAhead };
}

const possible = availableParallelism() > 1 && libc.backend.aio !== undefined;

describe.skipIf(!possible)(
  `reading ahead${possible ? "" : " (left out: one processor, or no aio_read)"}`,
  () => {
    const { file, ahead } = opened("whole");
    afterAll(() => {
      ahead[Symbol.dispose]();
      file.close();
    });

    /** What is given for a stretch is right; whether anything is given. */
    function check(reader: ReadAhead, offset: number, length: number): boolean {
      const taken = reader.take(offset, length);
      if (taken === undefined) return false;
      const given = taken.memory.bytes(taken.at, length);
      expect(Buffer.compare(given, bytes.subarray(offset, offset + length))).toBe(0);
      return true;
    }

    it("gives all but the first chunk of a file that is read through", () => {
      const chunk = 256 << 10;
      let given = 0;
      for (let at = 0; at < bytes.length; at += chunk) {
        if (check(ahead, at, Math.min(chunk, bytes.length - at))) given++;
      }
      expect(given).toBe(Math.ceil(bytes.length / chunk) - 1);
    });

    it("gives the right bytes or none, wherever it is asked", async () => {
      let given = 0;
      await property(300, (random) => {
        const offset = PAGE * random.below(Math.floor(bytes.length / PAGE));
        const length = Math.min(bytes.length - offset, PAGE * (1 + random.below(700)));
        check(ahead, offset, length);
        if (check(ahead, offset + length, Math.min(PAGE, bytes.length - offset - length))) given++;
      });
      expect(given).toBeGreaterThan(100);
    });

    it("gives nothing of what a file has lost", () => {
      const cut = opened("cut");
      cut.ahead.take(0, MIB);
      truncateSync(path("cut"), 4 * MIB);
      expect(check(cut.ahead, MIB, MIB)).toBeTrue();
      expect(check(cut.ahead, 2 * MIB, MIB)).toBeTrue();
      expect(check(cut.ahead, 3 * MIB, MIB)).toBeFalse();
      expect(check(cut.ahead, 6 * MIB, MIB)).toBeFalse();
      expect(check(cut.ahead, 7 * MIB, MIB)).toBeFalse();
      cut.ahead[Symbol.dispose]();
      cut.file.close();
    });

    it("gives nothing of a file that cannot be read", () => {
      const closed = opened("closed");
      closed.file.close();
      for (let at = 0; at < 4 * MIB; at += MIB) expect(check(closed.ahead, at, MIB)).toBeFalse();
      closed.ahead[Symbol.dispose]();
    });
  },
);
