/**
 * x86_64 page tables, 4 or 5 levels (Intel SDM volume 3, "4-Level Paging and 5-Level Paging"), from what VMCOREINFO
 * exports (arch/x86/kernel/vmcore_info_64.c).
 */
import { VmcopyError } from "../errors.ts";
import type { Paging, ReadEntry, Stretch } from "./paging.ts";
import type { Vmcoreinfo } from "./vmcoreinfo.ts";

/** Where the kernel image is mapped: __START_KERNEL_map. */
const IMAGE = 0xffff_ffff_8000_0000n;
const IMAGE_SIZE = 1n << 30n;
const PRESENT = 1n;
const LARGE = 1n << 7n;
/** Bits 12 to 51 of an entry. */
const ADDRESS = 0xf_ffff_ffff_f000n;
/** Shift of the index into each table, from the top; leaves may be at 30 (1 GiB), 21 (2 MiB) and 12. */
const SHIFTS_4 = [39n, 30n, 21n, 12n];
const SHIFTS_5 = [48n, ...SHIFTS_4];

/** @throws VmcopyError E_UNSUPPORTED where VMCOREINFO lacks the root of the tables or phys_base */
export function pagingX86(info: Vmcoreinfo): Paging {
  const top = info.symbol("init_top_pgt") ?? info.symbol("init_level4_pgt") ?? info.symbol("swapper_pg_dir");
  const physBase = info.number("phys_base");
  if (top === undefined || physBase === undefined) {
    const missing = top === undefined ? "SYMBOL(init_top_pgt)" : "NUMBER(phys_base)";
    throw new VmcopyError("E_UNSUPPORTED", `Cannot translate addresses: VMCOREINFO has no ${missing}`);
  }
  // Memory encryption marks an address by a bit of its own, in entries and in the root's address alike.
  const mask = ADDRESS & ~(info.number("sme_mask") ?? 0n);
  const imageSize = info.number("KERNEL_IMAGE_SIZE") ?? IMAGE_SIZE;
  const imageOf = (virtual: bigint) => BigInt.asUintN(64, virtual - IMAGE + physBase);
  const root = imageOf(top) & mask;
  const shifts = (info.number("pgtable_l5_enabled") ?? 0n) !== 0n ? SHIFTS_5 : SHIFTS_4;

  function walk(virtual: bigint, readEntry: ReadEntry): Stretch | undefined {
    let table = root;
    for (const shift of shifts) {
      const entry = readEntry(table + ((virtual >> shift) & 511n) * 8n);
      if (entry === undefined || (entry & PRESENT) === 0n) return undefined;
      const isLeaf = shift === 12n || (shift <= 30n && (entry & LARGE) !== 0n);
      if (isLeaf) {
        const size = 1n << shift;
        const inside = virtual & (size - 1n);
        return { physical: (entry & mask & ~(size - 1n)) | inside, length: Number(size - inside) };
      }
      table = entry & mask;
    }
    return undefined;
  }

  return {
    translate(virtual, readEntry) {
      const found = walk(virtual, readEntry);
      if (found !== undefined) return found;
      // The image needs no tables: they may be what is missing.
      if (virtual < IMAGE || virtual >= IMAGE + imageSize) return undefined;
      return { physical: imageOf(virtual), length: 4096 - Number(virtual & 4095n) };
    },
  };
}
