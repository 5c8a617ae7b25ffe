/** A mapping's life: its views end with it, it is unmapped whole, once. */
import { describe, expect, it } from "bun:test";
import { writeFileSync } from "node:fs";
import { File } from "../../ffi/file.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { injected, libc, temporaryFolder } from "../support/files.ts";
import { failNth, record } from "../support/inject.ts";

const path = temporaryFolder();
const PAGE = libc.pageSize;

function fileOf(pages: number): string {
  const name = path(`pages-${pages}`);
  const bytes = new Uint8Array(pages * PAGE);
  for (let page = 0; page < pages; page++) bytes.fill(page + 1, page * PAGE, (page + 1) * PAGE);
  writeFileSync(name, bytes);
  return name;
}

describe("a buffer", () => {
  it.each([1, 100, 4096, 4097, 1 << 20])("of %d bytes is page-aligned, zeroed and writable", (length) => {
    using buffer = Mapping.buffer(libc, length);
    expect(buffer.address % PAGE).toBe(0);
    expect(buffer.length).toBe(length);
    expect(buffer.bytes().every((byte) => byte === 0)).toBeTrue();
    buffer.bytes(length - 1)[0] = 7;
    expect(buffer.bytes()[length - 1]).toBe(7);
  });

  it("of no bytes is refused", () => {
    expect(() => Mapping.buffer(libc, 0)).toThrow("Cannot allocate 0 bytes: invalid argument (EINVAL)");
  });

  it("is an error where there is no memory", () => {
    // The first mmap is libc's own scratch memory.
    const poor = injected({ mmap: failNth(2, "ENOMEM") });
    expect(() => Mapping.buffer(poor, PAGE)).toThrow(/allocate 4096 bytes: .*\(ENOMEM\)/);
  });
});

describe("a window of a file", () => {
  it("shows the file's bytes", () => {
    using file = File.open(libc, fileOf(3));
    using window = Mapping.ofFile(libc, file, PAGE, 2 * PAGE);
    expect(window.bytes()[0]).toBe(2);
    expect(window.bytes(PAGE, 1)[0]).toBe(3);
    expect(window.buffer.byteLength).toBe(2 * PAGE);
    expect(window.buffer).toBe(window.buffer);
  });

  it.each([
    ["an unaligned offset", 1, 100],
    ["no length", 0, 0],
  ])("with %s is refused", (_, offset, length) => {
    using file = File.open(libc, fileOf(3));
    expect(() => Mapping.ofFile(libc, file, offset, length)).toThrow("(EINVAL)");
  });

  it("cannot be looked at outside itself", () => {
    using file = File.open(libc, fileOf(3));
    using window = Mapping.ofFile(libc, file, 0, PAGE);
    expect(() => window.bytes(0, PAGE + 1)).toThrow(RangeError);
    expect(() => window.bytes(PAGE + 1)).toThrow(RangeError);
  });
});

describe("after unmap", () => {
  it("every view that was taken has length 0", () => {
    const mapping = Mapping.buffer(libc, 4 * PAGE);
    const { buffer } = mapping;
    const views = [
      mapping.bytes(),
      mapping.bytes(PAGE, 10),
      new BigUint64Array(buffer),
      mapping.bytes().subarray(5),
    ];
    mapping.unmap();
    expect(buffer.byteLength).toBe(0);
    expect(buffer.detached).toBeTrue();
    expect(views.map((view) => view.length)).toEqual([0, 0, 0, 0]);
    expect(views[0]?.[0]).toBeUndefined();
  });

  it.each<[string, (mapping: Mapping) => unknown]>([
    ["address", (mapping) => mapping.address],
    ["buffer", (mapping) => mapping.buffer],
    ["bytes", (mapping) => mapping.bytes()],
  ])("%s throws", (_, use) => {
    const mapping = Mapping.buffer(libc, PAGE);
    mapping.unmap();
    expect(() => use(mapping)).toThrow("Cannot use a mapping: it has been unmapped");
  });

  it("unmapping again does nothing", () => {
    const unmapped: (readonly number[])[] = [];
    const counted = injected({ munmap: record(unmapped) });
    const mapping = Mapping.buffer(counted, 3 * PAGE);
    const { address } = mapping;
    mapping.unmap();
    mapping.unmap();
    mapping[Symbol.dispose]();
    expect(unmapped).toEqual([[address, 3 * PAGE]]);
  });

  it("a failure is told, and it stays unusable", () => {
    const failing = injected({ munmap: failNth(1, "ENOMEM") });
    const mapping = Mapping.buffer(failing, PAGE);
    expect(() => mapping.unmap()).toThrow("(ENOMEM)");
    expect(() => mapping.address).toThrow("it has been unmapped");
    mapping.unmap();
  });
});

it("offers no way to unmap a part", () => {
  const members = Object.getOwnPropertyNames(Mapping.prototype);
  expect(members.sort()).toEqual(["address", "buffer", "bytes", "constructor", "unmap"]);
  expect(Mapping.prototype.unmap.length).toBe(0);
});
