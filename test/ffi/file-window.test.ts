/** A stretch of a file as a file of its own: nothing before it and nothing behind it is read or written. */
import { describe, expect, it } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { O_RDWR, S_IFMT, S_IFREG } from "../../ffi/constants.ts";
import { File } from "../../ffi/file.ts";
import { FileWindow } from "../../ffi/file-window.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { libc, temporaryFolder } from "../support/files.ts";

const path = temporaryFolder();
const whole = Uint8Array.from({ length: 1000 }, (_, at) => at & 0xff);

function opened(base: number, length: number): { window: FileWindow; buffer: Mapping } {
  writeFileSync(path("file"), whole);
  const file = File.open(libc, path("file"), O_RDWR);
  return { window: new FileWindow(file, base, length), buffer: Mapping.buffer(libc, 2000) };
}

describe("a window", () => {
  it.each([
    [0, 500, 500],
    [0, 2000, 500],
    [499, 10, 1],
    [500, 10, 0],
    [600, 10, 0],
  ])("read from %i on, %i bytes: %i are there", (offset, length, count) => {
    const { window, buffer } = opened(100, 500);
    expect(window.pread(buffer.address, length, offset)).toBe(count);
    expect(buffer.bytes(0, count)).toEqual(whole.subarray(100 + offset, 100 + offset + count));
    window.close();
  });

  it("of which the file ends first has less", () => {
    const { window, buffer } = opened(900, 500);
    expect(window.pread(buffer.address, 500, 0)).toBe(100);
    window.close();
  });

  it("is an ordinary file of its size", () => {
    const { window } = opened(100, 500);
    const { mode, size, allocated } = window.status();
    expect([window.size(), mode & S_IFMT, size, allocated]).toEqual([500, S_IFREG, 500, 500]);
    window.close();
    expect(() => window.size() && window.file.size()).toThrow("EBADF");
  });

  it("is written within its bounds, or not at all", () => {
    const { window, buffer } = opened(100, 500);
    buffer.bytes().fill(0xee);
    window.pwrite(buffer.address, 100, 400);
    expect(() => window.pwrite(buffer.address, 101, 400)).toThrow("ENOSPC");
    const expected = whole.slice();
    expected.fill(0xee, 500, 600);
    expect(new Uint8Array(readFileSync(path("file")))).toEqual(expected);
    window.close();
  });
});
