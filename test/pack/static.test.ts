/** The post-link step on tiny files: what it changes, and what it says of files it cannot work with. */
import { afterAll, describe, expect, it } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PackError, PT_LOAD, readElf64 } from "../../src/pack/elf64.ts";
import { makeStatic } from "../../src/pack/static.ts";
import { type TinyElf, tinyElf } from "./tiny-elf.ts";

const root = mkdtempSync(join(tmpdir(), "vmcopy-test-"));
afterAll(() => rmSync(root, { recursive: true }));

/** Puts a library into the root the linker searches. */
function library(path: string, options: TinyElf): Uint8Array {
  const { bytes } = tinyElf({ type: 3, address: 0, ...options });
  mkdirSync(join(root, path, ".."), { recursive: true });
  writeFileSync(join(root, path), bytes);
  return bytes;
}

const loader = library("/lib64/loader.so.2", { soname: "loader.so.2", writable: true });
const one = library("/lib/x86_64-linux-gnu/libone.so.1", { soname: "libone.so.1", needed: ["loader.so.2"] });
library("/lib/x86_64-linux-gnu/libtwo.so.1", { soname: "libtwo.so.1", machine: 183 });
const two = library("/usr/lib/libtwo.so.1", { soname: "libtwo.so.1", needed: ["libone.so.1"] });
library("/usr/lib/libdeep.so.1", { soname: "libdeep.so.1", needed: ["libone.so.1", "libhidden.so.1"] });
library("/usr/lib/libnameless.so.1", {});
library("/lib64/readonly.so", { soname: "readonly.so" });

const whole: TinyElf = {
  interpreter: "/lib64/loader.so.2",
  needed: ["libone.so.1", "loader.so.2", "libtwo.so.1"],
};
const link = (bytes: Uint8Array) => makeStatic(bytes, { programName: "program", root });

/** Where in the file an address lies. */
function at(bytes: Uint8Array, address: number): number {
  const segment = readElf64(bytes, "result").programHeaders.find(
    (header) => address >= header.address && address < header.address + header.fileSize,
  );
  if (!segment) throw new Error(`no segment holds 0x${address.toString(16)}`);
  return segment.offset + address - segment.address;
}

describe("a program made static", () => {
  const input = tinyElf(whole);
  const before = input.bytes.slice();
  const { bytes, embedded } = link(input.bytes);
  const result = readElf64(bytes, "result");

  it("is the input, unchanged, and its libraries", () => {
    expect(input.bytes).toEqual(before);
    expect(embedded).toEqual(["loader.so.2", "libone.so.1", "libtwo.so.1"]);
    // of two libraries of one name, the one for this machine
    for (const part of [one, two]) expect(Buffer.from(bytes).indexOf(part)).toBeGreaterThan(0);
  });

  it("has three segments for the kernel, in order, and nothing else", () => {
    expect(result.programHeaders.map((header) => [header.type, header.flags])).toEqual([
      [PT_LOAD, 5],
      [PT_LOAD, 5],
      [PT_LOAD, 6],
    ]);
    for (const { offset, address } of result.programHeaders) expect(offset % 4096).toBe(address % 4096);
    expect(result.programHeaders.map((header) => header.address)).toEqual([0x400000, 0x10000000, 0x10002000]);
    expect(result.entry).toBe(0x10000000);
    expect(result.view.getBigUint64(40, true)).toBe(0n); // e_shoff
  });

  it("holds the loader's image, its bss written out", () => {
    const image = at(bytes, 0x10001000);
    expect(bytes.subarray(image, image + 512)).toEqual(loader.subarray(0, 512));
    const data = at(bytes, 0x10002000);
    expect(bytes.subarray(data, data + 4096)).toEqual(
      new Uint8Array(4096).map((_, i) => loader[4096 + i] ?? 0),
    );
  });

  it("names each embedded library by one path, in DT_NEEDED and in DT_VERNEED, and the loader as before", () => {
    const strings = 0x400000 + input.strings;
    const names = [0, 1, 2].map((i) => {
      const needed = Number(result.view.getBigUint64(input.dynamic + i * 16 + 8, true));
      expect(result.view.getUint32(input.versionNeeds + i * 16 + 4, true)).toBe(needed);
      const start = at(bytes, strings + needed);
      return [
        strings + needed,
        Buffer.from(bytes.subarray(start, bytes.indexOf(0, start))).toString(),
      ] as const;
    });
    expect(names.map(([, text]) => text)).toEqual([
      "/proc/self/fd///////////",
      "loader.so.2",
      "/proc/self/fd///////////",
    ]);
    expect(new Set(names.map(([address]) => address)).size).toBe(3);
    // where the stub will write digits: in the writable segment
    for (const i of [0, 2]) expect(names[i]?.[0]).toBeGreaterThan(0x10002000);
  });
});

describe("a file the linker cannot work with", () => {
  const good = tinyElf(whole).bytes;
  const changed = (offset: number, ...values: number[]) => {
    const bytes = good.slice();
    bytes.set(values, offset);
    return bytes;
  };
  const cases: [what: string, bytes: Uint8Array, message: string][] = [
    ["empty", new Uint8Array(0), "Cannot read program: it is not an ELF file"],
    ["a script", new TextEncoder().encode("#!/bin/sh\n"), "Cannot read program: it is not an ELF file"],
    [
      "cut in the ELF header",
      good.subarray(0, 40),
      "Cannot read program: it ends within the ELF header (40 bytes)",
    ],
    ["32-bit", changed(4, 1), "Cannot read program: it is not a 64-bit ELF file (EI_CLASS 1)"],
    ["big endian", changed(5, 2), "Cannot read program: it is not little endian (EI_DATA 2)"],
    ["without program headers", changed(56, 0), "Cannot read program: it has no program headers (e_phnum 0)"],
    [
      "with program headers of another size",
      changed(54, 32),
      "Cannot read program: its program headers have an unknown size (e_phentsize 32)",
    ],
    [
      "cut in the program headers",
      good.subarray(0, 100),
      "Cannot read program: its program headers lie outside it (e_phoff 64, e_phnum 3)",
    ],
    [
      "cut after the program headers",
      good.subarray(0, 600),
      `Cannot read program: program header 0 lies outside it (p_offset 0, p_filesz ${good.length}, file size 600)`,
    ],
    [
      "with an absurd offset",
      changed(64 + 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
      "Cannot read program: a field in its headers is absurd (0xffffffffffffffff at 72)",
    ],
    [
      "of another machine",
      tinyElf({ ...whole, machine: 183 }).bytes,
      "Cannot make program static: there is a start stub for x86_64 only (e_machine 183)",
    ],
    [
      "position independent",
      tinyElf({ ...whole, type: 3 }).bytes,
      "Cannot make program static: only programs with a fixed address can be (e_type 3)",
    ],
    [
      "static already",
      tinyElf({}).bytes,
      "Cannot make program static: it asks for no dynamic loader (no PT_INTERP)",
    ],
    [
      "whose loader is not there",
      tinyElf({ ...whole, interpreter: "/lib64/none.so" }).bytes,
      `Cannot make program static: a library cannot be read, ENOENT (${root}/lib64/none.so)`,
    ],
    [
      "whose loader is no loader",
      tinyElf({ ...whole, interpreter: "/lib64/readonly.so" }).bytes,
      `Cannot embed ${root}/lib64/readonly.so as dynamic loader: its writable segments are not its last ones`,
    ],
    [
      "whose library is nowhere",
      tinyElf({ ...whole, needed: ["libnone.so.1"] }).bytes,
      "Cannot make program static: a library is nowhere in /lib/x86_64-linux-gnu, /usr/lib/x86_64-linux-gnu, " +
        "/lib64, /usr/lib64, /lib, /usr/lib (libnone.so.1)",
    ],
    [
      "whose library has no name",
      tinyElf({ ...whole, needed: ["libnameless.so.1"] }).bytes,
      `Cannot embed ${root}/usr/lib/libnameless.so.1: it has no name of its own (no DT_SONAME)`,
    ],
    [
      "whose library needs one that it does not name",
      tinyElf({ ...whole, needed: ["libone.so.1", "libdeep.so.1"] }).bytes,
      "Cannot make program static: libdeep.so.1 needs a library the program does not name (libhidden.so.1)",
    ],
  ];

  it.each(cases)("%s", (_, bytes, message) => {
    expect(() => link(bytes)).toThrow(new PackError(message));
  });

  it("at every length a file can be cut to", () => {
    for (let length = 0; length < good.length; length++) {
      expect(() => link(good.subarray(0, length))).toThrow(PackError);
    }
  });

  it("or can, whatever bytes are changed: a result or a PackError, never anything else", () => {
    let state = 1;
    const random = (below: number) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    let refused = 0;
    for (let run = 0; run < 3000; run++) {
      const bytes = good.slice();
      for (let n = 1 + random(3); n > 0; n--) bytes[random(bytes.length)] = random(2) ? random(256) : 0xff;
      try {
        link(bytes);
      } catch (error) {
        if (!(error instanceof PackError)) throw error;
        expect(error.message).toMatch(/^Cannot .+: .+/s);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(500);
  });
});
