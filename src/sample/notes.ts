/**
 * The note segment of the sample: the registers of each CPU (CORE, NT_PRSTATUS, struct elf_prstatus of x86_64)
 * and VMCOREINFO, merged into one as /proc/vmcore does.
 */
import { encodeNotes, type Note } from "../dump/elf-headers.ts";
import { logSymbols } from "./log.ts";
import { logAddress, memSectionAddress } from "./objects.ts";
import { type Machine, type MemoryRange, PAGE } from "./plan.ts";
import { Random } from "./random.ts";
import { sampleVmcoreinfo } from "./vmcoreinfo.ts";

const NT_PRSTATUS = 1;
const PRSTATUS_SIZE = 336;
const PID_AT = 32;
const REGISTERS_AT = 112;
/** struct user_regs_struct: 27 words of 8 bytes in this order (arch/x86/include/asm/user_64.h). */
const REGISTERS = (
  "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss " +
  "fs_base gs_base ds es fs gs"
).split(" ");
/** Kernel stacks are 16 KiB. */
const STACK_PAGES = 4;

/** The notes of a machine. */
export function sampleNotes(machine: Machine): Uint8Array<ArrayBuffer> {
  const notes: Note[] = [];
  for (let cpu = 0; cpu < machine.cpus; cpu++) {
    notes.push({ name: "CORE", type: NT_PRSTATUS, description: prstatus(machine, cpu) });
  }
  const vmcoreinfo = sampleVmcoreinfo(machine, memSectionAddress(machine), logSymbols(logAddress(machine)));
  notes.push({ name: "VMCOREINFO", type: 0, description: new TextEncoder().encode(vmcoreinfo) });
  return encodeNotes(notes);
}

/** CPU 0 crashed in a task, the others were idle (pid 0) and stopped by an NMI. */
function prstatus(machine: Machine, cpu: number): Uint8Array {
  const bytes = new Uint8Array(PRSTATUS_SIZE);
  const view = new DataView(bytes.buffer);
  const random = new Random(machine.seed, cpu, 8);
  const ram = machine.memory[2] as MemoryRange; // from 1 MiB on
  const image = BigInt(machine.kernel.pages * PAGE);
  const inText = () => machine.kernel.virtualAddress + ((BigInt(random.next()) * (image / 3n)) >> 32n);
  const inRam = (alignment: bigint) => {
    const offset = (BigInt(random.next()) * BigInt(ram.size)) >> 32n;
    return (ram.virtualAddress + offset) & -alignment;
  };
  const stack = inRam(BigInt(STACK_PAGES * PAGE));
  const registers: Record<string, bigint> = {
    rip: inText(),
    rsp: stack + 0x3d00n + BigInt(random.below(16) * 8),
    rbp: stack + 0x3e00n,
    rbx: inRam(64n),
    rdi: cpu === 0 ? 0x63n : inRam(64n), // the letter c, as sysrq's handler gets it
    rsi: BigInt(random.below(256)),
    r12: inRam(64n),
    r13: inText(),
    r15: inRam(64n),
    orig_rax: -1n,
    cs: 0x10n,
    ss: 0x18n,
    eflags: cpu === 0 ? 0x10046n : 0x246n,
    gs_base: inRam(0x40000n),
  };
  if (cpu === 0) view.setUint32(PID_AT, 1 + random.below(32768), true);
  for (const [index, name] of REGISTERS.entries()) {
    view.setBigInt64(REGISTERS_AT + 8 * index, registers[name] ?? 0n, true);
  }
  return bytes;
}
