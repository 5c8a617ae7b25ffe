/**
 * The parts of the pretended kernel that are true: readers find them through VMCOREINFO and use them.
 *
 *   page tables   the kernel image and the direct map (as on x86_64: 4 levels, leaves of 1 GiB, 2 MiB or 4 KiB)
 *   utsname       the kernel's names, in init_uts_ns
 *   mem_section   which sections of 128 MiB hold RAM; their struct pages would be in vmemmap, which is not mapped:
 *                 this sample has none
 *
 * They lie in the kernel image, or in the reserved pages right after it.
 */
import { type Machine, PAGE, PFNS_PER_SECTION } from "./plan.ts";
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

const PRESENT_TABLE = 0x67n; // present, writable, user, accessed, dirty
const PRESENT_KERNEL = 0x163n; // present, writable, accessed, dirty, global
const LARGE = 0x80n;
const NO_EXECUTE = 1n << 63n;
/** struct new_utsname: six strings of 65 bytes. */
const UTS_FIELD = 65;
/** What an unmoved kernel takes for its array of struct pages. */
const VMEMMAP = 0xffffea0000000000n;
/** section_mem_map's low bits: present, has a mem_map, online, since boot. */
const SECTION_FLAGS = 0xfn;

/** Virtual address of the array of mem_section roots. */
export function memSectionAddress(machine: Machine): bigint {
  return machine.directMap + BigInt(machine.reserved.rootsPfn * PAGE);
}

/** All true parts of the sample. */
export function kernelObjects(machine: Machine): MemoryObject[] {
  return [utsname(machine), ...memSections(machine), ...pageTables(machine)];
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
  return [ofWords(rootsPfn, roots), ofWords(sectionsPfn, sections)];
}

/** Whole pages of words as they are. */
function ofWords(firstPfn: number, words: BigUint64Array<ArrayBuffer>): MemoryObject {
  const bytes = new Uint8Array(words.buffer);
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

/** The root at init_top_pgt, and the tables below it. */
function pageTables(machine: Machine): MemoryObject[] {
  const firstPfn = machine.reserved.tablesPfn;
  const tables: { pfn: number; entries: BigUint64Array<ArrayBuffer> }[] = [];
  const newTable = (pfn: number) => {
    const table = { pfn, entries: new BigUint64Array(512) };
    tables.push(table);
    return table;
  };
  const root = newTable(locate(machine, "init_top_pgt").pfn);
  const indexAt = (address: bigint, shift: bigint) => Number((address >> shift) & 511n);

  /** Maps one leaf of 2^shift bytes, making the tables above it. */
  const map = (virtual: bigint, physical: bigint, shift: bigint, flags: bigint) => {
    let table = root;
    for (let level = 39n; level > shift; level -= 9n) {
      const at = indexAt(virtual, level);
      const entry = table.entries[at] as bigint;
      const next = entry
        ? tables.find(({ pfn }) => BigInt(pfn) === (entry & 0xffffffffff000n) >> 12n)
        : newTable(firstPfn + tables.length - 1);
      if (!next) throw new Error("Cannot build page tables: a table is missing");
      table.entries[at] = (BigInt(next.pfn) << 12n) | PRESENT_TABLE;
      table = next;
    }
    table.entries[indexAt(virtual, shift)] = physical | flags | PRESENT_KERNEL | (shift > 12n ? LARGE : 0n);
  };

  const end = BigInt(machine.endPfn) * 4096n;
  for (let at = 0n; at < end; at += 1n << 30n) map(machine.directMap + at, at, 30n, NO_EXECUTE);
  const image = BigInt(machine.kernel.firstPfn) * 4096n;
  const shift = image % (1n << 21n) === 0n ? 21n : 12n; // small samples have no room to align it
  for (let at = 0n; at < BigInt(machine.kernel.pages * PAGE); at += 1n << shift) {
    map(machine.kernel.virtualAddress + at, image + at, shift, 0n);
  }
  return tables.map(({ pfn, entries }) => ofWords(pfn, entries));
}
