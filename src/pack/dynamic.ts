/**
 * What a program tells the dynamic loader: the dynamic section, the names in it, the libraries and versions it
 * asks for. Names and numbers are those of elf.h (System V ABI, chapter 5, and the GNU symbol versions).
 */

import { type Elf64, fileOffsetOf, PackError, PT_DYNAMIC, stringAt } from "./elf64.ts";

export const DT_NEEDED = 1;
export const DT_STRTAB = 5;
export const DT_SONAME = 14;
const DT_VERNEED = 0x6ffffffe;
const DT_VERNEEDNUM = 0x6fffffff;

const DYN_SIZE = 16;
const VERNEED_SIZE = 16;

/** One entry of the dynamic section (Elf64_Dyn), and where it lies in the file. */
export interface DynamicEntry {
  tag: number;
  value: number;
  fileOffset: number;
}

/** One DT_VERNEED record: the library it names, and where in the file its vn_file field (32 bits) lies. */
export interface VersionNeed {
  library: string;
  fileOffset: number;
}

/** The dynamic section up to DT_NULL, in the order of the file; empty if there is none (a static program). */
export function readDynamic(elf: Elf64): DynamicEntry[] {
  const segment = elf.programHeaders.find((header) => header.type === PT_DYNAMIC);
  if (!segment) return [];
  const entries: DynamicEntry[] = [];
  const count = Math.floor(segment.fileSize / DYN_SIZE);
  for (let i = 0; i < count; i++) {
    const fileOffset = segment.offset + i * DYN_SIZE;
    const tag = elf.view.getBigInt64(fileOffset, true);
    if (tag === 0n) return entries;
    // Tags above 2^53 are nobody's; their values mean nothing here.
    const value = Number(elf.view.getBigUint64(fileOffset + 8, true));
    entries.push({ tag: Number(tag), value, fileOffset });
  }
  throw new PackError(
    `Cannot read ${elf.name}: its dynamic section has no end (${count} entries, no DT_NULL)`,
  );
}

/** The value of a tag that may be there once, or undefined. */
export function dynamicValue(entries: DynamicEntry[], tag: number): number | undefined {
  return entries.find((entry) => entry.tag === tag)?.value;
}

/** A name of the dynamic string table: `offset` counts from DT_STRTAB. */
export function dynamicString(elf: Elf64, entries: DynamicEntry[], offset: number): string {
  const table = dynamicValue(entries, DT_STRTAB);
  if (table === undefined) throw new PackError(`Cannot read ${elf.name}: it has names but no DT_STRTAB`);
  return stringAt(elf, fileOffsetOf(elf, table + offset, 1, "dynamic string table"));
}

/** The sonames a program or library asks for (DT_NEEDED), in order. */
export function neededLibraries(elf: Elf64): string[] {
  const entries = readDynamic(elf);
  return entries.filter((e) => e.tag === DT_NEEDED).map((e) => dynamicString(elf, entries, e.value));
}

/** The records of DT_VERNEED: which versions of which library are asked for. The versions stay as they are. */
export function readVersionNeeds(elf: Elf64, entries: DynamicEntry[]): VersionNeed[] {
  const table = dynamicValue(entries, DT_VERNEED);
  const count = dynamicValue(entries, DT_VERNEEDNUM) ?? 0;
  if (table === undefined) return [];
  const needs: VersionNeed[] = [];
  let address = table;
  for (let i = 0; i < count; i++) {
    const at = fileOffsetOf(elf, address, VERNEED_SIZE, "version needs");
    needs.push({
      library: dynamicString(elf, entries, elf.view.getUint32(at + 4, true)),
      fileOffset: at + 4,
    });
    const next = elf.view.getUint32(at + 12, true);
    if (next === 0) break;
    address += next;
  }
  return needs;
}
