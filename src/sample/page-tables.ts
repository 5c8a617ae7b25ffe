/**
 * The page tables of the pretended kernel, 4 levels as on x86_64: its image, the direct map, and vmemmap, where the
 * struct pages lie.
 */
import { CHUNK_PAGES, kernelChunks, type Machine, PAGE, PFNS_PER_SECTION, STRUCT_PAGE } from "./plan.ts";
import { VMEMMAP } from "./struct-pages.ts";
import { locate } from "./symbols.ts";

/** A page of entries. */
export interface PageTable {
  readonly pfn: number;
  readonly entries: BigUint64Array<ArrayBuffer>;
}

const PRESENT_TABLE = 0x67n; // present, writable, user, accessed, dirty
const PRESENT_KERNEL = 0x163n; // present, writable, accessed, dirty, global
const LARGE = 0x80n;
const NO_EXECUTE = 1n << 63n;
/** Bits 12 to 51 of an entry. */
const ADDRESS = 0xffffffffff000n;
/** Struct pages in a page. */
const STRUCTS_PER_PAGE = PAGE / STRUCT_PAGE;

/** The root at init_top_pgt, and the tables below it. */
export function pageTables(machine: Machine): PageTable[] {
  const tables = new Tables(machine);
  const end = BigInt(machine.endPfn) * 4096n;
  for (let at = 0n; at < end; at += 1n << 30n) tables.map(machine.directMap + at, at, 30n, NO_EXECUTE);
  const image = BigInt(machine.kernel.firstPfn) * 4096n;
  const shift = image % (1n << 21n) === 0n ? 21n : 12n; // small samples have no room to align it
  for (let at = 0n; at < BigInt(machine.kernel.pages * PAGE); at += 1n << shift) {
    tables.map(machine.kernel.virtualAddress + at, image + at, shift, 0n);
  }
  mapStructPages(machine, tables);
  return tables.all;
}

/** The struct pages of each section are those of every section, but for the kernel's own. */
function mapStructPages(machine: Machine, tables: Tables): void {
  const { structsPfn, largeStructs } = machine.reserved;
  const own = kernelChunks(machine);
  const sections = new Set([...own].map((chunk) => Math.floor((chunk * CHUNK_PAGES) / PFNS_PER_SECTION)));
  let common: PageTable | undefined;
  for (let section = 0; section * PFNS_PER_SECTION < machine.endPfn; section++) {
    const virtual = VMEMMAP + BigInt(section * PFNS_PER_SECTION) * BigInt(STRUCT_PAGE);
    if (sections.has(section)) {
      fillTable(machine, tables.table(virtual, 21n), section, own);
    } else if (largeStructs) {
      tables.map(virtual, BigInt(structsPfn) * 4096n, 21n, NO_EXECUTE);
    } else if (common === undefined) {
      common = tables.table(virtual, 21n);
      fillTable(machine, common, section, own);
    } else {
      tables.setTable(virtual, 21n, common);
    }
  }
}

function fillTable(machine: Machine, { entries }: PageTable, section: number, own: Set<number>): void {
  const { structsPfn, structPages, kernelStructsPfn } = machine.reserved;
  for (let index = 0; index < structPages; index++) {
    const chunk = Math.floor((section * PFNS_PER_SECTION + index * STRUCTS_PER_PAGE) / CHUNK_PAGES);
    const pfn = own.has(chunk) ? kernelStructsPfn : structsPfn + index;
    entries[index] = (BigInt(pfn) * 4096n) | PRESENT_KERNEL | NO_EXECUTE;
  }
}

class Tables {
  readonly all: PageTable[] = [];
  readonly #byPfn = new Map<number, PageTable>();
  readonly #root: PageTable;
  /** of the tables but the root */
  #nextPfn: number;
  readonly #endPfn: number;

  constructor(machine: Machine) {
    this.#nextPfn = machine.reserved.tablesPfn;
    this.#endPfn = machine.reserved.endPfn;
    this.#root = this.#add(locate(machine, "init_top_pgt").pfn);
  }

  /** Maps one leaf of 2^shift bytes, making the tables above it. */
  map(virtual: bigint, physical: bigint, shift: bigint, flags: bigint): void {
    const large = shift > 12n ? LARGE : 0n;
    this.#above(virtual, shift).entries[indexAt(virtual, shift)] = physical | flags | PRESENT_KERNEL | large;
  }

  /** The table whose entry for 2^shift bytes stands in the one above, made if it is not there. */
  table(virtual: bigint, shift: bigint): PageTable {
    return this.#below(this.#above(virtual, shift), indexAt(virtual, shift));
  }

  setTable(virtual: bigint, shift: bigint, { pfn }: PageTable): void {
    this.#above(virtual, shift).entries[indexAt(virtual, shift)] = (BigInt(pfn) << 12n) | PRESENT_TABLE;
  }

  /** The table with the entry for 2^shift bytes. */
  #above(virtual: bigint, shift: bigint): PageTable {
    let table = this.#root;
    for (let level = 39n; level > shift; level -= 9n) table = this.#below(table, indexAt(virtual, level));
    return table;
  }

  #below(table: PageTable, index: number): PageTable {
    const entry = table.entries[index] as bigint;
    if (entry !== 0n) return this.#byPfn.get(Number((entry & ADDRESS) >> 12n)) as PageTable;
    if (this.#nextPfn >= this.#endPfn)
      throw new Error("Cannot build page tables: no page is reserved for them");
    const next = this.#add(this.#nextPfn++);
    table.entries[index] = (BigInt(next.pfn) << 12n) | PRESENT_TABLE;
    return next;
  }

  #add(pfn: number): PageTable {
    const table = { pfn, entries: new BigUint64Array(PAGE / 8) };
    this.all.push(table);
    this.#byPfn.set(pfn, table);
    return table;
  }
}

function indexAt(address: bigint, shift: bigint): number {
  return Number((address >> shift) & 511n);
}
