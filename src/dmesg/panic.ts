/**
 * What a kernel's log says of its death: the words of the panic, the oops before it, which task ran where, and the
 * stack. Only the log is read, no symbols: this works for any kernel whose log can be read.
 *
 * Where a kernel is told to panic on an oops, the crash kernel is started before the panic is said (oops_end() in
 * arch/x86/kernel/dumpstack.c calls crash_kexec() first): such a log ends with the oops.
 */
import type { LogRecord } from "../vmcore/log.ts";

export interface PanicTask {
  readonly comm: string;
  readonly pid: number;
  readonly cpu: number;
}

export interface Panic {
  /** the panic's words, or the oops'; null where the log tells of neither */
  readonly message: string | null;
  /** behind "Kernel panic - not syncing: " */
  readonly panic: string | null;
  /** the first line of the oops that led to it */
  readonly oops: string | null;
  /** whose context it was; null where it is not told */
  readonly task: PanicTask | null;
  /** the instruction that failed, as the log names it */
  readonly instruction: string | null;
  /** lines of the stack trace, innermost first, as they stand in the log */
  readonly stack: readonly string[];
  /** seconds since boot, of the message; of the last line where there is none */
  readonly seconds: number | null;
}

const PANIC = /^Kernel panic - not syncing: (.*)$/;
/** First lines of what ends in an oops, or stands for one. */
const OOPS =
  /^(?:BUG: |kernel BUG at |Oops: |Unable to handle kernel |Internal error: |general protection fault|Unhandled fault|watchdog: BUG: |NMI watchdog: |rcu: INFO: .*(?:stall|starved)|double fault: |stack segment: |invalid opcode: |int3: |divide error: )/;
/** dump_stack_print_info() in lib/dump_stack.c: "UID" since 6.12, "Kdump: loaded" since 4.6. */
const TASK =
  /^CPU: (\d+) (?:UID: \d+ )?PID: (\d+) Comm: (.{1,20}?) (?:Kdump: loaded )?(?:Tainted: |Not tainted)/;
const INSTRUCTION = /^(?:RIP: [0-9a-f]+:|pc : |PC is at )(\S+)/;
/** x86 and others write "Trace", arm64 "trace". */
const TRACE = /^Call [Tt]race:/;
const FRAME = /^\s*(?:\[<[0-9a-f]+>\] )?(?:\? )?[\w.$]+\+0x[0-9a-f]+\/0x[0-9a-f]+(?:\s.*)?$/;
const CONTEXT = /^\s*<\/?[A-Z#\d]+>$/;
/** Registers of an entry from user space or of an interrupt stand between the frames. */
const REGISTERS = /^\s*(?:RIP|RSP|RAX|RDX|RBP|R10|R13|Code|CR2|EFLAGS|ORIG_RAX): ?/;
/** A stack has a guard page: a longer trace is not one. */
const MOST_FRAMES = 256;

interface Line {
  readonly text: string;
  readonly caller: string | undefined;
  readonly nanoseconds: bigint;
}

/** Reads it out of a log's records, in order. */
export function readPanic(records: readonly LogRecord[]): Panic {
  const decoder = new TextDecoder();
  const lines = records.flatMap(({ text, caller, nanoseconds }) =>
    decoder
      .decode(text)
      .split("\n")
      .map((line): Line => ({ text: line, caller, nanoseconds })),
  );
  const panicAt = lines.findLastIndex(({ text }) => PANIC.test(text));
  const lastOops = lines.findLastIndex(
    ({ text }, index) => OOPS.test(text) && (panicAt < 0 || index < panicAt),
  );
  const oopsAt = lastOops < 0 ? -1 : firstOfOops(lines, lastOops);
  const last = lines.at(-1);
  if (panicAt < 0 && oopsAt < 0) {
    const nothing = { message: null, panic: null, oops: null, task: null, instruction: null, stack: [] };
    return { ...nothing, seconds: last === undefined ? null : secondsOf(last) };
  }
  // panic() prints a stack itself, unless an oops has done so.
  const afterPanic = panicAt < 0 ? undefined : account(lines, panicAt);
  const afterOops = oopsAt < 0 || !belongs(lines, oopsAt, panicAt) ? undefined : account(lines, oopsAt);
  const chosen = afterPanic !== undefined && afterPanic.stack.length > 0 ? afterPanic : afterOops;
  const panic = panicAt < 0 ? null : (PANIC.exec((lines[panicAt] as Line).text)?.[1]?.trim() ?? null);
  const oops = afterOops === undefined ? null : (lines[oopsAt] as Line).text.trim();
  return {
    message: panic ?? oops,
    panic,
    oops,
    task: chosen?.task ?? afterPanic?.task ?? null,
    instruction: chosen?.instruction ?? null,
    stack: chosen?.stack ?? [],
    seconds: secondsOf(lines[panicAt < 0 ? oopsAt : panicAt] as Line),
  };
}

/** An oops' first lines follow each other ("BUG: ...", "#PF: ...", "Oops: ..."): the first of them names it. */
function firstOfOops(lines: readonly Line[], last: number): number {
  let first = last;
  for (let at = last - 1; at >= 0 && last - at <= 8; at--) {
    const { text, caller } = lines[at] as Line;
    if (caller !== (lines[last] as Line).caller) continue;
    if (/^---\[ end trace|^Kernel panic/.test(text)) break;
    if (OOPS.test(text)) first = at;
  }
  return first;
}

/** An oops long before the panic is another story. */
function belongs(lines: readonly Line[], oopsAt: number, panicAt: number): boolean {
  if (panicAt < 0) return true;
  const apart = (lines[panicAt] as Line).nanoseconds - (lines[oopsAt] as Line).nanoseconds;
  return apart < 5_000_000_000n;
}

/** What is said from a line on by the same task or processor: others may talk in between. */
function account(lines: readonly Line[], from: number) {
  const { caller } = lines[from] as Line;
  const told = lines.slice(from).filter((line) => line.caller === caller);
  let task: PanicTask | null = null;
  let instruction: string | null = null;
  const stack: string[] = [];
  let inTrace = false;
  for (const { text } of told) {
    const found = TASK.exec(text);
    if (found !== null && task === null) {
      task = { comm: (found[3] as string).trim(), pid: Number(found[2]), cpu: Number(found[1]) };
    }
    if (!inTrace && stack.length === 0) instruction ??= INSTRUCTION.exec(text)?.[1] ?? null;
    if (TRACE.test(text) && stack.length === 0) inTrace = true;
    else if (inTrace && FRAME.test(text)) stack.push(text.trim());
    else if (inTrace && !CONTEXT.test(text) && !REGISTERS.test(text)) inTrace = false;
    if (stack.length === MOST_FRAMES) break;
  }
  return { task, instruction, stack };
}

function secondsOf({ nanoseconds }: Line): number {
  return Number(nanoseconds / 1000n) / 1e6;
}
