/** Sizes, rates, times and counts: read as typed, printed as promised. */
import { describe, expect, it } from "bun:test";
import {
  formatCount,
  formatDuration,
  formatFixed,
  formatPercent,
  formatRate,
  formatSize,
  formatWait,
  parseSize,
  SizeError,
  sizeArgument,
} from "../src/units.ts";

const KIB = 1024;
const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

describe("parseSize", () => {
  it.each([
    ["0", 0],
    ["1", 1],
    ["4096", 4096],
    ["64K", 65536],
    ["4M", 4 * MIB],
    ["1G", GIB],
    ["1T", 1024 ** 4],
    ["0064K", 65536],
    ["9007199254740991", Number.MAX_SAFE_INTEGER],
    ["8191T", 8191 * 1024 ** 4],
  ])("reads %s", (text, bytes) => expect(parseSize(text)).toBe(bytes));

  it.each([
    "",
    " ",
    "K",
    "4k",
    "4KB",
    "4KiB",
    "4 K",
    " 4K",
    "4K\n",
    "-4K",
    "+4",
    "1.5G",
    "1e3",
    "0x1000",
    "4P",
    "NaN",
    "Infinity",
    "٤K",
  ])("refuses %p", (text) => {
    expect(() => parseSize(text)).toThrow(SizeError);
    expect(() => parseSize(text)).toThrow(/^Cannot read the size: .* \(.+\)$/);
  });

  it.each(["9007199254740992", "8192T", "9".repeat(400)])("refuses more than 2^53 - 1 bytes: %s", (text) => {
    expect(() => parseSize(text)).toThrow(/larger than 2\^53 - 1 bytes/);
  });

  it("names the value in one short line, without its control characters", () => {
    expect(() => parseSize("4\x1b[31mK\n")).toThrow("(4?[31mK?)");
    expect(() => parseSize("x".repeat(5000))).toThrow(/\(x{40}\.\.\.\)$/);
  });

  it("has a code for --json", () => {
    try {
      parseSize("much");
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: "E_SIZE", name: "SizeError" });
    }
  });
});

describe("sizeArgument", () => {
  it.each([
    [0, "0"],
    [512, "512"],
    [4096, "4K"],
    [65536, "64K"],
    [64 * MIB, "64M"],
    [1536 * MIB, "1536M"],
    [GIB, "1G"],
    [2048 * 1024 ** 4, "2048T"],
  ])("%d is %s", (bytes, text) => expect(sizeArgument(bytes)).toBe(text));

  it("is read back as the same bytes, whatever they are", () => {
    for (let power = 0; power < 53; power++) {
      for (const bytes of [2 ** power, 2 ** power - 1, 3 * 2 ** Math.max(0, power - 2)]) {
        expect(parseSize(sizeArgument(bytes))).toBe(bytes);
      }
    }
  });
});

describe("formatSize", () => {
  it.each([
    [0, "0 B"],
    [1, "1 B"],
    [1023, "1023 B"],
    [KIB, "1 KiB"],
    [4096, "4 KiB"],
    [1536, "1.5 KiB"],
    [128 * KIB, "128 KiB"],
    [MIB - 1, "1.0 MiB"],
    [MIB, "1 MiB"],
    [1.04 * MIB, "1.0 MiB"],
    [31.7 * GIB, "31.7 GiB"],
    [99.96 * GIB, "100 GiB"],
    [878.4 * MIB, "878 MiB"],
    [1023.7 * MIB, "1.0 GiB"],
    [1024 ** 4, "1 TiB"],
    [5 * 1024 ** 5, "5 PiB"],
    [Number.NaN, "-"],
    [Infinity, "-"],
    [-1, "-"],
  ])("%d is %s", (bytes, text) => expect(formatSize(bytes)).toBe(text));

  it("never needs more than 8 characters, and never shows 1024 of a unit", () => {
    for (let bytes = 1; bytes < 2 ** 60; bytes *= 1.0007) {
      const text = formatSize(bytes);
      expect(text.length).toBeLessThanOrEqual(8);
      expect(text).not.toStartWith("1024");
    }
  });
});

describe("rates, times, shares and counts", () => {
  it.each([
    [63.38 * GIB, "63.4 GiB/s"],
    [214.26 * MIB, "214 MiB/s"],
    [0, "0 B/s"],
    [Infinity, "-"],
  ])("formatRate %d", (rate, text) => expect(formatRate(rate)).toBe(text));

  it.each([
    [0, "0 s"],
    [4.2e-8, "42.0 ns"],
    [3.5e-4, "350 us"],
    [9.9996e-4, "1.00 ms"],
    [0.0123, "12.3 ms"],
    [0.44, "440 ms"],
    [0.9996, "1.00 s"],
    [1.86, "1.86 s"],
    [45.29, "45.3 s"],
    [59.97, "1 min 0 s"],
    [151.5, "2 min 32 s"],
    [3599.7, "1 h 0 min"],
    [11100, "3 h 5 min"],
    [200000, "2 d 8 h"],
    [Number.NaN, "-"],
    [-1, "-"],
  ])("formatDuration %d", (seconds, text) => expect(formatDuration(seconds)).toBe(text));

  it.each([
    [0.2, "0 s"],
    [3, "3 s"],
    [59.6, "1 min 0 s"],
    [86399, "1 d 0 h"],
    [Infinity, "-"],
  ])("formatWait %d", (seconds, text) => expect(formatWait(seconds)).toBe(text));

  it.each([
    [0, 10, "0.0 %"],
    [57, 100, "57.0 %"],
    [9999, 10000, "99.9 %"],
    [10000, 10000, "100.0 %"],
    [12, 10, "100.0 %"],
    [0, 0, "100.0 %"],
    [1, -1, "-"],
  ])("formatPercent %d of %d", (part, whole, text) => expect(formatPercent(part, whole)).toBe(text));

  it.each([
    [0, "0"],
    [999, "999"],
    [1000, "1,000"],
    [8307246, "8,307,246"],
    [-1234567, "-1,234,567"],
    [18446744073709551615n, "18,446,744,073,709,551,615"],
    [Number.NaN, "-"],
  ])("formatCount %s", (count, text) => expect(formatCount(count)).toBe(text));

  it.each([
    [1113.206, 2, "1,113.21"],
    [0.4, 2, "0.40"],
    [Infinity, 2, "-"],
  ])("formatFixed %d", (value, decimals, text) => expect(formatFixed(value, decimals)).toBe(text));
});
