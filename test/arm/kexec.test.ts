/** What the running kernel says, which images it takes, and what its errors mean. */
import { describe, expect, it } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { errnoNumber, LibcError } from "../../ffi/errno.ts";
import { readKernelImage } from "../../src/arm/kernel-image.ts";
import { type Circumstances, explain } from "../../src/arm/kexec.ts";
import { type Machine, readMachine } from "../../src/arm/machine.ts";
import { VmcopyError } from "../../src/errors.ts";
import { libc, temporaryFolder } from "../support/files.ts";

const path = temporaryFolder();

function machineWith(files: Record<string, string>): Machine {
  const root = path(`machine-${crypto.randomUUID()}`);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(`${root}/${name}`), { recursive: true });
    writeFileSync(`${root}/${name}`, text);
  }
  return readMachine(root);
}

const MACHINE = machineWith({
  "sys/kernel/kexec_crash_size": "268435456\n",
  "sys/kernel/kexec_crash_loaded": "1\n",
  "sys/kernel/security/lockdown": "none [integrity] confidentiality\n",
  "proc/sys/kernel/kexec_load_disabled": "0\n",
  "proc/cmdline": "quiet crashkernel=256M\n",
  "proc/iomem":
    "00100000-3ffdbfff : System RAM\n  01000000-01e01ee7 : Kernel code\n  02000000-02ba5fff : Kernel rodata\n" +
    "  02c00000-02f9c7bf : Kernel data\n  03337000-039fffff : Kernel bss\n  10000000-1fffffff : Crash kernel\n",
});

describe("the running kernel", () => {
  it("in the words of /sys and /proc", () => {
    expect(MACHINE).toEqual({
      reserved: 256 << 20,
      isLoaded: true,
      isLoadingDisabled: false,
      lockdown: "integrity",
      kernelMemory: 0x2a00000,
      commandLine: "quiet crashkernel=256M",
    });
  });

  it("that knows nothing of crash kernels, or does not tell", () => {
    const iomem = "00000000-00000000 : System RAM\n  00000000-00000000 : Kernel code\n";
    expect(machineWith({ "proc/iomem": iomem })).toEqual({
      reserved: undefined,
      isLoaded: false,
      isLoadingDisabled: false,
      lockdown: undefined,
      kernelMemory: undefined,
      commandLine: "",
    });
  });
});

/** A header of 4096 bytes with words at places. */
function header(words: [at: number, bytes: number[] | string][]): string {
  const bytes = new Uint8Array(4096);
  for (const [at, word] of words)
    bytes.set(typeof word === "string" ? new TextEncoder().encode(word) : word, at);
  writeFileSync(path("kernel"), bytes);
  return path("kernel");
}

const BZIMAGE: [number, number[] | string][] = [
  [0x1fe, [0x55, 0xaa]],
  [0x202, "HdrS"],
  [0x206, [0x0f, 0x02]],
  [0x238, [0xff, 0x07]],
  [0x260, [0x00, 0x80, 0x37, 0x03]],
];
const IMAGE: [number, number[] | string][] = [
  [16, [0, 0, 0xf0, 0x01]],
  [56, "ARM\x64"],
];

describe("kernel images", () => {
  it("bzImage: memory and command line that it takes", () => {
    const file = header(BZIMAGE);
    expect(readKernelImage(libc, file, "x64")).toEqual({
      path: file,
      bytes: 4096,
      memory: 0x3378000,
      commandLine: 2047,
    });
  });

  it("aarch64's Image", () => {
    expect(readKernelImage(libc, header(IMAGE), "arm64")).toMatchObject({
      memory: 0x1f00000,
      commandLine: 2047,
    });
  });

  it.each<[string, [number, number[] | string][], string, RegExp]>([
    ["vmlinux", [[0, "\x7fELF"]], "x64", /it is an ELF file, such as vmlinux/],
    ["one of another architecture", IMAGE, "x64", /it is a kernel for aarch64/],
    ["one of another architecture", BZIMAGE, "arm64", /it is a kernel for x86_64/],
    ["a compressed Image", [[0, [0x1f, 0x8b, 8]]], "arm64", /gunzip it/],
    ["something else", [[0, "#!/bin/sh"]], "x64", /it has no header of one/],
    ["one that is cut off", [...BZIMAGE, [0x24c, [0, 0x10]]], "x64", /it is cut off/],
    ["an old bzImage", [...BZIMAGE, [0x206, [0x0b, 0x02]]], "x64", /older than 2\.12/],
  ])("%s is refused in one line", (_what, words, architecture, why) => {
    const file = header(words);
    const read = () => readKernelImage(libc, file, architecture);
    expect(read).toThrow(why);
    expect(read).toThrow(/^Cannot load \S+ as crash kernel: [^\n]+ it has to be a bzImage/);
  });
});

const CALM: Circumstances = { machine: { ...MACHINE, lockdown: "none" }, isRoot: true, wanted: 300 << 20 };

describe("errors of kexec_file_load", () => {
  it.each<[string, Partial<Circumstances>, string, RegExp]>([
    ["EPERM", { isRoot: false }, "E_IO", /only root may/],
    ["EPERM", { machine: { ...MACHINE, isLoadingDisabled: true } }, "E_IO", /kexec_load_disabled is 1/],
    ["EPERM", { machine: MACHINE }, "E_IMAGE", /signed one \(lockdown: integrity\)/],
    ["EKEYREJECTED", {}, "E_IMAGE", /takes only a signed one, and/],
    ["ENODATA", {}, "E_IMAGE", /signed/],
    ["ENOPKG", {}, "E_IMAGE", /signed/],
    ["ENOEXEC", {}, "E_IMAGE", /bzImage/],
    ["EINVAL", {}, "E_IMAGE", /its log tells why/],
    ["EBUSY", {}, "E_IO", /try again/],
    ["ENOMEM", {}, "E_CRASHKERNEL", /256 MiB are reserved, and .* take 300 MiB there: raise crashkernel=/],
    ["EADDRNOTAVAIL", {}, "E_CRASHKERNEL", /raise crashkernel=/],
    ["ENOSYS", {}, "E_UNSUPPORTED", /CONFIG_KEXEC_FILE/],
  ])("%s %p", (name, more, code, words) => {
    const error = explain(new LibcError("load", "/k as crash kernel", errnoNumber(name)), {
      ...CALM,
      ...more,
    });
    expect(error).toBeInstanceOf(VmcopyError);
    expect(error).toMatchObject({ code, exitCode: 2 });
    expect((error as Error).message).toMatch(words);
    expect((error as Error).message).toStartWith("Cannot load /k as crash kernel: ");
    expect((error as Error).message).toEndWith(` (${name})`);
  });

  it("others stay what they are", () => {
    const error = new LibcError("open", "/k", errnoNumber("ENOENT"));
    expect(explain(error, CALM)).toBe(error);
  });
});
