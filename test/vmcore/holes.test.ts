/** Holes of real sparse files, against which bytes were written. */
import { describe, expect, it } from "bun:test";
import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { File } from "../../ffi/file.ts";
import type { Libc } from "../../ffi/libc.ts";
import { SourceHoles } from "../../src/vmcore/holes.ts";
import { injected, libc, temporaryFolder } from "../support/files.ts";
import { property } from "../support/random.ts";

const path = temporaryFolder();
const BLOCK = 64 << 10;

/** A file of `size` bytes with data in these blocks only. */
function sparse(name: string, size: number, blocks: readonly number[]): string {
  const fd = openSync(path(name), "w");
  ftruncateSync(fd, size);
  for (const block of blocks) writeSync(fd, new Uint8Array(BLOCK).fill(1), 0, BLOCK, block * BLOCK);
  closeSync(fd);
  return path(name);
}

function withHoles<T>(on: Libc, file: string, size: number | undefined, use: (holes: SourceHoles) => T): T {
  using open = File.open(on, file);
  return use(new SourceHoles(open, size ?? open.size()));
}

const tellsHoles = withHoles(libc, sparse("probe", 16 * BLOCK, [8]), undefined, (holes) => holes.end(0) > 0);

describe.skipIf(!tellsHoles)("holes (on a file system that tells them)", () => {
  it("are found between data, and at the end", () => {
    withHoles(libc, sparse("some", 10 * BLOCK, [2, 3, 6]), undefined, (holes) => {
      const ends = Array.from({ length: 10 }, (_, block) => holes.end(block * BLOCK) / BLOCK);
      expect(ends).toEqual([2, 2, 2, 3, 6, 6, 6, 10, 10, 10]);
      expect(holes.end(10 * BLOCK)).toBe(10 * BLOCK);
      expect(holes.end(99 * BLOCK)).toBe(99 * BLOCK);
    });
  });

  it.each<[string, number[], number]>([
    ["all hole", [], 4],
    ["all data", [0, 1, 2, 3], 0],
    ["data first", [0], 0],
  ])("%s", (name, blocks, end) => {
    withHoles(libc, sparse(name, 4 * BLOCK, blocks), undefined, (holes) => {
      expect(holes.end(0)).toBe(end * BLOCK);
    });
  });

  it("of random files, asked in any steps forward: never data", async () => {
    await property(50, (random, seed) => {
      const count = random.between(1, 40);
      const blocks = Array.from({ length: count }, (_, block) => block).filter(() => random.chance(0.4));
      const size = count * BLOCK + random.below(BLOCK);
      withHoles(libc, sparse(`random-${seed}`, size, blocks), size, (holes) => {
        for (let at = 0; at < size; at += random.between(1, 2 * BLOCK)) {
          const next = blocks.find((block) => (block + 1) * BLOCK > at);
          const expected = next === undefined ? size : Math.max(at, next * BLOCK);
          expect(holes.end(at)).toBe(expected);
        }
      });
    });
  });

  it("of 8 TiB take a few calls", () => {
    const size = 8 * 2 ** 40;
    const calls = { count: 0 };
    const on = injected({
      lseek: (call, real) => {
        calls.count++;
        return real(...call.args);
      },
    });
    withHoles(on, sparse("huge", size, [5]), size, (holes) => {
      expect(holes.end(0)).toBe(5 * BLOCK);
      expect(holes.end(6 * BLOCK)).toBe(size);
      for (let at = 2 ** 40; at < size; at += 2 ** 40) expect(holes.end(at)).toBe(size);
    });
    expect(calls.count).toBeLessThan(6);
  });
});

describe("no holes", () => {
  it("where none are looked for", () => {
    withHoles(libc, sparse("ignored", 4 * BLOCK, []), 0, (holes) => expect(holes.end(0)).toBe(0));
  });

  it.each(["EINVAL", "EOPNOTSUPP", "ENOSYS"])("where the file system cannot tell (%s)", (errno) => {
    const on = injected({ lseek: (call) => call.fail(errno) });
    withHoles(on, sparse("untold", 4 * BLOCK, []), undefined, (holes) => {
      for (let block = 0; block < 4; block++) expect(holes.end(block * BLOCK)).toBe(block * BLOCK);
    });
  });

  it("behind data whose end cannot be told", () => {
    const on = injected({
      lseek: (call, real) => (call.args[2] === 4 ? call.fail("EINVAL") : real(...call.args)),
    });
    withHoles(on, sparse("endless", 4 * BLOCK, [0]), undefined, (holes) => {
      expect([holes.end(0), holes.end(2 * BLOCK)]).toEqual([0, 2 * BLOCK]);
    });
  });
});
