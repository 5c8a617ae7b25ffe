/**
 * The few x86-64 instructions that the start stub and the initramfs's loader are made of, one method for each form,
 * and labels. Encodings are those of Intel's Software Developer's Manual, volume 2: REX prefix, opcode, ModRM,
 * displacement, immediate. Every branch is 32 bits wide, so that an instruction's size never depends on where its
 * target lies.
 */

/** The general registers; the number is the one encoded in ModRM (its fourth bit goes to REX). */
export const registers = {
  rax: 0,
  rcx: 1,
  rdx: 2,
  rbx: 3,
  rsp: 4,
  rbp: 5,
  rsi: 6,
  rdi: 7,
  r8: 8,
  r9: 9,
  r10: 10,
  r11: 11,
  r12: 12,
  r13: 13,
  r14: 14,
  r15: 15,
} as const;

export type Register = keyof typeof registers;

/** Conditions of `jump`, as the second opcode byte of their 32-bit form (0F xx). */
const conditions = { equal: 0x84, notEqual: 0x85, negative: 0x88, zeroOrLess: 0x8e } as const;

export type Condition = keyof typeof conditions;

interface Fixup {
  /** Where the 32-bit displacement lies; it counts from its own end. */
  at: number;
  label: string;
}

export class X86Assembler {
  #bytes: number[] = [];
  #labels = new Map<string, number>();
  #fixups: Fixup[] = [];

  /** Names this place. @throws Error if the name is taken */
  label(name: string): void {
    if (this.#labels.has(name)) throw new Error(`Cannot assemble: two labels have one name (${name})`);
    this.#labels.set(name, this.#bytes.length);
  }

  /** `mov r32, imm32`: sets the whole register to a number from 0 to 2^32-1 (the upper half becomes zero). */
  moveNumber32(to: Register, value: number): void {
    const r = registers[to];
    if (r >= 8) this.#emit(0x41);
    this.#emit(0xb8 | (r & 7));
    this.#emit32(value);
  }

  /** `mov r64, imm64`: an absolute address. */
  moveNumber64(to: Register, value: number): void {
    const r = registers[to];
    this.#emit(0x48 | (r >= 8 ? 1 : 0), 0xb8 | (r & 7));
    this.words([value]);
  }

  /** `mov r64, r64` */
  move(to: Register, from: Register): void {
    this.#registers(0x89, from, to);
  }

  /** `mov r64, [base + displacement]` */
  load(to: Register, base: Register, displacement: number): void {
    this.#memory(0x8b, to, base, displacement);
  }

  /** `mov [base + displacement], r64` */
  store(base: Register, displacement: number, from: Register): void {
    this.#memory(0x89, from, base, displacement);
  }

  /** `mov byte [base], dl`. The base is rdi: the one place it is needed. */
  storeDlAtRdi(): void {
    this.#emit(0x88, 0x17);
  }

  /** `lodsq`: rax = the 64-bit word at rsi; rsi goes on to the next. */
  loadNextWord(): void {
    this.#emit(0x48, 0xad);
  }

  /** `lea r64, [rip + label]`: the label's address. */
  addressOf(to: Register, label: string): void {
    const r = registers[to];
    this.#emit(0x48 | (r >= 8 ? 4 : 0), 0x8d, ((r & 7) << 3) | 5);
    this.#displacement(label);
  }

  /** `lea r64, [base + index*8 + displacement]` for a displacement of 0..127 */
  addressOfWord(to: Register, base: Register, index: Register, displacement: number): void {
    const [r, b, i] = [registers[to], registers[base], registers[index]];
    const rex = 0x48 | (r >= 8 ? 4 : 0) | (i >= 8 ? 2 : 0) | (b >= 8 ? 1 : 0);
    this.#emit(rex, 0x8d, 0x44 | ((r & 7) << 3), 0xc0 | ((i & 7) << 3) | (b & 7), displacement & 0xff);
  }

  /** `xor r32, r32`: zero. */
  clear(register: Register): void {
    const r = registers[register];
    if (r >= 8) this.#emit(0x45);
    this.#emit(0x31, 0xc0 | ((r & 7) << 3) | (r & 7));
  }

  /** `add r64, r64` */
  add(to: Register, from: Register): void {
    this.#registers(0x01, from, to);
  }

  /** `sub r64, r64`: sets the flags for `jump`. */
  subtract(to: Register, from: Register): void {
    this.#registers(0x29, from, to);
  }

  /** `add r64, imm8` for -128..127: sets the flags. */
  addNumber(to: Register, value: number): void {
    this.#immediate8(0, to, value);
  }

  /** `cmp r64, imm8` for -128..127 */
  compareNumber(register: Register, value: number): void {
    this.#immediate8(7, register, value);
  }

  /** `test r64, r64`: is it zero, is it negative? */
  test(register: Register): void {
    this.#registers(0x85, register, register);
  }

  /** `div r32`: edx:eax / r32; the quotient goes to eax, the remainder to edx. */
  divide32(by: Register): void {
    const r = registers[by];
    if (r >= 8) this.#emit(0x41);
    this.#emit(0xf7, 0xf0 | (r & 7));
  }

  /** `jcc label` */
  jump(condition: Condition, label: string): void {
    this.#emit(0x0f, conditions[condition]);
    this.#displacement(label);
  }

  /** `jmp label` */
  jumpAlways(label: string): void {
    this.#emit(0xe9);
    this.#displacement(label);
  }

  /** `jmp r64` */
  jumpTo(register: Register): void {
    const r = registers[register];
    if (r >= 8) this.#emit(0x41);
    this.#emit(0xff, 0xe0 | (r & 7));
  }

  /** `syscall`: number in rax; arguments in rdi, rsi, rdx, r10, r8, r9; result in rax; rcx and r11 are lost. */
  systemCall(): void {
    this.#emit(0x0f, 0x05);
  }

  /** The text's bytes. */
  text(value: string): void {
    this.#emit(...new TextEncoder().encode(value));
  }

  /** 64-bit words, unsigned. */
  words(values: readonly number[]): void {
    for (const value of values) {
      this.#emit32(value % 2 ** 32);
      this.#emit32(Math.floor(value / 2 ** 32));
    }
  }

  /** The offset of a label. @throws Error if there is none of this name */
  offsetOf(label: string): number {
    const offset = this.#labels.get(label);
    if (offset === undefined) throw new Error(`Cannot assemble: no such label (${label})`);
    return offset;
  }

  /** The finished code, every branch and address resolved. It may run at any address. */
  finish(): Uint8Array {
    const code = Uint8Array.from(this.#bytes);
    const view = new DataView(code.buffer);
    for (const { at, label } of this.#fixups) view.setInt32(at, this.offsetOf(label) - (at + 4), true);
    return code;
  }

  /** opcode r/m64, r64 with both registers. */
  #registers(opcode: number, reg: Register, rm: Register): void {
    const [r, m] = [registers[reg], registers[rm]];
    this.#emit(0x48 | (r >= 8 ? 4 : 0) | (m >= 8 ? 1 : 0), opcode, 0xc0 | ((r & 7) << 3) | (m & 7));
  }

  /** opcode between a register and [base + disp8]. rsp and r12 as base would need a SIB byte: not used here. */
  #memory(opcode: number, reg: Register, base: Register, displacement: number): void {
    const [r, b] = [registers[reg], registers[base]];
    if ((b & 7) === 4) throw new Error(`Cannot assemble: this base needs a SIB byte (${base})`);
    this.#emit(0x48 | (r >= 8 ? 4 : 0) | (b >= 8 ? 1 : 0), opcode, 0x40 | ((r & 7) << 3) | (b & 7));
    this.#emit8(displacement);
  }

  /** 83 /extension ib */
  #immediate8(extension: number, rm: Register, value: number): void {
    const m = registers[rm];
    this.#emit(0x48 | (m >= 8 ? 1 : 0), 0x83, 0xc0 | (extension << 3) | (m & 7));
    this.#emit8(value);
  }

  #displacement(label: string): void {
    this.#fixups.push({ at: this.#bytes.length, label });
    this.#emit32(0);
  }

  #emit(...bytes: number[]): void {
    this.#bytes.push(...bytes);
  }

  #emit8(value: number): void {
    if (value < -128 || value > 127)
      throw new Error(`Cannot assemble: the number does not fit 8 bits (${value})`);
    this.#emit(value & 0xff);
  }

  #emit32(value: number): void {
    if (!Number.isInteger(value) || value < 0 || value >= 2 ** 32) {
      throw new Error(`Cannot assemble: the number does not fit 32 bits (${value})`);
    }
    this.#emit(value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, (value >>> 24) & 0xff);
  }
}
