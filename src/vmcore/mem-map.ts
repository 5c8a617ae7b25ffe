/**
 * Where the struct page of a page frame lies: through SPARSEMEM's sections (include/linux/mmzone.h,
 * struct mem_section), or FLATMEM's one array.
 *
 * A section's section_mem_map is the address of its first struct page, less what the section's first PFN would
 * take, so that it is indexed by the PFN itself; its low 12 bits are flags, bit 0 of them says that the section is
 * there. With SPARSEMEM_VMEMMAP all sections give the same address, without it each has its own.
 */
import { VmcopyError } from "../errors.ts";
import type { AddressSpace } from "./address-space.ts";
import type { PfnRun } from "./memory.ts";
import type { Vmcoreinfo } from "./vmcoreinfo.ts";

/** Struct pages one behind the other in virtual memory. */
export interface MemMapRun {
  readonly pfn: number;
  readonly count: number;
  /** address of the struct page of `pfn`; undefined where there is none */
  readonly virtual: bigint | undefined;
}

/** Gives the address that a PFN's struct page is counted from. @returns undefined where the section is not there */
type Base = (pfn: number) => bigint | undefined;

const POINTER = 8;
const PRESENT = 1n;
const FLAGS = 0xfffn;
/** Sections looked at to tell whether the table was understood. */
const PROBES = 4096;

export class MemMap {
  readonly #base: Base;

  private constructor(
    /** SIZE(page), bytes */
    readonly structSize: number,
    /** pages that share a base; Infinity for FLATMEM */
    readonly sectionPages: number,
    base: Base,
  ) {
    this.#base = base;
  }

  /** @throws VmcopyError E_UNSUPPORTED where VMCOREINFO lacks something, or no section is found */
  static of(space: AddressSpace): MemMap {
    const { info, pageSize, ram } = space.memory;
    const structSize = need(info.size("page"), "SIZE(page)");
    if (info.symbol("mem_section") !== undefined) {
      const sectionBits = Number(need(info.number("SECTION_SIZE_BITS"), "NUMBER(SECTION_SIZE_BITS)"));
      const sectionPages = 2 ** sectionBits / pageSize;
      const base = sparseBase(space, info, sectionBits, sectionPages, ram);
      return new MemMap(structSize, sectionPages, base);
    }
    return new MemMap(structSize, Number.POSITIVE_INFINITY, flatBase(space, info, structSize));
  }

  /** Where the struct pages of [start, end) lie. @yields runs without gaps, at most a section long */
  *runs(start: number, end: number): Generator<MemMapRun> {
    const size = BigInt(this.structSize);
    for (let pfn = start; pfn < end; ) {
      const next = (Math.floor(pfn / this.sectionPages) + 1) * this.sectionPages;
      const count = Math.min(Number.isFinite(next) ? next : end, end) - pfn;
      const base = this.#base(pfn);
      const virtual = base === undefined ? undefined : BigInt.asUintN(64, base + BigInt(pfn) * size);
      yield { pfn, count, virtual };
      pfn += count;
    }
  }
}

function need<Value>(value: Value | undefined, key: string): Value {
  if (value !== undefined) return value;
  throw new VmcopyError("E_UNSUPPORTED", `Cannot find the struct pages: VMCOREINFO has no ${key}`);
}

function word(bytes: Uint8Array | undefined): bigint | undefined {
  return bytes && new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
}

function sparseBase(
  space: AddressSpace,
  info: Vmcoreinfo,
  sectionBits: number,
  sectionPages: number,
  ram: readonly PfnRun[],
): Base {
  const symbol = need(info.symbol("mem_section"), "SYMBOL(mem_section)");
  const structSize = need(info.size("mem_section"), "SIZE(mem_section)");
  const mapOffset = need(info.offset("mem_section.section_mem_map"), "OFFSET(mem_section.section_mem_map)");
  const { pageSize } = space.memory;
  const perRoot = Math.floor(pageSize / structSize);
  const physicalBits = Number(need(info.number("MAX_PHYSMEM_BITS"), "NUMBER(MAX_PHYSMEM_BITS)"));
  const roots = Math.ceil(2 ** (physicalBits - sectionBits) / perRoot);
  // SPARSEMEM_EXTREME: an array of pointers to pages of sections, and not the sections themselves.
  const isExtreme = info.length("mem_section") === roots;

  const baseFrom =
    (table: bigint): Base =>
    (pfn) => {
      const section = Math.floor(pfn / sectionPages);
      let at = table + BigInt(section * structSize);
      if (isExtreme) {
        const root = word(
          space.readVirtual(table + BigInt(Math.floor(section / perRoot) * POINTER), POINTER),
        );
        if (root === undefined || root === 0n) return undefined;
        at = root + BigInt((section % perRoot) * structSize);
      }
      const map = word(space.readVirtual(at + BigInt(mapOffset), POINTER));
      return map === undefined || (map & PRESENT) === 0n ? undefined : map & ~FLAGS;
    };
  // The symbol is the table, or (Linux 4.15 and the like) the variable that points to it.
  const tables = [symbol, word(space.readVirtual(symbol, POINTER))];
  for (const table of tables) {
    if (table !== undefined && table !== 0n && isUnderstood(space, baseFrom(table), sectionPages, ram)) {
      return remembering(baseFrom(table), sectionPages);
    }
  }
  throw new VmcopyError(
    "E_UNSUPPORTED",
    `Cannot find the struct pages: no section of RAM is in the table at 0x${symbol.toString(16)} (mem_section)`,
  );
}

/** Whether RAM has a section, and the section struct pages that are mapped. */
function isUnderstood(
  space: AddressSpace,
  base: Base,
  sectionPages: number,
  ram: readonly PfnRun[],
): boolean {
  let probes = 0;
  const size = BigInt(space.memory.info.size("page") ?? 0);
  for (const { start, end } of ram) {
    for (let pfn = start; pfn < end && probes < PROBES; pfn += sectionPages, probes++) {
      const from = base(pfn);
      if (from === undefined) continue;
      if (space.translate(BigInt.asUintN(64, from + BigInt(pfn) * size)) !== undefined) return true;
    }
  }
  return false;
}

/** Asks for a section once. */
function remembering(base: Base, sectionPages: number): Base {
  let known = -1;
  let value: bigint | undefined;
  return (pfn) => {
    const section = Math.floor(pfn / sectionPages);
    if (section !== known) {
      value = base(pfn);
      known = section;
    }
    return value;
  };
}

function flatBase(space: AddressSpace, info: Vmcoreinfo, structSize: number): Base {
  const symbol = need(info.symbol("mem_map"), "SYMBOL(mem_section) and no SYMBOL(mem_map)");
  const map = word(space.readVirtual(symbol, POINTER));
  if (map === undefined || map === 0n) {
    throw new VmcopyError("E_UNSUPPORTED", "Cannot find the struct pages: mem_map cannot be read");
  }
  // ARCH_PFN_OFFSET: the array begins with the first page of RAM (arm64), or with page 0 (x86).
  const physOffset = space.memory.architecture === "aarch64" ? (info.number("PHYS_OFFSET") ?? 0n) : 0n;
  const first = physOffset / BigInt(space.memory.pageSize);
  const base = BigInt.asUintN(64, map - first * BigInt(structSize));
  return (pfn) => (pfn < Number(first) ? undefined : base);
}
