/** Numbers of an ELF core file by name: machines and notes. */

/** e_machine of the architectures that kdump runs on (linux/elf-em.h). */
const MACHINES: Record<number, string> = {
  3: "i386",
  8: "mips",
  20: "ppc",
  21: "ppc64",
  22: "s390",
  40: "arm",
  42: "sh",
  50: "ia64",
  62: "x86_64",
  183: "aarch64",
  243: "riscv",
  258: "loongarch",
};

/** Notes of a vmcore: [name, type, what the type is called]. */
const NOTE_TYPES: readonly (readonly [name: string, type: number, called: string])[] = [
  ["CORE", 1, "NT_PRSTATUS"],
  ["VMCOREINFO", 0, "VMCOREINFO"],
  ["VMCOREINFO_XEN", 0, "VMCOREINFO of Xen"],
  ["Xen", 0x1000001, "Xen crash information"],
  ["LINUX", 0x700, "NT_VMCOREDD"],
  ["ERASEINFO", 0, "what makedumpfile erased"],
];

/** An e_machine by its name; "unknown" where it has none here. */
export function machineName(machine: number): string {
  return MACHINES[machine] ?? "unknown";
}

/** A note's type by its name, which hangs on the note's name too; in hexadecimal where it has none here. */
export function noteTypeName(name: string, type: number): string {
  const entry = NOTE_TYPES.find((known) => known[0] === name && known[1] === type);
  return entry === undefined ? `0x${type.toString(16)}` : entry[2];
}
