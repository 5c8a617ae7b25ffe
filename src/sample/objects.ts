/**
 * The parts of the pretended kernel that are true: readers find them through VMCOREINFO and use them.
 *
 *   page tables    the kernel image, the direct map and vmemmap: page-tables.ts
 *   utsname        the kernel's names, in init_uts_ns
 *   mem_section    which sections of 128 MiB hold RAM
 *   struct pages   what each page is used for: struct-pages.ts
 *   printk ring    the log: log.ts
 *
 * They lie in the kernel image, or in the reserved pages right after it.
 */
import { logMemory } from "./log.ts";
import { pageTables } from "./page-tables.ts";
import { type Machine, PAGE, PFNS_PER_SECTION, STRUCT_PAGE } from "./plan.ts";
import { kernelStructPages, sectionStructPages, VMEMMAP } from "./struct-pages.ts";
import { locate, RELEASE } from "./symbols.ts";

/** Pages with contents of their own, whatever the kind of their surroundings. */
export interface MemoryObject {
  readonly firstPfn: number;
  readonly pages: number;
  /**
   * @param index of the page in this object
   * @param out PAGE bytes that hold what the page would have been otherwise
   */
  fillPage(index: number, out: Uint8Array): void;
}

/** struct new_utsname: six strings of 65 bytes. */
const UTS_FIELD = 65;
/** section_mem_map's low bits: present, has a mem_map, online, since boot. */
const SECTION_FLAGS = 0xfn;

/** Virtual address of the array of mem_section roots. */
export function memSectionAddress(machine: Machine): bigint {
  return machine.directMap + BigInt(machine.reserved.rootsPfn * PAGE);
}

/** Virtual address of the printk ring's memory. */
export function logAddress(machine: Machine): bigint {
  return machine.directMap + BigInt(machine.reserved.logPfn * PAGE);
}

/** All true parts of the sample. */
export function kernelObjects(machine: Machine): MemoryObject[] {
  const { structsPfn, structPages, kernelStructsPfn, logPfn } = machine.reserved;
  const { seed, cpus } = machine;
  const structs = sectionStructPages(seed, (structPages * PAGE) / STRUCT_PAGE);
  return [
    utsname(machine),
    ...memSections(machine),
    ...pageTables(machine).map(({ pfn, entries }) => ofBytes(pfn, entries)),
    ofBytes(structsPfn, structs),
    ofBytes(kernelStructsPfn, kernelStructPages()),
    ofBytes(logPfn, logMemory(seed, cpus, machine.endPfn * PAGE, logAddress(machine))),
  ];
}

/** SPARSEMEM_EXTREME: pages of struct mem_section {u64 section_mem_map, u64 usage}, and pointers to these pages. */
function memSections(machine: Machine): MemoryObject[] {
  const { rootsPfn, sectionsPfn, tablesPfn } = machine.reserved;
  const count = tablesPfn - sectionsPfn;
  const roots = new BigUint64Array(((sectionsPfn - rootsPfn) * PAGE) / 8);
  for (let root = 0; root < count; root++) {
    roots[root] = machine.directMap + BigInt((sectionsPfn + root) * PAGE);
  }
  const sections = new BigUint64Array((count * PAGE) / 8);
  for (const { firstPfn: first, pages } of machine.memory) {
    const last = Math.floor((first + pages - 1) / PFNS_PER_SECTION);
    for (let section = Math.floor(first / PFNS_PER_SECTION); section <= last; section++) {
      sections[2 * section] = VMEMMAP | SECTION_FLAGS; // the section's first PFN is already subtracted
    }
  }
  return [ofBytes(rootsPfn, roots), ofBytes(sectionsPfn, sections)];
}

/** Whole pages as they are. */
function ofBytes(
  firstPfn: number,
  array: Uint8Array<ArrayBuffer> | BigUint64Array<ArrayBuffer>,
): MemoryObject {
  const bytes = new Uint8Array(array.buffer);
  const fillPage = (index: number, out: Uint8Array) =>
    out.set(bytes.subarray(index * PAGE, (index + 1) * PAGE));
  return { firstPfn, pages: bytes.length / PAGE, fillPage };
}

function utsname(machine: Machine): MemoryObject {
  const { pfn, offset } = locate(machine, "init_uts_ns");
  const fields = ["Linux", "sample", RELEASE, "#1 SMP PREEMPT_DYNAMIC vmcopy sample", "x86_64", "(none)"];
  return {
    firstPfn: pfn,
    pages: 1,
    fillPage(_, out) {
      out.fill(0, offset, offset + UTS_FIELD * fields.length);
      for (const [index, field] of fields.entries()) {
        out.set(new TextEncoder().encode(field), offset + UTS_FIELD * index);
      }
    },
  };
}
