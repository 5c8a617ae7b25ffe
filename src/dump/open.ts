/** Opens whatever holds a crashed machine's memory, and tells by its first bytes what it is. */
import type { File } from "../../ffi/file.ts";
import type { Libc } from "../../ffi/libc.ts";
import { EXIT_DATA, VmcopyError } from "../errors.ts";
import { ElfMemory, type FlatStream } from "../vmcore/elf-memory.ts";
import type { Reading } from "../vmcore/elf-page-reader.ts";
import { readingOf } from "../vmcore/map-size.ts";
import type { CrashMemory } from "../vmcore/memory.ts";
import { openForReading, Vmcore } from "../vmcore/vmcore.ts";
import type { Method } from "../vmcore/window.ts";
import { isFlattened } from "./flattened-file.ts";
import { FlattenedView } from "./flattened-reader.ts";
import { decodeMainHeader } from "./kdump-header.ts";
import { readBytes } from "./kdump-member.ts";
import { KdumpMemory } from "./kdump-reader.ts";
import { hasPartitionMagic } from "./partition-header.ts";
import { PartitionReader } from "./partition-reader.ts";

export interface OpenOptions {
  /** undefined: whichever suits the source */
  readonly method?: Method | undefined;
  /** bytes of a window; undefined: measured */
  readonly mapSize?: number | undefined;
}

/** What a file is, by its first bytes; partition: a capture on a raw partition. */
export type FileKind = "elf" | "kdump" | "flattened" | "partition" | "unknown";

const HEAD = 512;

export function kindOf(head: Uint8Array): FileKind {
  if (isFlattened(head)) return "flattened";
  if (hasPartitionMagic(head)) return "partition";
  if (decodeMainHeader(head) !== undefined) return "kdump";
  return head[0] === 0x7f && head[1] === 0x45 && head[2] === 0x4c && head[3] === 0x46 ? "elf" : "unknown";
}

/** What the file at a path is. @throws LibcError; VmcopyError E_NOT_VMCORE where it is neither file nor device */
export function kindOfFile(libc: Libc, path: string): FileKind {
  using file = openForReading(libc, path);
  return kindOfDump(file);
}

/** What an open file is. @throws LibcError */
export function kindOfDump(file: File): FileKind {
  return kindOf(readBytes(file, HEAD, 0));
}

/**
 * Opens a vmcore or a dump, or the members of a split set, in any order.
 *
 * @throws VmcopyError E_NOT_VMCORE naming what it is instead; LibcError
 */
export function openMemory(libc: Libc, paths: readonly string[], options: OpenOptions = {}): CrashMemory {
  const [path = "", ...others] = paths;
  if (others.length > 0) {
    return KdumpMemory.open(paths.map((member) => openDump(libc, member)));
  }
  const kind = path === "/proc/vmcore" ? "elf" : kindOfFile(libc, path);
  // What is unknown is refused by the ELF reader, which says what it saw.
  if (kind === "elf" || kind === "unknown") {
    const vmcore = Vmcore.open(libc, path);
    return elfMemory(vmcore, () => readingOf(vmcore, options));
  }
  const file = openDump(libc, path);
  const flat = file instanceof FlattenedView ? file : undefined;
  if (kindOfDump(file) === "kdump") return KdumpMemory.open([file]);
  try {
    return elfMemory(Vmcore.of(file), () => ({ method: "read", mapSize: libc.pageSize }), flat);
  } catch (error) {
    file.close();
    throw error;
  }
}

function elfMemory(vmcore: Vmcore, reading: () => Reading, flat?: FlatStream): ElfMemory {
  try {
    return ElfMemory.of(vmcore, reading(), flat);
  } catch (error) {
    vmcore[Symbol.dispose]();
    throw error;
  }
}

/** A dump's file; of a flattened one, or a raw partition, the dump inside. */
function openDump(libc: Libc, path: string): File {
  const file = openForReading(libc, path);
  try {
    const partition = PartitionReader.of(file);
    if (partition !== undefined) return partition.dump() ?? noDump(partition);
    return kindOfDump(file) === "flattened" ? FlattenedView.of(file) : file;
  } catch (error) {
    file.close();
    throw error;
  }
}

/** @throws VmcopyError E_NOT_VMCORE, exit code 1 */
export function noDump(partition: PartitionReader): never {
  const { path } = partition;
  throw new VmcopyError(
    "E_NOT_VMCORE",
    `Cannot read a dump from ${path}: ${partition.problems().join("; ")}; take out what is there: vmcopy copy ${path} DIR`,
    EXIT_DATA,
  );
}
