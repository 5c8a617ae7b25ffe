/**
 * What the loader's machine code is made of: system calls with constants for arguments, and what is done where one fails.
 *
 * Registers: system calls lose rax, rcx and r11 alone. rbx, rbp, r12 and r13 are the loader's; r8, r9, r14 and r15 are
 * used here where a call has failed.
 */
import type { Register, X86Assembler } from "../pack/x86_64_assembler.ts";

/** A register, a number, or the address of what is given. */
export type Argument =
  | Register
  | number
  | { readonly text: string }
  | { readonly words: readonly number[] }
  | { readonly address: number };

const ARGUMENTS: readonly Register[] = ["rdi", "rsi", "rdx", "r10", "r8", "r9"];

const SYS_WRITE = 1;
const SYS_NANOSLEEP = 35;
const SYS_REBOOT = 169;
const SYS_EXIT_GROUP = 231;

// include/uapi/linux/reboot.h
const REBOOT_MAGIC = [0xfee1dead, 672274793] as const;
const RB_AUTOBOOT = 0x01234567;

const STDERR = 2;
const EXIT_FAILURE = 2;

export class Calls {
  readonly a: X86Assembler;
  readonly #digitsEnd: number;
  readonly #pauseSeconds: number;
  /** constants by what they hold */
  readonly #texts = new Map<string, string>();
  readonly #words = new Map<string, readonly number[]>();
  /** code that is not on the way of a start that goes well */
  readonly #later: (() => void)[] = [];
  #labels = 0;

  /** @param places digitsEnd: the address behind 20 bytes that may be written */
  constructor(a: X86Assembler, places: { digitsEnd: number; pauseSeconds: number }) {
    this.a = a;
    this.#digitsEnd = places.digitsEnd;
    this.#pauseSeconds = places.pauseSeconds;
  }

  newLabel(): string {
    return `#${++this.#labels}`;
  }

  /** The result is in rax: negative is an error. */
  system(number: number, ...args: readonly Argument[]): void {
    for (const [i, argument] of args.entries()) this.load(ARGUMENTS[i] as Register, argument);
    this.a.moveNumber32("rax", number);
    this.a.systemCall();
  }

  load(to: Register, argument: Argument): void {
    if (typeof argument === "string") this.a.move(to, argument);
    else if (typeof argument === "number") this.a.moveNumber32(to, argument);
    else if ("text" in argument) this.a.addressOf(to, this.#text(argument.text));
    else if ("words" in argument) this.a.addressOf(to, this.#wordsAt(argument.words));
    else this.a.moveNumber64(to, argument.address);
  }

  /** Where the last call failed, but for the results that are allowed, says so; then the machine restarts. */
  endUnless(allowed: readonly number[], action: string, hint: string): void {
    this.#whereFailed(allowed, action, `; ${hint} The machine restarts in ${this.#pauseSeconds} s`, "pause");
  }

  /** Where the last call failed, but for the results that are allowed, says so and goes on at a label. */
  tellIfFailed(allowed: readonly number[], action: string, next: string): void {
    this.#whereFailed(allowed, action, "; going on without it", next);
  }

  /** What is not on the way, the constants, and the ends. To be called last. */
  finish(): void {
    for (const emit of this.#later) emit();
    this.#emitTell();
    this.#emitPause();
    this.#emitNotInit();
    for (const [text, label] of this.#texts) {
      this.a.label(label);
      this.a.text(`${text}\0`);
    }
    for (const [label, values] of this.#words) {
      this.a.label(label);
      this.a.words(values);
    }
  }

  #whereFailed(allowed: readonly number[], action: string, tail: string, next: string): void {
    const { a } = this;
    const [failed, back] = [this.newLabel(), this.newLabel()];
    a.test("rax");
    a.jump("negative", failed);
    a.label(back);
    this.#later.push(() => {
      a.label(failed);
      for (const result of allowed) {
        a.compareNumber("rax", result);
        a.jump("equal", back);
      }
      a.move("r14", "rax");
      this.#loadText("rsi", "rdx", `vmcopy: cannot ${action}: error `);
      this.#loadText("r8", "r9", `${tail}\n`);
      a.addressOf("r15", next);
      a.jumpAlways("tell");
    });
  }

  /** The line of rsi and rdx, the error's number in r14, the line of r8 and r9; on to r15. */
  #emitTell(): void {
    const { a } = this;
    a.label("tell");
    this.system(SYS_WRITE, STDERR);
    a.clear("rax");
    a.subtract("rax", "r14");
    a.moveNumber32("rcx", 10);
    a.moveNumber64("rdi", this.#digitsEnd);
    a.label("digit");
    a.clear("rdx");
    a.divide32("rcx");
    a.addNumber("rdx", "0".charCodeAt(0));
    a.addNumber("rdi", -1);
    a.storeDlAtRdi();
    a.test("rax");
    a.jump("notEqual", "digit");
    a.move("rsi", "rdi");
    a.moveNumber64("rdx", this.#digitsEnd);
    a.subtract("rdx", "rdi");
    this.system(SYS_WRITE, STDERR);
    a.move("rsi", "r8");
    a.move("rdx", "r9");
    this.system(SYS_WRITE, STDERR);
    a.jumpTo("r15");
  }

  /** Whoever looks at the console has a while to read it. */
  #emitPause(): void {
    this.a.label("pause");
    this.system(SYS_NANOSLEEP, { words: [this.#pauseSeconds, 0] }, 0);
    this.system(SYS_REBOOT, ...REBOOT_MAGIC, RB_AUTOBOOT, 0);
    this.a.jumpAlways("pause");
  }

  #emitNotInit(): void {
    this.a.label("notInit");
    this.#loadText("rsi", "rdx", "vmcopy: this is /init of an initramfs: nobody but PID 1 may run it\n");
    this.system(SYS_WRITE, STDERR);
    this.system(SYS_EXIT_GROUP, EXIT_FAILURE);
  }

  #loadText(address: Register, length: Register, text: string): void {
    this.load(address, { text });
    this.a.moveNumber32(length, new TextEncoder().encode(text).length);
  }

  #text(text: string): string {
    const label = this.#texts.get(text) ?? this.newLabel();
    this.#texts.set(text, label);
    return label;
  }

  #wordsAt(values: readonly number[]): string {
    const label = this.newLabel();
    this.#words.set(label, values);
    return label;
  }
}
