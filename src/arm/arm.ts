/** Arms the machine: looks at the files and at what is reserved, loads the crash kernel, and sees that it is loaded. */
import process from "node:process";
import { LibcError } from "../../ffi/errno.ts";
import type { Libc } from "../../ffi/libc.ts";
import { VmcopyError } from "../errors.ts";
import { sizeArgument } from "../units.ts";
import { type CommandLineWishes, crashCommandLine, rootfsOf } from "./command-line.ts";
import { type Initramfs, readInitramfs } from "./initramfs.ts";
import { type KernelImage, readKernelImage } from "./kernel-image.ts";
import { explain, loadCrashKernel, unloadCrashKernel } from "./kexec.ts";
import { type Machine, readMachine } from "./machine.ts";
import { neededBytes } from "./need.ts";

export interface ArmRequest {
  readonly kernel: string | undefined;
  readonly initrd: string | undefined;
  readonly commandLine: CommandLineWishes;
}

/** What there is and what is needed, before anything is loaded. */
export interface Readiness {
  readonly machine: Machine;
  /** undefined where none was named: then the running one stands for it */
  readonly kernel: KernelImage | undefined;
  readonly initramfs: Initramfs | undefined;
  readonly commandLine: string;
  readonly rootfs: "ramfs" | "tmpfs";
  /** bytes of crashkernel= that are enough; undefined where no kernel's size is known */
  readonly needed: number | undefined;
  /** whether what is reserved is enough; undefined where that cannot be told */
  readonly fits: boolean | undefined;
}

/** @throws LibcError, VmcopyError E_IMAGE: what was named is not there, or is no kernel; E_USAGE: too long a command line */
export async function readiness(libc: Libc, request: ArmRequest): Promise<Readiness> {
  const machine = readMachine();
  const { kernel: path, initrd } = request;
  const kernel = path === undefined ? undefined : readKernelImage(libc, path, process.arch);
  const initramfs = initrd === undefined ? undefined : await readInitramfs(libc, initrd);
  const commandLine = crashCommandLine(request.commandLine, machine.commandLine, process.arch);
  if (kernel !== undefined) checkLength(commandLine, kernel);
  const rootfs = rootfsOf(commandLine);
  const memory = kernel?.memory ?? machine.kernelMemory;
  const needed =
    memory === undefined
      ? undefined
      : neededBytes({
          kernel: memory,
          packed: initramfs?.bytes ?? 0,
          unpacked: initramfs?.unpacked ?? 0,
          rootfs,
        });
  const { reserved } = machine;
  return {
    machine,
    kernel,
    initramfs,
    commandLine,
    rootfs,
    needed,
    fits: fitting(reserved, needed, initramfs),
  };
}

/** Where a part's size is not known, `needed` is too little: it can only be told that even that does not fit. */
function fitting(
  reserved: number | undefined,
  needed: number | undefined,
  initramfs: Initramfs | undefined,
): boolean | undefined {
  if (reserved === undefined || needed === undefined) return undefined;
  if (reserved < needed) return false;
  return (initramfs?.parts ?? []).every(({ unpacked }) => unpacked !== undefined) ? true : undefined;
}

/** `elfcorehdr=0x<64 bits> ` is put in front: MAX_ELFCOREHDR_STR_LEN in arch/x86/kernel/kexec-bzimage64.c. */
const ELFCOREHDR = 30;

function checkLength(commandLine: string, kernel: KernelImage): void {
  const length = new TextEncoder().encode(commandLine).length + 1;
  const most = kernel.commandLine - ELFCOREHDR;
  if (length <= most) return;
  throw new VmcopyError(
    "E_USAGE",
    `Cannot load ${kernel.path} as crash kernel: its command line takes ${most - 1} bytes, and this has ${length - 1}: shorten it`,
  );
}

/** Why no crash kernel can be loaded here, whatever the files; undefined where one can be. */
export function notReserved({ machine, needed, initramfs }: Readiness): VmcopyError | undefined {
  const { reserved, commandLine } = machine;
  if (reserved === undefined) {
    return new VmcopyError(
      "E_UNSUPPORTED",
      "Cannot load a crash kernel: this kernel knows none, it has no /sys/kernel/kexec_crash_size (CONFIG_KEXEC, CONFIG_CRASH_DUMP)",
    );
  }
  if (reserved > 0) return undefined;
  const asked = / (crashkernel=\S+)/.exec(` ${commandLine}`)?.[1];
  const size = needed === undefined ? "crashkernel=SIZE" : `crashkernel=${sizeArgument(needed)}`;
  const without = needed !== undefined && initramfs === undefined ? " and more for an initramfs" : "";
  const why =
    asked === undefined
      ? `put ${size}${without} on this kernel's command line and restart`
      : `${asked} is on its command line, and was given back or could not be had (its log tells); ${size}${without} is needed`;
  return new VmcopyError(
    "E_CRASHKERNEL",
    `Cannot load a crash kernel: no memory is reserved for one (/sys/kernel/kexec_crash_size is 0): ${why}`,
  );
}

/**
 * Loads what was found ready.
 *
 * @throws VmcopyError saying why, what to do, and whether a crash kernel that was loaded before is gone
 */
export function arm(
  libc: Libc,
  { machine, kernel, initramfs, commandLine }: Readiness & { kernel: KernelImage },
): void {
  const { path, memory } = kernel;
  try {
    loadCrashKernel(libc, { kernel: path, initrd: initramfs?.path, commandLine });
  } catch (error) {
    const wanted = memory + (initramfs?.bytes ?? 0);
    const told = explain(error, { machine, isRoot: isRoot(), wanted });
    throw machine.isLoaded && !readMachine().isLoaded ? alsoGone(told) : told;
  }
  if (readMachine().isLoaded) return;
  throw new VmcopyError(
    "E_IO",
    `Cannot load ${path} as crash kernel: the kernel reports no error, but /sys/kernel/kexec_crash_loaded is not 1: see its log`,
  );
}

/** Takes the loaded crash kernel away, where there is one. @throws VmcopyError */
export function disarm(libc: Libc): void {
  const machine = readMachine();
  if (!machine.isLoaded) return;
  try {
    unloadCrashKernel(libc);
  } catch (error) {
    throw explain(error, { machine, isRoot: isRoot() });
  }
  if (!readMachine().isLoaded) return;
  throw new VmcopyError(
    "E_IO",
    "Cannot unload the crash kernel: the kernel reports no error, but /sys/kernel/kexec_crash_loaded is still 1",
  );
}

function alsoGone(error: unknown): unknown {
  if (!(error instanceof VmcopyError || error instanceof LibcError)) return error;
  const code = error instanceof VmcopyError ? error.code : "E_IO";
  return new VmcopyError(
    code,
    `${error.message}; the crash kernel that was loaded before is gone`,
    undefined,
    {
      cause: error,
    },
  );
}

function isRoot(): boolean {
  return process.geteuid?.() === 0;
}
