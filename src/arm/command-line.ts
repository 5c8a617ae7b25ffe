/** The crash kernel's command line. The kernel that loads it puts elfcorehdr= in front by itself. */
import { kernelParameters } from "../kernel-parameters.ts";

/**
 * What a capture kernel wants of its kernel, and why. Documentation/admin-guide/kdump/kdump.rst and
 * kernel-parameters.txt; distributions' kdump has the same.
 */
const EVERYWHERE = [
  // Interrupts that the dead kernel's devices still send have no handler any more.
  "irqpoll",
  // More processors take memory, and starting them can fail.
  "nr_cpus=1",
  // Drivers reset devices that were left in the middle of something.
  "reset_devices",
  // A panic here ends in a restart, not in a hang.
  "panic=10",
  // Less memory is taken, for what nobody uses here.
  "cgroup_disable=memory",
  "transparent_hugepage=never",
  "novmcoredd",
  // As a tmpfs, the initramfs could fill half of the memory only.
  "rootfstype=ramfs",
];
const BY_ARCHITECTURE: Record<string, readonly string[]> = {
  x64: ["mce=off", "numa=off", "acpi_no_memhotplug", "hest_disable"],
};

/** Of the running kernel's parameters, those that are about it alone, or take memory that is not there. */
const NOT_TAKEN_OVER = new Set([
  "BOOT_IMAGE",
  "initrd",
  "crashkernel",
  "elfcorehdr",
  "hugepages",
  "hugepagesz",
  "default_hugepagesz",
  "hugetlb_cma",
  "cma",
  "movablecore",
  "kernelcore",
  "log_buf_len",
]);

export interface CommandLineWishes {
  /** all of it */
  readonly text?: string | undefined;
  /** what the running kernel has, as far as a crash kernel can use it */
  readonly reuse: boolean;
  /** behind the rest */
  readonly append?: string | undefined;
}

/**
 * The crash kernel's command line: what kdump needs, with the running kernel's consoles, unless told otherwise. A later
 * parameter wins in the kernel, so what the user appends comes last.
 *
 * @param running the running kernel's command line @param architecture as process.arch has it
 */
export function crashCommandLine(wishes: CommandLineWishes, running: string, architecture: string): string {
  const append = kernelParameters(wishes.append ?? "");
  if (wishes.text !== undefined) return [...kernelParameters(wishes.text), ...append].join(" ");
  const needed = [...EVERYWHERE, ...(BY_ARCHITECTURE[architecture] ?? [])];
  const taken = kernelParameters(running).filter((parameter) => {
    const name = nameOf(parameter);
    return wishes.reuse ? !NOT_TAKEN_OVER.has(name) : name === "console";
  });
  return [...taken, ...needed, ...append].join(" ");
}

/**
 * Whether the capture kernel's first file system is a tmpfs, which may fill half of the memory, or a ramfs, which may
 * fill it all (init_rootfs() in init/do_mounts.c): a tmpfs, unless root= is there or rootfstype= says another.
 */
export function rootfsOf(commandLine: string): "ramfs" | "tmpfs" {
  const parameters = kernelParameters(commandLine);
  const types = parameters.filter((parameter) => nameOf(parameter) === "rootfstype").at(-1);
  if (types !== undefined) return types.includes("tmpfs") ? "tmpfs" : "ramfs";
  return parameters.some((parameter) => /^"?root=./.test(parameter)) ? "ramfs" : "tmpfs";
}

function nameOf(parameter: string): string {
  return parameter.replace(/^"/, "").split("=", 1)[0] as string;
}
