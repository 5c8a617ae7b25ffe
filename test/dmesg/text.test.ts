/** A log that was saved as text, read again: what formatRecord() makes of the records is what they were. */
import { describe, expect, it } from "bun:test";
import { formatRecord } from "../../src/dmesg/format.ts";
import { parseLogText } from "../../src/dmesg/text.ts";
import type { LogRecord } from "../../src/vmcore/log.ts";
import { property } from "../support/random.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const none = { level: undefined, facility: undefined, caller: undefined };
const record = (seq: number, nanoseconds: bigint, text: string): LogRecord => ({
  ...{ seq, nanoseconds, ...none },
  text: encode(text),
});
const textOf = (records: readonly LogRecord[]) => records.map((each) => formatRecord(each)).join("");

describe("a saved log", () => {
  it("has its records again, of several lines too", () => {
    const records = [
      record(0, 0n, "Linux version 6.1"),
      record(1, 1_234_567_000n, "two\nlines"),
      record(2, 123_456_000_001_000n, "[   12.000000] quoted"),
      record(3, 123_456_000_002_000n, ""),
    ];
    expect(parseLogText(textOf(records))).toEqual(records);
    expect(parseLogText("")).toEqual([]);
  });

  it("of which only the end was saved begins inside a record", () => {
    const records = parseLogText("ond half\n[    1.000000] whole\n");
    expect(records).toEqual([record(0, 0n, "ond half"), record(1, 1_000_000_000n, "whole")]);
  });

  it("in 500 ways: the text is the same again", async () => {
    await property(500, (random) => {
      const records = Array.from({ length: random.below(20) }, (_, seq) => {
        const letters = Array.from({ length: random.below(60) }, () =>
          String.fromCharCode(random.pick([10, 9, 32, 91, 93, 46, 48, 65, 120, 92, random.below(128)])),
        );
        return record(seq, BigInt(random.below(2 ** 40)) * 1000n, letters.join(""));
      });
      const text = textOf(records);
      expect(textOf(parseLogText(text))).toBe(text);
    });
  });
});
