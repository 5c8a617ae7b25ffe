/** Reading and writing through an open file, with a libc that interrupts, cuts short and fails. */
import { describe, expect, it } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { O_CREAT, O_RDWR } from "../../ffi/constants.ts";
import { LibcError } from "../../ffi/errno.ts";
import { File } from "../../ffi/file.ts";
import type { Libc } from "../../ffi/libc.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { injected, libc, temporaryFolder } from "../support/files.ts";
import {
  chain,
  failAfterBytes,
  failAtOffset,
  failNth,
  interruptEvery,
  type Rules,
  shortWrites,
} from "../support/inject.ts";

const path = temporaryFolder();
const SIZE = 300_000;
const pattern = Uint8Array.from({ length: SIZE }, (_, at) => (at * 31 + (at >> 8)) & 0xff);
writeFileSync(path("pattern"), pattern);

function readAll(on: Libc, length: number, offset: number): Uint8Array {
  using file = File.open(on, path("pattern"));
  using buffer = Mapping.buffer(on, length);
  return buffer.bytes(0, file.pread(buffer.address, length, offset)).slice();
}

function writeAll(on: Libc, name: string): void {
  using file = File.open(on, path(name), O_RDWR | O_CREAT, 0o600);
  using buffer = Mapping.buffer(on, SIZE);
  buffer.bytes().set(pattern);
  file.pwrite(buffer.address, SIZE, 0);
}

describe("pread", () => {
  it.each<[string, Rules]>([
    ["plainly", {}],
    ["by short reads", { pread: shortWrites(1000) }],
    ["interrupted", { pread: interruptEvery(2), open: failNth(1, "EINTR") }],
    ["interrupted, by short reads", { pread: chain(interruptEvery(3), shortWrites(4096)) }],
  ])("reads it all: %s", (_, rules) => {
    const on = injected(rules);
    expect(Buffer.compare(readAll(on, SIZE, 0), pattern)).toBe(0);
    expect(Buffer.compare(readAll(on, 5000, 77), pattern.subarray(77, 5077))).toBe(0);
  });

  it.each([
    [SIZE - 10, 100, 10],
    [SIZE, 100, 0],
    [SIZE + 5, 100, 0],
  ])("at %d gives what there is of %d bytes: %d", (offset, length, count) => {
    expect(readAll(libc, length, offset).length).toBe(count);
  });

  it("names the file and the reason", () => {
    const on = injected({ pread: failAtOffset(8192, "EIO") });
    expect(() => readAll(on, SIZE, 0)).toThrow(`Cannot read ${path("pattern")}: input/output error (EIO)`);
    expect(readAll(on, 8192, 0).length).toBe(8192);
    expect(readAll(on, 100, 12288).length).toBe(100);
  });
});

describe("pwrite", () => {
  it.each<[string, Rules]>([
    ["plainly", {}],
    ["by short writes", { pwrite: shortWrites(999) }],
    ["interrupted", { pwrite: chain(interruptEvery(2), shortWrites(70_000)) }],
  ])("writes it all: %s", (name, rules) => {
    writeAll(injected(rules), name);
    expect(Buffer.compare(readFileSync(path(name)), pattern)).toBe(0);
  });

  it("fails where the disk is full, with what fitted written", () => {
    const on = injected({ pwrite: failAfterBytes(123_456, "ENOSPC") });
    expect(() => writeAll(on, "full")).toThrow("no space left on device (ENOSPC)");
    expect(Buffer.compare(readFileSync(path("full")), pattern.subarray(0, 123_456))).toBe(0);
  });

  it("does not go on for ever where nothing is written", () => {
    let calls = 0;
    const on = injected({
      pwrite: (call) => (++calls > 10 ? call.fail("EBADF") : 0),
    });
    expect(() => writeAll(on, "nothing")).toThrow("(EIO)");
  });
});

describe("an open file", () => {
  it("is closed once", () => {
    const file = File.open(libc, path("pattern"));
    file.close();
    expect(() => file.size()).toThrow(LibcError);
    file.close();
  });

  it("reports a late error of close, but not an interruption", () => {
    const failing = injected({ close: failNth([1], "EIO") });
    expect(() => File.open(failing, path("pattern")).close()).toThrow("Cannot close");
    const interrupted = injected({ close: failNth([1], "EINTR") });
    expect(() => File.open(interrupted, path("pattern")).close()).not.toThrow();
  });

  it.each<[string, Rules, (file: File) => void]>([
    ["sync", { fsync: failNth(1, "EINTR") }, (file) => file.sync()],
    ["truncate", { ftruncate: failNth(1, "EINTR") }, (file) => file.truncate(10)],
  ])("%s is made again when interrupted", (name, rules, act) => {
    using file = File.open(injected(rules), path(name), O_RDWR | O_CREAT, 0o600);
    act(file);
  });

  it("says what failed", () => {
    const on = injected({ fsync: failNth(1, "EDQUOT"), ftruncate: failNth(1, "EFBIG") });
    using file = File.open(on, path("x"), O_RDWR | O_CREAT, 0o600);
    expect(() => file.sync()).toThrow(`Cannot sync ${path("x")}: disk quota exceeded (EDQUOT)`);
    expect(() => file.truncate(1)).toThrow(`Cannot resize ${path("x")}: file too large (EFBIG)`);
  });
});
