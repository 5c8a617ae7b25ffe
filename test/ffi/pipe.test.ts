/** Writing to pipes: a full one that does not block, short writes, a reader that is gone. */
import { describe, expect, it } from "bun:test";
import { readFileSync } from "node:fs";
import { O_NONBLOCK, O_RDWR } from "../../ffi/constants.ts";
import { File } from "../../ffi/file.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { injected, temporaryFolder } from "../support/files.ts";
import { chain, interruptEvery, type Rule, record, shortWrites } from "../support/inject.ts";

const path = temporaryFolder();
const SIZE = 1 << 20;

/** Counts the calls that failed with EAGAIN; asks libc's errno by the rule's own return. */
function counting(counter: { failures: number }): Rule {
  return (call, real) => {
    const result = real(...call.args);
    if (result === -1) counter.failures++;
    return result;
  };
}

describe("a FIFO that does not block", () => {
  it.each([
    ["whole writes", SIZE],
    ["short writes", 5000],
  ])("gets it all, by %s, however slowly it is read", async (_, most) => {
    const fifo = path(`fifo-${most}`);
    expect(Bun.spawnSync(["mkfifo", fifo]).exitCode).toBe(0);
    const refused = { failures: 0 };
    const waits: (readonly number[])[] = [];
    const on = injected({
      write: chain(interruptEvery(7), shortWrites(most), counting(refused)),
      poll: chain(interruptEvery(2), record(waits)),
    });
    // Opened for reading too, or open(2) would fail while there is no reader yet.
    const file = File.open(on, fifo, O_RDWR | O_NONBLOCK);
    const reader = Bun.spawn([
      "sh",
      "-c",
      'exec < "$1"; sleep 0.2; exec head -c "$2" > "$1.out"',
      "sh",
      fifo,
      `${SIZE}`,
    ]);
    using buffer = Mapping.buffer(on, SIZE);
    const bytes = buffer.bytes();
    for (let at = 0; at < SIZE; at++) bytes[at] = (at * 7 + (at >> 9)) & 0xff;
    for (let done = 0; done < SIZE; ) {
      const count = file.write(buffer.address + done, SIZE - done);
      if (count === 0) file.waitUntilWritable(1000);
      done += count;
    }
    expect(await reader.exited).toBe(0);
    file.close();
    expect(Buffer.compare(readFileSync(`${fifo}.out`), bytes)).toBe(0);
    expect(refused.failures).toBeGreaterThan(0);
    expect(waits.length).toBeGreaterThan(0);
    // It waited; it did not ask in a circle.
    expect(refused.failures).toBeLessThan(SIZE / 4096 + 10);
  });
});

it("a call that fails otherwise is an error", () => {
  const on = injected({ write: (call) => call.fail("EPIPE") });
  using file = File.open(on, "/dev/null", O_RDWR);
  using buffer = Mapping.buffer(on, 4096);
  expect(() => file.write(buffer.address, 4096)).toThrow("Cannot write /dev/null: broken pipe (EPIPE)");
});
