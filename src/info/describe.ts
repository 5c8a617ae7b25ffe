/**
 * What a vmcore says of itself: headers, memory map, notes, VMCOREINFO. Only headers and notes are read.
 *
 * Text is given as it stands in the file: whoever shows it makes it printable first.
 */
import { NT_PRSTATUS } from "../vmcore/notes.ts";
import type { Backing, Vmcore } from "../vmcore/vmcore.ts";
import { type MemoryMap, memoryMap } from "./memory-map.ts";
import { machineName, noteTypeName } from "./names.ts";

export interface DescribedNote {
  readonly name: string;
  readonly type: number;
  /** the type by name, for example NT_PRSTATUS; in hexadecimal where it has none */
  readonly typeName: string;
  /** of the descriptor, bytes from the file's start */
  readonly offset: number;
  /** of the descriptor, bytes */
  readonly size: number;
}

export interface Description extends MemoryMap {
  readonly path: string;
  /** bytes */
  readonly size: number;
  readonly backing: Backing;
  readonly elf: {
    readonly class: 32 | 64;
    readonly littleEndian: boolean;
    /** e_machine by name, and the number itself */
    readonly machine: string;
    readonly machineNumber: number;
    /** e_flags */
    readonly flags: number;
    /** makedumpfile's mark: it could not finish this dump */
    readonly incomplete: boolean;
  };
  readonly kernelRelease: string | undefined;
  readonly buildId: string | undefined;
  /** seconds since 1970 */
  readonly crashTime: number | undefined;
  /** how far KASLR moved the kernel, bytes */
  readonly kernelOffset: bigint | undefined;
  /** of the crashed kernel, bytes */
  readonly pageSize: number | undefined;
  /** how many saved their registers */
  readonly cpus: number;
  readonly notes: readonly DescribedNote[];
  readonly vmcoreinfo: ReadonlyMap<string, string>;
}

/** DUMP_ELF_INCOMPLETE of makedumpfile, in e_flags. */
const INCOMPLETE = 1;

/** Describes an open vmcore. @throws VmcopyError E_NOT_VMCORE where its notes are malformed; LibcError */
export function describeVmcore(vmcore: Vmcore): Description {
  const { headers, info } = vmcore;
  const machinePage = info.pageSize;
  return {
    path: vmcore.path,
    size: vmcore.size,
    backing: vmcore.backing,
    elf: {
      class: headers.elfClass,
      littleEndian: headers.littleEndian,
      machine: machineName(headers.machine),
      machineNumber: headers.machine,
      flags: headers.flags,
      incomplete: (headers.flags & INCOMPLETE) !== 0,
    },
    kernelRelease: info.release,
    buildId: info.entries.get("BUILD-ID"),
    crashTime: info.crashTime,
    kernelOffset: info.kernelOffset,
    pageSize: machinePage,
    cpus: vmcore.notes.filter(({ name, type }) => name === "CORE" && type === NT_PRSTATUS).length,
    notes: vmcore.notes.map(({ name, type, offset, size }) => ({
      name,
      type,
      typeName: noteTypeName(name, type),
      offset,
      size,
    })),
    vmcoreinfo: info.entries,
    ...memoryMap(headers, machinePage ?? vmcore.file.libc.pageSize, info.symbol("_stext")),
  };
}
