/** What a dump of pages says of the machine, from whatever holds its memory. */
import type { Libc } from "../../ffi/libc.ts";
import { hexDigest } from "../dump/digests.ts";
import type { ManifestSource } from "../dump/manifest.ts";
import { type VirtualRanges, virtualRanges } from "../dump/virtual-ranges.ts";
import { VmcopyError } from "../errors.ts";
import { xxh3 } from "../kernels/xxh3.ts";
import { AddressSpace } from "../vmcore/address-space.ts";
import { ElfMemory } from "../vmcore/elf-memory.ts";
import type { CrashMemory } from "../vmcore/memory.ts";
import { findNote } from "../vmcore/notes.ts";
import { encodeUtsname, readUtsnameBytes } from "../vmcore/utsname.ts";
import { sourceFacts } from "./manifest-of.ts";

/** struct new_utsname of the crashed kernel; as much as VMCOREINFO says where it cannot be read. */
export function utsnameOf(libc: Libc, memory: CrashMemory): Uint8Array {
  try {
    using space = AddressSpace.of(libc, memory);
    const bytes = readUtsnameBytes(space);
    if (bytes !== undefined) return bytes;
  } catch (error) {
    if (!(error instanceof VmcopyError)) throw error;
  }
  const { release, entries } = memory.info;
  const machine = memory.architecture === "other" ? "" : memory.architecture;
  return encodeUtsname({ sysname: "Linux", release: release ?? entries.get("OSRELEASE") ?? "", machine });
}

/** Where the VMCOREINFO text lies in the notes; size 0 where there is none. */
export function vmcoreinfoPlace({ noteBytes }: CrashMemory): { offset: number; size: number } {
  const text = findNote(noteBytes, "VMCOREINFO");
  return text === undefined
    ? { offset: 0, size: 0 }
    : { offset: text.byteOffset - noteBytes.byteOffset, size: text.length };
}

/** phys_base on x86_64, PHYS_OFFSET on aarch64. */
export function physBaseOf({ architecture, info }: CrashMemory): bigint {
  return info.number(architecture === "aarch64" ? "PHYS_OFFSET" : "phys_base") ?? 0n;
}

/** Virtual addresses, where the source has them: a kdump-compressed dump does not. */
export function virtualOf(memory: CrashMemory): VirtualRanges {
  return memory instanceof ElfMemory
    ? virtualRanges(memory.vmcore.headers.loads)
    : { primary: [], aliases: [] };
}

/** What a manifest says of the source. @param size bytes of its file */
export function manifestSource(memory: CrashMemory, size: number): ManifestSource {
  if (memory instanceof ElfMemory) return sourceFacts(memory.vmcore);
  return {
    path: memory.path,
    size,
    kernelRelease: memory.info.release ?? null,
    crashTime: memory.info.crashTime ?? null,
    identity: hexDigest(xxh3(memory.noteBytes)),
    segments: [],
  };
}
