/** The assembler against the encodings of Intel's manual, and, where binutils are, against a disassembler. */
import { describe, expect, it } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StubLayout } from "../../src/pack/architecture.ts";
import { x86_64 } from "../../src/pack/x86_64.ts";
import { X86Assembler } from "../../src/pack/x86_64_assembler.ts";

const objdump = Bun.which("objdump");
const itWithObjdump = it.skipIf(objdump === null);
const withObjdump = objdump === null ? " (left out: needs objdump of binutils)" : "";

const instructions: [text: string, emit: (a: X86Assembler) => void, bytes: string][] = [
  ["mov eax,0x13f", (a) => a.moveNumber32("rax", 319), "b8 3f 01 00 00"],
  ["mov esi,0xffffffff", (a) => a.moveNumber32("rsi", 0xffffffff), "be ff ff ff ff"],
  ["mov r12d,0x4", (a) => a.moveNumber32("r12", 4), "41 bc 04 00 00 00"],
  ["movabs rbx,0x123456789a", (a) => a.moveNumber64("rbx", 0x123456789a), "48 bb 9a 78 56 34 12 00 00 00"],
  ["movabs r9,0x10000000", (a) => a.moveNumber64("r9", 0x10000000), "49 b9 00 00 00 10 00 00 00 00"],
  ["mov rbp,rsp", (a) => a.move("rbp", "rsp"), "48 89 e5"],
  ["mov rsi,r13", (a) => a.move("rsi", "r13"), "4c 89 ee"],
  ["mov r15,rdx", (a) => a.move("r15", "rdx"), "49 89 d7"],
  ["mov rdi,QWORD PTR [rbx+0x20]", (a) => a.load("rdi", "rbx", 32), "48 8b 7b 20"],
  ["mov r13,QWORD PTR [rbx+0x0]", (a) => a.load("r13", "rbx", 0), "4c 8b 6b 00"],
  ["mov QWORD PTR [rsi-0x8],rcx", (a) => a.store("rsi", -8, "rcx"), "48 89 4e f8"],
  ["mov QWORD PTR [r9+0x8],rax", (a) => a.store("r9", 8, "rax"), "49 89 41 08"],
  ["mov BYTE PTR [rdi],dl", (a) => a.storeDlAtRdi(), "88 17"],
  ["lods rax,QWORD PTR ds:[rsi]", (a) => a.loadNextWord(), "48 ad"],
  ["lea rsi,[rbp+rax*8+0x10]", (a) => a.addressOfWord("rsi", "rbp", "rax", 16), "48 8d 74 c5 10"],
  ["lea r8,[r12+r9*8+0x7f]", (a) => a.addressOfWord("r8", "r12", "r9", 127), "4f 8d 44 cc 7f"],
  ["xor edx,edx", (a) => a.clear("rdx"), "31 d2"],
  ["xor r8d,r8d", (a) => a.clear("r8"), "45 31 c0"],
  ["add r13,rax", (a) => a.add("r13", "rax"), "49 01 c5"],
  ["sub r14,rax", (a) => a.subtract("r14", "rax"), "49 29 c6"],
  ["add rbx,0x28", (a) => a.addNumber("rbx", 40), "48 83 c3 28"],
  ["add r12,0xffffffffffffffff", (a) => a.addNumber("r12", -1), "49 83 c4 ff"],
  ["cmp rax,0xffffffffffffffea", (a) => a.compareNumber("rax", -22), "48 83 f8 ea"],
  ["test rax,rax", (a) => a.test("rax"), "48 85 c0"],
  ["div ecx", (a) => a.divide32("rcx"), "f7 f1"],
  ["div r10d", (a) => a.divide32("r10"), "41 f7 f2"],
  ["jmp rax", (a) => a.jumpTo("rax"), "ff e0"],
  ["jmp r11", (a) => a.jumpTo("r11"), "41 ff e3"],
  ["syscall", (a) => a.systemCall(), "0f 05"],
];

const layout: StubLayout = {
  programName: "program",
  records: 0x10200000,
  libraryCount: 4,
  libraryBytes: 2_900_000,
  programHeaders: 0x10000200,
  programHeaderCount: 9,
  loaderBase: 0x10100000,
  loaderEntry: 0x10119000,
  programEntry: 0x1a40d00,
};

function hex(code: Uint8Array): string {
  return Array.from(code, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
}

/** The instructions objdump sees, operands separated by single spaces. */
function disassemble(code: Uint8Array): string[] {
  const folder = mkdtempSync(join(tmpdir(), "vmcopy-test-"));
  try {
    const file = join(folder, "code");
    writeFileSync(file, code);
    const { stdout } = spawnSync(
      "objdump",
      ["-D", "-b", "binary", "-m", "i386:x86-64", "-M", "intel", file],
      {
        encoding: "utf8",
      },
    );
    const lines = stdout
      .split("\n")
      .filter((line) => /^\s+[0-9a-f]+:\t/.test(line) && line.split("\t").length > 2);
    return lines.map((line) =>
      (line.split("\t")[2] ?? "")
        .replace(/\s+#.*$/, "")
        .replace(/\s+/g, " ")
        .trim(),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("x86-64 assembler", () => {
  it.each(instructions)("%s", (_, emit, bytes) => {
    const a = new X86Assembler();
    emit(a);
    expect(hex(a.finish())).toBe(bytes);
  });

  it("counts a displacement from the end of the instruction, forwards and backwards", () => {
    const a = new X86Assembler();
    a.label("back");
    a.jump("notEqual", "on"); // 6 bytes, to 18
    a.jumpAlways("back"); // 5 bytes, from 11 to 0
    a.addressOf("rdi", "on"); // 7 bytes, from 18 to 18
    a.label("on");
    expect(hex(a.finish())).toBe("0f 85 0c 00 00 00 e9 f5 ff ff ff 48 8d 3d 00 00 00 00");
  });

  it("writes 64-bit words, little endian", () => {
    const a = new X86Assembler();
    a.words([1, 2 ** 40 + 2]);
    expect(hex(a.finish())).toBe("01 00 00 00 00 00 00 00 02 00 00 00 00 01 00 00");
  });

  it("refuses what it cannot encode", () => {
    const a = new X86Assembler();
    expect(() => a.load("rax", "rsp", 0)).toThrow("Cannot assemble: this base needs a SIB byte (rsp)");
    expect(() => a.load("rax", "rbx", 128)).toThrow("Cannot assemble: the number does not fit 8 bits (128)");
    expect(() => a.moveNumber32("rax", 2 ** 32)).toThrow("does not fit 32 bits (4294967296)");
    a.label("here");
    expect(() => a.label("here")).toThrow("Cannot assemble: two labels have one name (here)");
    a.jumpAlways("nowhere");
    expect(() => a.finish()).toThrow("Cannot assemble: no such label (nowhere)");
  });

  itWithObjdump(`is read back by a disassembler${withObjdump}`, () => {
    const a = new X86Assembler();
    for (const [, emit] of instructions) emit(a);
    expect(disassemble(a.finish())).toEqual(instructions.map(([text]) => text));
  });
});

describe("start stub for x86-64", () => {
  it("has one size, wherever it and everything else lies", () => {
    const elsewhere = { ...layout, records: 0, programHeaders: 0, loaderBase: 0, loaderEntry: 0 };
    expect(x86_64.assembleStub(elsewhere).code.length).toBe(x86_64.assembleStub(layout).code.length);
  });

  it("says in whose name it fails", () => {
    const text = new TextDecoder("latin1").decode(x86_64.assembleStub(layout).code);
    expect(text).toContain("program: cannot start: /proc is not mounted (run: mount -t proc proc /proc)\n");
    expect(text).toContain("program: cannot start: no memory for its libraries (3 MiB are needed)\n");
  });

  itWithObjdump(
    `is all instructions up to its texts, and only makes the system calls it should${withObjdump}`,
    () => {
      const { code } = x86_64.assembleStub(layout);
      const lines = disassemble(code.subarray(0, code.indexOf(0x3a) - "program".length)); // up to "program:"
      expect(lines.join("\n")).not.toContain("(bad)");
      const calls = lines.flatMap((line, i) => (line === "syscall" ? [lines.slice(0, i)] : []));
      const numbers = calls.map((before) => {
        const number = before.findLast((line) => line.startsWith("mov eax,0x"));
        return Number.parseInt(number?.slice("mov eax,".length) ?? "", 16);
      });
      // access, getpid, mkdir, mount, access; fcntl, mkdir, mount, open, dup twice; memfd_create twice, write; close
      expect(numbers).toEqual([21, 39, 83, 165, 21, 72, 83, 165, 2, 32, 32, 319, 319, 1, 3]);
    },
  );
});
