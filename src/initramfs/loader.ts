/**
 * The /init of an initramfs whose program is in a squashfs: a static ELF program of a few KiB, assembled here, that mounts
 * what the program lies in and goes on as the program. As PID 1, in this order:
 *
 * 1. /dev by devtmpfs, /dev/console as its three descriptors, /proc; for a retained initrd /sys.
 * 2. The modules it was told of. One that cannot be loaded is told and passed over: what needs it will say so.
 * 3. The squashfs: a file of the initramfs behind a loop device, the retained initrd itself behind one, or a disk, which
 *    may take its time to appear.
 * 4. execve(2) of the program in it, called `init`, with the arguments and the environment that the kernel gave.
 *
 * What goes wrong is one line on the console; then, as PID 1 may not end, the machine restarts after a pause. For
 * anyone but PID 1 it does nothing at all.
 */
import {
  E_ENTRY,
  E_PHNUM,
  EHDR_SIZE,
  ET_EXEC,
  PF_R,
  PF_W,
  PF_X,
  PHDR_SIZE,
  type ProgramHeader,
  PT_GNU_STACK,
  PT_LOAD,
  writeProgramHeader,
} from "../pack/elf64.ts";
import { x86_64 } from "../pack/x86_64.ts";
import { X86Assembler } from "../pack/x86_64_assembler.ts";
import { type Argument, Calls } from "./loader-calls.ts";

/** Where the squashfs is. */
export type Source =
  /** a file of the initramfs */
  | { readonly kind: "file"; readonly path: string }
  /** the initrd that the kernel kept (retain_initrd, Linux 6.10), so many bytes behind its start: whole sectors */
  | { readonly kind: "retained"; readonly offset: number }
  /** a block device, waited for */
  | { readonly kind: "device"; readonly path: string; readonly seconds: number };

export interface LoaderPlan {
  readonly source: Source;
  /** of what is mounted; `squashfs` unless a disk has something else */
  readonly fileSystem: string;
  /** modules by their paths in the initramfs, in the order in which they are loaded */
  readonly modules: readonly string[];
  /** the program by its path in what is mounted */
  readonly program: string;
  /** NAME=VALUE, behind what the kernel gives */
  readonly environment: readonly string[];
}

/** Directories that the initramfs has to have. */
export const MOUNT_POINTS = ["dev", "proc", "sys", "program"] as const;
const PROGRAM = "/program";

// arch/x86/entry/syscalls/syscall_64.tbl
const SYS = {
  close: 3,
  open: 2,
  ioctl: 16,
  dup2: 33,
  nanosleep: 35,
  getpid: 39,
  execve: 59,
  mount: 165,
  finit_module: 313,
} as const;

const O_RDWR = 2;
const O_CLOEXEC = 0o2000000;
const EEXIST = 17;
const EBUSY = 16;

// include/uapi/linux/mount.h
const MS_RDONLY = 1;
const MS_NOSUID = 2;
const MS_NODEV = 4;
const MS_NOEXEC = 8;

// include/uapi/linux/loop.h. LOOP_SET_STATUS64 takes a struct loop_info64, whose lo_offset is its fourth word.
const LOOP_SET_FD = 0x4c00;
const LOOP_SET_STATUS64 = 0x4c04;
const LOOP_CTL_GET_FREE = 0x4c82;
const LO_OFFSET = 24;
const SECTOR = 512;

const PAUSE = 10;
const POLLS_A_SECOND = 10;

/** Two segments: headers and code, and what is written. The kernel gives at most 32 variables (MAX_INIT_ENVS). */
const TEXT = 0x400000;
const DATA = 0x600000;
const ENVIRONMENT_ROOM = 128;
/** In DATA, in bytes: the loop device's path, a number's digits, struct loop_info64, the environment. */
/** Two words, moved as such. */
const LOOP_PATH = "/dev/loop0\0\0\0\0\0\0";
const LOOP_DIGIT_AT = 9;
const LOOP_PATH_AT = 0;
const DIGITS_END = 48;
const LOOP_INFO_AT = 64;
const ENVIRONMENT_AT = LOOP_INFO_AT + 232;
const DATA_SIZE = ENVIRONMENT_AT + ENVIRONMENT_ROOM * 8;
const HEADERS = EHDR_SIZE + 3 * PHDR_SIZE;

/** The loader's ELF file. @throws RangeError where the plan cannot be carried out */
export function assembleLoader(plan: LoaderPlan): Uint8Array {
  const a = new X86Assembler();
  const calls = new Calls(a, { digitsEnd: DATA + DIGITS_END, pauseSeconds: PAUSE });
  a.label("start");
  a.move("rbp", "rsp");
  calls.system(SYS.getpid);
  a.compareNumber("rax", 1);
  a.jump("notEqual", "notInit");
  mountBasics(calls, plan.source.kind === "retained");
  for (const path of plan.modules) loadModule(calls, path);
  mountProgram(calls, plan);
  execute(calls, plan);
  calls.finish();
  return elfFile(a.finish(), a.offsetOf("start"));
}

function mountBasics(calls: Calls, sys: boolean): void {
  const { a } = calls;
  // A kernel with CONFIG_DEVTMPFS_MOUNT may have been there before.
  mount(calls, "dev", "/dev", "devtmpfs", MS_NOSUID, [-EBUSY]);
  calls.system(SYS.open, { text: "/dev/console" }, O_RDWR);
  a.test("rax");
  a.jump("negative", "noConsole");
  a.move("rbx", "rax");
  for (const descriptor of [0, 1, 2]) calls.system(SYS.dup2, "rbx", descriptor);
  a.compareNumber("rbx", 2);
  a.jump("zeroOrLess", "noConsole");
  calls.system(SYS.close, "rbx");
  a.label("noConsole");
  mount(calls, "proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, [-EBUSY]);
  if (sys) mount(calls, "sys", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, [-EBUSY]);
}

function mount(
  calls: Calls,
  source: string,
  path: string,
  type: string,
  flags: number,
  allowed: readonly number[],
): void {
  calls.system(SYS.mount, { text: source }, { text: path }, { text: type }, flags, 0);
  calls.endUnless(allowed, `mount ${path}`, `is ${type} in this kernel?`);
}

function loadModule(calls: Calls, path: string): void {
  const { a } = calls;
  calls.system(SYS.open, { text: path }, O_CLOEXEC);
  const after = calls.newLabel();
  calls.tellIfFailed([], `open the module ${path}`, after);
  a.move("rbx", "rax");
  calls.system(SYS.finit_module, "rbx", { text: "" }, 0);
  a.move("r12", "rax");
  calls.system(SYS.close, "rbx");
  a.move("rax", "r12");
  calls.tellIfFailed([-EEXIST], `load the module ${path}`, after);
  a.label(after);
}

function mountProgram(calls: Calls, plan: LoaderPlan): void {
  const { source, fileSystem } = plan;
  let device: Argument;
  let what: string;
  if (source.kind === "device") {
    waitFor(calls, source.path, source.seconds);
    device = { text: source.path };
    what = source.path;
  } else {
    const retained = source.kind === "retained";
    what = retained ? "/sys/firmware/initrd" : source.path;
    setUpLoop(
      calls,
      what,
      retained ? source.offset : 0,
      retained ? RETAINED_HINT : "is it in the initramfs?",
    );
    device = { address: DATA + LOOP_PATH_AT };
  }
  const flags = MS_RDONLY | MS_NOSUID | MS_NODEV;
  calls.system(SYS.mount, device, { text: PROGRAM }, { text: fileSystem }, flags, 0);
  calls.endUnless([], `mount ${what}`, `are ${fileSystem} and its compression in this kernel?`);
}

const RETAINED_HINT = "Linux 6.10 or later and retain_initrd on its command line are needed";

/** Tries to open the device until it is there. r13 counts. */
function waitFor(calls: Calls, path: string, seconds: number): void {
  const { a } = calls;
  const [again, found] = [calls.newLabel(), calls.newLabel()];
  a.moveNumber32("r13", Math.max(1, seconds * POLLS_A_SECOND));
  a.label(again);
  calls.system(SYS.open, { text: path }, O_CLOEXEC);
  a.move("r12", "rax");
  a.test("rax");
  a.jump("negative", `${again}.wait`);
  calls.system(SYS.close, "r12");
  a.jumpAlways(found);
  a.label(`${again}.wait`);
  calls.system(SYS.nanosleep, { words: [0, 1e9 / POLLS_A_SECOND] }, 0);
  a.addNumber("r13", -1);
  a.jump("notEqual", again);
  a.move("rax", "r12");
  calls.endUnless([], `open ${path}`, `it did not appear within ${seconds} s: is its driver loaded?`);
  a.label(found);
}

/** A free loop device shows the file; its path is in DATA then. r12 is the loop device, r13 the file. */
function setUpLoop(calls: Calls, path: string, offset: number, hint: string): void {
  if (offset % SECTOR !== 0)
    throw new RangeError(`the offset of the squashfs is not a multiple of ${SECTOR} (${offset})`);
  const { a } = calls;
  calls.system(SYS.open, { text: path }, O_CLOEXEC);
  calls.endUnless([], `open ${path}`, hint);
  a.move("r13", "rax");
  calls.system(SYS.open, { text: "/dev/loop-control" }, O_CLOEXEC);
  calls.endUnless([], "open /dev/loop-control", "is loop in this kernel?");
  a.move("r12", "rax");
  calls.system(SYS.ioctl, "r12", LOOP_CTL_GET_FREE, 0);
  calls.endUnless([], "get a loop device", "is loop in this kernel?");
  // One digit: at the start of a system the first is free.
  a.move("rdx", "rax");
  a.addNumber("rdx", "0".charCodeAt(0));
  calls.load("rsi", { text: LOOP_PATH });
  a.moveNumber64("rdi", DATA + LOOP_PATH_AT);
  a.loadNextWord();
  a.store("rdi", 0, "rax");
  a.loadNextWord();
  a.store("rdi", 8, "rax");
  a.addNumber("rdi", LOOP_DIGIT_AT);
  a.storeDlAtRdi();
  calls.system(SYS.close, "r12");
  calls.system(SYS.open, { address: DATA + LOOP_PATH_AT }, O_CLOEXEC);
  calls.endUnless([], "open a loop device", "are there more than ten in use?");
  a.move("r12", "rax");
  calls.system(SYS.ioctl, "r12", LOOP_SET_FD, "r13");
  calls.endUnless([], `put ${path} behind a loop device`, hint);
  calls.system(SYS.close, "r13");
  if (offset > 0) {
    a.moveNumber64("rdi", DATA + LOOP_INFO_AT);
    a.moveNumber64("rax", offset);
    a.store("rdi", LO_OFFSET, "rax");
    calls.system(SYS.ioctl, "r12", LOOP_SET_STATUS64, { address: DATA + LOOP_INFO_AT });
    calls.endUnless([], `find the squashfs in ${path}`, "is it the initrd that was built?");
  }
}

/** The kernel's environment first: what stands on its command line wins. */
function execute(calls: Calls, { program, environment }: LoaderPlan): void {
  const room = ENVIRONMENT_ROOM - 33;
  if (environment.length > room) throw new RangeError(`more than ${room} variables (${environment.length})`);
  const { a } = calls;
  a.load("rax", "rbp", 0); // argc
  a.addressOfWord("rsi", "rbp", "rax", 16); // past argv and its NULL
  a.moveNumber64("rdi", DATA + ENVIRONMENT_AT);
  a.label("variable");
  a.loadNextWord();
  a.store("rdi", 0, "rax");
  a.addNumber("rdi", 8);
  a.test("rax");
  a.jump("notEqual", "variable");
  a.addNumber("rdi", -8);
  for (const variable of environment) {
    calls.load("rax", { text: variable });
    a.store("rdi", 0, "rax");
    a.addNumber("rdi", 8);
  }
  a.clear("rax");
  a.store("rdi", 0, "rax");
  calls.load("rax", { text: "init" });
  a.store("rbp", 8, "rax"); // argv[0]
  a.addNumber("rbp", 8);
  const path = `${PROGRAM}/${program.replace(/^\/+/, "")}`;
  calls.system(SYS.execve, { text: path }, "rbp", { address: DATA + ENVIRONMENT_AT });
  calls.endUnless([], `start ${path}`, "is it there, static and executable, and enough memory free?");
}

/** Headers and code in one segment, another one of zeros; no section, no interpreter, no executable stack. */
function elfFile(code: Uint8Array, start: number): Uint8Array {
  const size = HEADERS + code.length;
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]); // ELFCLASS64, little endian, version 1
  view.setUint16(16, ET_EXEC, true);
  view.setUint16(18, x86_64.machine, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(E_ENTRY, BigInt(TEXT + HEADERS + start), true);
  view.setBigUint64(32, BigInt(EHDR_SIZE), true);
  view.setUint16(52, EHDR_SIZE, true);
  view.setUint16(54, PHDR_SIZE, true);
  view.setUint16(E_PHNUM, 3, true);
  const segment = (type: number, flags: number, address: number, fileSize: number, memorySize: number) =>
    ({
      type,
      flags,
      offset: 0,
      address,
      physicalAddress: address,
      fileSize,
      memorySize,
      align: x86_64.pageSize,
    }) satisfies ProgramHeader;
  const headers = [
    segment(PT_LOAD, PF_R | PF_X, TEXT, size, size),
    segment(PT_LOAD, PF_R | PF_W, DATA, 0, DATA_SIZE),
    segment(PT_GNU_STACK, PF_R | PF_W, 0, 0, 0),
  ];
  for (const [i, header] of headers.entries()) writeProgramHeader(view, EHDR_SIZE + i * PHDR_SIZE, header);
  bytes.set(code, HEADERS);
  return bytes;
}
