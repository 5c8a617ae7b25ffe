/**
 * The start stub for x86-64: what the kernel runs first in a program that static.ts has made self-contained.
 *
 * The kernel, finding no PT_INTERP, jumps straight here with the stack of a fresh process: argc, argv, NULL,
 * the environment, NULL, the auxiliary vector. The stub puts itself in the place of the missing interpreter:
 *
 * 1. /proc has to be there, since the loader opens the libraries as /proc/self/fd/N. As PID 1 of an initramfs
 *    it is not mounted yet, so the stub mounts it; anyone else is told. Nor is there always a console: the kernel
 *    opens /dev/console for PID 1 where its own initramfs has one, as most kernels' have. Where it has not, the
 *    stub mounts /dev and opens it: the runtime dies without standard descriptors, and takes their numbers for
 *    its own files.
 * 2. The auxiliary vector gets what the kernel would have written had it loaded an interpreter.
 * 3. Each embedded library becomes a memory file, and its descriptor's number is written into the path that
 *    the program's DT_NEEDED names. No fixed descriptor numbers: a fixed one could be taken by the parent, or
 *    lie above the limit of open files.
 * 4. The dynamic loader runs, as it always does, on the untouched stack, and enters the program at AT_ENTRY.
 *    That is the stub again: it closes the descriptors (the mappings keep the files alive), so that program
 *    and children start with a clean table, and goes to the program's real entry.
 *
 * Where it cannot go on it says so and exits; as PID 1 it restarts the machine, since that exit would be a panic.
 *
 * System call numbers: arch/x86/entry/syscalls/syscall_64.tbl of Linux. AT_*: include/uapi/linux/auxvec.h.
 */

import { type Architecture, LIBRARY_RECORD, type Stub, type StubLayout } from "./architecture.ts";
import { X86Assembler } from "./x86_64_assembler.ts";

const SYS_WRITE = 1;
const SYS_OPEN = 2;
const SYS_CLOSE = 3;
const SYS_ACCESS = 21;
const SYS_DUP = 32;
const SYS_GETPID = 39;
const SYS_FCNTL = 72;
const SYS_MKDIR = 83;
const SYS_MOUNT = 165;
const SYS_REBOOT = 169;
const SYS_EXIT_GROUP = 231;
const SYS_MEMFD_CREATE = 319;

const EINTR = 4;
const EBADF = 9;
const EINVAL = 22;

const AT_NULL = 0;
const AT_PHDR = 3;
const AT_PHNUM = 5;
const AT_BASE = 7;
const AT_ENTRY = 9;

const MFD_CLOEXEC = 0x1;
/** Linux 6.3. Without it newer kernels log a warning, and vm.memfd_noexec=1 makes the file unmappable. */
const MFD_EXEC = 0x10;

/** MS_NOSUID | MS_NODEV | MS_NOEXEC, as every distribution mounts /proc. */
const PROC_FLAGS = 2 | 4 | 8;
const PROC_MODE = 0o555;
/** MS_NOSUID */
const DEV_FLAGS = 2;
const DEV_MODE = 0o755;
const F_GETFD = 1;
const O_RDWR = 2;
/** The two magic numbers of reboot(2), and RB_AUTOBOOT. */
const REBOOT = [0xfee1dead, 672274793, 0x01234567] as const;

const STDERR = 2;
const EXIT_FAILURE = 2;

export const x86_64: Architecture = {
  name: "x86_64",
  machine: 62,
  multiarch: "x86_64-linux-gnu",
  pageSize: 4096,
  assembleStub,
};

/**
 * Registers throughout: rbp the kernel's stack pointer, rbx the library record, r12 how many are left,
 * r13 and r14 what is left of the library being written. System calls leave all of them alone.
 */
function assembleStub(layout: StubLayout): Stub {
  const a = new X86Assembler();
  a.label("start");
  a.move("rbp", "rsp");
  findProc(a);
  fixAuxiliaryVector(a, layout);
  if (layout.libraryCount > 0) makeMemoryFiles(a, layout);
  a.clear("rdx"); // the ABI's "function to call at exit": none
  a.moveNumber64("rax", layout.loaderEntry);
  a.jumpTo("rax");

  a.label("loaded");
  if (layout.libraryCount > 0) closeMemoryFiles(a, layout);
  a.moveNumber64("rax", layout.programEntry);
  a.jumpTo("rax");

  failures(a, layout);
  a.label("/proc");
  a.text("/proc\0");
  a.label("/proc/self/fd");
  a.text("/proc/self/fd\0");
  a.label("proc");
  a.text("proc\0");
  a.label("/dev");
  a.text("/dev\0");
  a.label("/dev/console");
  a.text("/dev/console\0");
  a.label("devtmpfs");
  a.text("devtmpfs\0");
  return { code: a.finish(), start: a.offsetOf("start"), loaded: a.offsetOf("loaded") };
}

/** Goes on if /proc is usable; as PID 1 mounts it first. mkdir may fail (it exists): mount has the last word. */
function findProc(a: X86Assembler): void {
  const isProcThere = () => {
    a.addressOf("rdi", "/proc/self/fd");
    a.clear("rsi"); // F_OK
    systemCall(a, SYS_ACCESS);
    a.test("rax");
  };
  isProcThere();
  a.jump("equal", "procFound");
  systemCall(a, SYS_GETPID);
  a.compareNumber("rax", 1);
  a.jump("notEqual", "noProc");

  mountNew(a, "proc", "/proc", PROC_MODE, PROC_FLAGS);
  isProcThere();
  a.jump("notEqual", "noProc");
  openConsole(a);
  a.label("procFound");
}

/** Makes a directory, which may be there, and mounts one of the kernel's own file systems there. */
function mountNew(a: X86Assembler, type: string, path: string, mode: number, flags: number): void {
  a.addressOf("rdi", path);
  a.moveNumber32("rsi", mode);
  systemCall(a, SYS_MKDIR);
  a.addressOf("rdi", type); // source: a name only
  a.addressOf("rsi", path);
  a.addressOf("rdx", type);
  a.moveNumber32("r10", flags);
  a.clear("r8"); // no options
  systemCall(a, SYS_MOUNT);
}

/** Standard input, output and errors, where there are none. Without a console it goes on: the work is done unseen. */
function openConsole(a: X86Assembler): void {
  a.clear("rdi");
  a.moveNumber32("rsi", F_GETFD);
  systemCall(a, SYS_FCNTL);
  a.compareNumber("rax", -EBADF);
  a.jump("notEqual", "procFound");
  mountNew(a, "devtmpfs", "/dev", DEV_MODE, DEV_FLAGS);
  a.addressOf("rdi", "/dev/console");
  a.moveNumber32("rsi", O_RDWR);
  systemCall(a, SYS_OPEN); // the lowest free number: 0
  for (const _ of ["output", "errors"]) {
    a.clear("rdi");
    systemCall(a, SYS_DUP);
  }
}

/** Walks argv's count, the environment and then the vector, pairs of type and value up to AT_NULL. */
function fixAuxiliaryVector(a: X86Assembler, layout: StubLayout): void {
  a.load("rax", "rbp", 0); // argc
  a.addressOfWord("rsi", "rbp", "rax", 16); // past argc itself, argv and its NULL
  a.label("environment");
  a.loadNextWord();
  a.test("rax");
  a.jump("notEqual", "environment");

  const values: [type: number, set: () => void][] = [
    [AT_PHDR, () => a.moveNumber64("rcx", layout.programHeaders)],
    [AT_PHNUM, () => a.moveNumber64("rcx", layout.programHeaderCount)],
    [AT_BASE, () => a.moveNumber64("rcx", layout.loaderBase)],
    [AT_ENTRY, () => a.addressOf("rcx", "loaded")],
  ];
  a.label("auxiliaryVector");
  a.loadNextWord(); // the type; rsi is now at the value
  a.compareNumber("rax", AT_NULL);
  a.jump("equal", "vectorDone");
  for (const [type, set] of values) {
    a.compareNumber("rax", type);
    a.jump("notEqual", `not${type}`);
    set();
    a.store("rsi", 0, "rcx");
    a.label(`not${type}`);
  }
  a.addNumber("rsi", 8);
  a.jumpAlways("auxiliaryVector");
  a.label("vectorDone");
}

function makeMemoryFiles(a: X86Assembler, layout: StubLayout): void {
  a.moveNumber64("rbx", layout.records);
  a.moveNumber32("r12", layout.libraryCount);
  a.label("library");

  a.load("rdi", "rbx", LIBRARY_RECORD.name);
  a.moveNumber32("rsi", MFD_CLOEXEC | MFD_EXEC);
  systemCall(a, SYS_MEMFD_CREATE);
  a.compareNumber("rax", -EINVAL); // a kernel before 6.3
  a.jump("notEqual", "created");
  a.load("rdi", "rbx", LIBRARY_RECORD.name);
  a.moveNumber32("rsi", MFD_CLOEXEC);
  systemCall(a, SYS_MEMFD_CREATE);
  a.label("created");
  a.test("rax");
  a.jump("negative", "noFile");
  a.store("rbx", LIBRARY_RECORD.descriptor, "rax");

  // write(2) may stop short: until nothing is left
  a.load("r13", "rbx", LIBRARY_RECORD.bytes);
  a.load("r14", "rbx", LIBRARY_RECORD.length);
  a.label("write");
  a.load("rdi", "rbx", LIBRARY_RECORD.descriptor);
  a.move("rsi", "r13");
  a.move("rdx", "r14");
  systemCall(a, SYS_WRITE);
  a.compareNumber("rax", -EINTR);
  a.jump("equal", "write");
  a.test("rax");
  a.jump("zeroOrLess", "noWrite");
  a.add("r13", "rax");
  a.subtract("r14", "rax");
  a.jump("notEqual", "write");

  // the descriptor in decimal, last digit first, over the slashes at the end of the library's path
  a.load("rax", "rbx", LIBRARY_RECORD.descriptor);
  a.load("rdi", "rbx", LIBRARY_RECORD.digitsEnd);
  a.moveNumber32("rcx", 10);
  a.label("digit");
  a.clear("rdx");
  a.divide32("rcx");
  a.addNumber("rdx", "0".charCodeAt(0));
  a.addNumber("rdi", -1);
  a.storeDlAtRdi();
  a.test("rax");
  a.jump("notEqual", "digit");

  a.addNumber("rbx", LIBRARY_RECORD.size);
  a.addNumber("r12", -1);
  a.jump("notEqual", "library");
}

/** rdx (the loader's own function to call at exit) and rsp have to reach the program as they are: they do. */
function closeMemoryFiles(a: X86Assembler, layout: StubLayout): void {
  a.moveNumber64("rbx", layout.records);
  a.moveNumber32("r12", layout.libraryCount);
  a.label("close");
  a.load("rdi", "rbx", LIBRARY_RECORD.descriptor);
  systemCall(a, SYS_CLOSE);
  a.addNumber("rbx", LIBRARY_RECORD.size);
  a.addNumber("r12", -1);
  a.jump("notEqual", "close");
}

/** What is said on standard error before exit(2): what could not be done, why, what to do. */
function failures(a: X86Assembler, layout: StubLayout): void {
  const failure = (label: string, reason: string) => {
    const line = `${layout.programName}: cannot start: ${reason}\n`;
    a.label(label);
    a.addressOf("rsi", `${label}.text`);
    a.moveNumber32("rdx", new TextEncoder().encode(line).length);
    a.jumpAlways("fail");
    a.label(`${label}.text`);
    a.text(line);
  };
  failure("noProc", "/proc is not mounted (run: mount -t proc proc /proc)");
  failure(
    "noFile",
    "no memory file for its libraries (is vm.memfd_noexec 2, or the limit of open files reached?)",
  );
  failure(
    "noWrite",
    `no memory for its libraries (${Math.ceil(layout.libraryBytes / 2 ** 20)} MiB are needed)`,
  );

  a.label("fail");
  a.moveNumber32("rdi", STDERR);
  systemCall(a, SYS_WRITE);
  systemCall(a, SYS_GETPID);
  a.compareNumber("rax", 1);
  a.jump("notEqual", "exit");
  const [magic, magic2, command] = REBOOT;
  a.moveNumber32("rdi", magic);
  a.moveNumber32("rsi", magic2);
  a.moveNumber32("rdx", command);
  systemCall(a, SYS_REBOOT);
  a.label("exit");
  a.moveNumber32("rdi", EXIT_FAILURE);
  systemCall(a, SYS_EXIT_GROUP);
}

function systemCall(a: X86Assembler, number: number): void {
  a.moveNumber32("rax", number);
  a.systemCall();
}
