/**
 * What a system needs that has nothing but its first process: the kernel's own file systems, and a panic that does not
 * hang. The start stub (src/pack/x86_64.ts) has mounted /proc and opened a console, as nothing runs without these.
 */
import { readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { MS_NODEV, MS_NOEXEC, MS_NOSUID } from "../../ffi/constants.ts";
import { LibcError } from "../../ffi/errno.ts";
import type { Libc } from "../../ffi/libc.ts";

/** Type and place, in this order. */
const FILE_SYSTEMS: readonly (readonly [type: string, path: string, flags: number])[] = [
  ["proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC],
  ["sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC],
  ["devtmpfs", "/dev", MS_NOSUID],
];

/** @returns what could not be mounted, one line each */
export function mountKernelFileSystems(libc: Libc): string[] {
  return FILE_SYSTEMS.flatMap(([type, path, flags]) => {
    try {
      if (libc.status(path) === undefined) libc.makeDirectory(path, 0o755);
      libc.mount(type, path, type, flags);
      return [];
    } catch (error) {
      if (!(error instanceof LibcError)) throw error;
      // EBUSY: it is mounted there already.
      return error.code === "EBUSY" ? [] : [error.message];
    }
  });
}

const PANIC_TIMEOUT = "/proc/sys/kernel/panic";
/** Seconds, where the kernel's command line says nothing (panic=). */
const PANIC_SECONDS = 10;

/** Of the first process's namespace (PROC_PID_INIT_INO in include/linux/proc_ns.h): a container has another. */
const FIRST_NAMESPACE = "pid:[4026531836]";

/**
 * The kernel panics where its first process dies, of no memory for instance, and a panic is for ever unless it was told
 * otherwise: it restarts the machine then. @returns why not
 */
export function boundPanics(): string | undefined {
  try {
    if (isContainer()) return undefined;
    if (readFileSync(PANIC_TIMEOUT, "utf8").trim() === "0")
      writeFileSync(PANIC_TIMEOUT, `${PANIC_SECONDS}\n`);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Its panics are those of the machine around it. */
function isContainer(): boolean {
  try {
    return readlinkSync("/proc/self/ns/pid") !== FIRST_NAMESPACE;
  } catch {
    // A kernel without PID namespaces (CONFIG_PID_NS) has no containers.
    return false;
  }
}
