/** What the running kernel says about a crash kernel: memory reserved for it, whether one is loaded, whether one may be. */
import { readFileSync } from "node:fs";

export interface Machine {
  /** bytes reserved by crashkernel=; undefined where the kernel knows no crash kernels */
  readonly reserved: number | undefined;
  readonly isLoaded: boolean;
  /** the sysctl kernel.kexec_load_disabled, which stays set until the machine restarts */
  readonly isLoadingDisabled: boolean;
  /** what keeps even root from some things: none, integrity or confidentiality; undefined where there is no such thing */
  readonly lockdown: string | undefined;
  /** bytes from the start of the running kernel's code to the end of its data; undefined where only root may know */
  readonly kernelMemory: number | undefined;
  /** of the running kernel */
  readonly commandLine: string;
}

/** @param root where /sys and /proc are: empty, but in tests */
export function readMachine(root = ""): Machine {
  const reserved = read(`${root}/sys/kernel/kexec_crash_size`);
  const lockdown = read(`${root}/sys/kernel/security/lockdown`);
  return {
    reserved: reserved === undefined ? undefined : Number(reserved),
    isLoaded: read(`${root}/sys/kernel/kexec_crash_loaded`) === "1",
    isLoadingDisabled: read(`${root}/proc/sys/kernel/kexec_load_disabled`) === "1",
    lockdown: lockdown === undefined ? undefined : (/\[(\w+)\]/.exec(lockdown)?.[1] ?? lockdown),
    kernelMemory: kernelMemory(read(`${root}/proc/iomem`) ?? ""),
    commandLine: read(`${root}/proc/cmdline`) ?? "",
  };
}

/** The lines `Kernel code` to `Kernel bss` (arm64: `Kernel data`); for anybody but root all addresses are 0. */
function kernelMemory(iomem: string): number | undefined {
  let [start, end] = [Number.POSITIVE_INFINITY, 0];
  for (const [, from = "", to = ""] of iomem.matchAll(/^ *([0-9a-f]+)-([0-9a-f]+) : Kernel /gm)) {
    start = Math.min(start, Number.parseInt(from, 16));
    end = Math.max(end, Number.parseInt(to, 16) + 1);
  }
  return start > 0 && end > start ? end - start : undefined;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return undefined;
  }
}
