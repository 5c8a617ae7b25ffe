/** libc by its table of symbols: all of them load, and a failed call says which, on what, and why. */
import { describe, expect, it } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { O_RDONLY, PROC_SUPER_MAGIC, S_IFDIR, S_IFMT, S_IFREG } from "../../ffi/constants.ts";
import { errnoNumber, isMediumError, LibcError } from "../../ffi/errno.ts";
import { File } from "../../ffi/file.ts";
import { libcNames, SYMBOLS } from "../../ffi/symbols.ts";
import { backend, injected, libc, temporaryFolder } from "../support/files.ts";
import { failNth, interruptEvery } from "../support/inject.ts";

const path = temporaryFolder();
const caught = (act: () => unknown): unknown => {
  try {
    act();
  } catch (error) {
    return error;
  }
  throw new Error("it should have failed");
};

describe("the symbols", () => {
  it.each(Object.keys(SYMBOLS))("%s is there", (name) => {
    expect(backend.calls[name as keyof typeof SYMBOLS]).toBeFunction();
  });

  it.each([
    ["x64", ["libc.so.6", "libc.musl-x86_64.so.1"]],
    ["arm64", ["libc.so.6", "libc.musl-aarch64.so.1"]],
    ["aarch64", ["libc.so.6", "libc.musl-aarch64.so.1"]],
  ])("come from glibc or musl on %s", (architecture, names) => {
    expect(libcNames(architecture)).toEqual(names);
  });

  it("take and give 64-bit numbers as they are", () => {
    const file = path("sparse");
    writeFileSync(file, "");
    using open = File.open(libc, file, 2);
    open.truncate(2 ** 40 + 1);
    expect(open.size()).toBe(2 ** 40 + 1);
    expect(backend.calls.lseek(open.fd, 2 ** 40 - 1, 0)).toBe(2 ** 40 - 1);
    expect(backend.calls.lseek(open.fd, -1, 0)).toBe(-1);
    expect(backend.errno()).toBe(errnoNumber("EINVAL"));
  });

  it("peek at a word of memory", () => {
    const at = libc.structure();
    libc.structureView.setUint32(0, 0xfedcba98, true);
    expect(backend.peek(at)).toBe(0xfedcba98);
  });
});

describe("a failed call", () => {
  it("says call, path, errno by name and in words", () => {
    const error = caught(() => File.open(libc, path("absent")));
    expect(error).toBeInstanceOf(LibcError);
    expect(error).toMatchObject({
      call: "open",
      path: path("absent"),
      errno: 2,
      code: "ENOENT",
      text: "no such file or directory",
      message: `Cannot open ${path("absent")}: no such file or directory (ENOENT)`,
    });
  });

  it("of a number without a name gives the number", () => {
    expect(new LibcError("ioctl", "", 517)).toMatchObject({
      code: "E517",
      message: "Cannot ioctl: error 517 (E517)",
    });
  });

  it.each(["EIO", "EFAULT", "ENODATA", "EREMOTEIO", "EHWPOISON"])("%s is the medium's fault", (name) => {
    expect(isMediumError(new LibcError("read", "x", errnoNumber(name)))).toBeTrue();
  });

  it.each(["EINVAL", "EBADF", "EAGAIN", "ENOSPC"])("%s is not", (name) => {
    expect(isMediumError(new LibcError("read", "x", errnoNumber(name)))).toBeFalse();
  });

  it("is not made of another error, or of an unknown name", () => {
    expect(isMediumError(new Error("EIO"))).toBeFalse();
    expect(() => errnoNumber("ENONE")).toThrow(RangeError);
  });
});

describe("a path", () => {
  it.each([
    ["with a NUL", "a\0b", "EINVAL"],
    ["of 4096 bytes", "a".repeat(4096), "ENAMETOOLONG"],
    ["of 5000 bytes", "a".repeat(5000), "ENAMETOOLONG"],
    ["of 2000 characters of three bytes", "\u20ac".repeat(2000), "ENAMETOOLONG"],
    ["with a component of 300 bytes", `/${"a".repeat(300)}`, "ENAMETOOLONG"],
    ["that is empty", "", "ENOENT"],
  ])("%s is refused", (_, name, code) => {
    expect(caught(() => File.open(libc, name))).toMatchObject({ name: "LibcError", code });
  });

  it("is checked in second place too", () => {
    expect(caught(() => libc.rename("/", "a".repeat(5000)))).toMatchObject({ code: "ENAMETOOLONG" });
    expect(caught(() => libc.rename("/", "a\0b"))).toMatchObject({ code: "EINVAL" });
  });

  it("may be any text", () => {
    const name = path("na\u00efve \u20ac \n \u{1f427}");
    writeFileSync(name, "here");
    using file = File.open(libc, name);
    expect(file.size()).toBe(4);
  });

  it("and another do not get in each other's way", () => {
    const [from, to] = [path("f".repeat(200)), path("t".repeat(200))];
    writeFileSync(from, "moved");
    libc.rename(from, to);
    expect(libc.status(from)).toBeUndefined();
    expect(libc.status(to)?.size).toBe(5);
    libc.unlink(to);
    expect(libc.status(to)).toBeUndefined();
  });
});

describe("status", () => {
  it("tells type, size and identity", () => {
    mkdirSync(path("folder"));
    writeFileSync(path("file"), "123");
    expect((libc.status(path("folder"))?.mode ?? 0) & S_IFMT).toBe(S_IFDIR);
    using file = File.open(libc, path("file"));
    expect(file.status().mode & S_IFMT).toBe(S_IFREG);
    expect(file.status()).toEqual(libc.status(path("file")) as never);
    expect(file.status().identity).not.toBe(libc.status(path("folder"))?.identity);
  });

  it("is undefined for what is not there, an error for what cannot be asked", () => {
    expect(libc.status(path("absent"))).toBeUndefined();
    writeFileSync(path("file"), "123");
    expect(caught(() => libc.status(path("file/below")))).toMatchObject({ call: "stat", code: "ENOTDIR" });
  });

  it("of the file system tells procfs", () => {
    using file = File.open(libc, "/proc/self/status", O_RDONLY);
    expect(file.fileSystem().type).toBe(PROC_SUPER_MAGIC);
  });

  it("is asked again when a signal interrupts it", () => {
    const interrupted = injected({ statx: interruptEvery(2), fstatfs: failNth(1, "EINTR") });
    for (let i = 0; i < 4; i++) expect(interrupted.status("/")).toBeDefined();
    using file = File.open(interrupted, "/");
    expect(file.fileSystem().type).toBeGreaterThan(0);
  });
});
