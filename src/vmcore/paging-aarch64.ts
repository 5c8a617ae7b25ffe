/**
 * aarch64 page tables with pages of 4, 16 or 64 KiB and virtual addresses of 36 to 52 bits (Arm ARM, chapter D8,
 * "The AArch64 Virtual Memory System Architecture"), from what VMCOREINFO exports
 * (arch/arm64/kernel/vmcore_info.c).
 */
import { VmcopyError } from "../errors.ts";
import type { Paging, ReadEntry, Stretch } from "./paging.ts";
import type { Vmcoreinfo } from "./vmcoreinfo.ts";

const VALID = 1n;
/** A table where there can be one, a page at the last level; without it, a block. */
const TABLE = 2n;
const MASK_64 = (1n << 64n) - 1n;

/** @throws VmcopyError E_UNSUPPORTED naming what VMCOREINFO lacks */
export function pagingAarch64(info: Vmcoreinfo): Paging {
  const need = <Value>(value: Value | undefined, key: string): Value => {
    if (value !== undefined) return value;
    throw new VmcopyError("E_UNSUPPORTED", `Cannot translate addresses: VMCOREINFO has no ${key}`);
  };
  const pageSize = BigInt(need(info.pageSize, "PAGESIZE"));
  const builtFor = need(info.number("VA_BITS"), "NUMBER(VA_BITS)");
  const t1sz = info.number("TCR_EL1_T1SZ");
  // A kernel built for 52 bits runs with 48 where the processor has no more.
  const bits = t1sz === undefined ? builtFor : 64n - t1sz;
  if (bits < 25n || bits > 52n) {
    throw new VmcopyError("E_UNSUPPORTED", `Cannot translate addresses: virtual addresses of ${bits} bits`);
  }
  const physOffset = need(info.number("PHYS_OFFSET"), "NUMBER(PHYS_OFFSET)");
  const imageOffset = info.number("kimage_voffset");
  const text = info.symbol("_stext");
  const directory = need(info.symbol("swapper_pg_dir"), "SYMBOL(swapper_pg_dir)");
  const isFlipped =
    text === undefined || text > MASK_64 + 1n - (1n << ((builtFor < 48n ? builtFor : 48n) - 1n));
  const pageOffset = MASK_64 + 1n - (1n << (isFlipped ? bits : bits - 1n));
  const highHalf = 1n << (bits - 1n);
  const top = MASK_64 + 1n - (1n << bits);
  // Linux 5.4 (14c127c957c1) put the linear map into the lower half of the kernel's addresses.
  const isLinear = (virtual: bigint) => virtual >= top && ((virtual & highHalf) === 0n) === isFlipped;

  const linear = (virtual: bigint) => (virtual & ~pageOffset & MASK_64) + physOffset;
  const image = (virtual: bigint) =>
    imageOffset === undefined ? undefined : BigInt.asUintN(64, virtual - BigInt.asUintN(64, imageOffset));
  const root = isLinear(directory) ? linear(directory) : need(image(directory), "NUMBER(kimage_voffset)");

  const pageShift = BigInt(Math.log2(Number(pageSize)));
  const perLevel = pageShift - 3n;
  const levels = (bits - pageShift + perLevel - 1n) / perLevel;
  const physicalBits = info.number("MAX_PHYSMEM_BITS") ?? 48n;
  const addressOf = outputAddress(pageSize, pageShift, bits, physicalBits);

  return {
    translate(virtual: bigint, readEntry: ReadEntry): Stretch | undefined {
      if (virtual < top) return undefined;
      if (isLinear(virtual)) {
        return { physical: linear(virtual), length: Number(pageSize - (virtual & (pageSize - 1n))) };
      }
      let table = root;
      for (let level = levels; level > 0n; level--) {
        const shift = pageShift + perLevel * (level - 1n);
        // The first table may be smaller than a page: it has the bits that are left.
        const width = level === levels ? bits - shift : perLevel;
        const index = (virtual >> shift) & ((1n << width) - 1n);
        const entry = readEntry(table + index * 8n);
        if (entry === undefined || (entry & VALID) === 0n) return undefined;
        const isTable = (entry & TABLE) !== 0n;
        if (level === 1n ? !isTable : isTable) {
          if (level === 1n) return undefined;
          table = addressOf(entry);
          continue;
        }
        const size = 1n << shift;
        const inside = virtual & (size - 1n);
        return { physical: (addressOf(entry) & ~(size - 1n)) | inside, length: Number(size - inside) };
      }
      return undefined;
    },
  };
}

/**
 * The physical address in an entry. With 52-bit addresses its top bits stand elsewhere: for 64 KiB pages bits 51 to
 * 48 in bits 15 to 12; with LPA2 (4 and 16 KiB) bits 51 and 50 in bits 9 and 8.
 */
function outputAddress(
  pageSize: bigint,
  pageShift: bigint,
  virtualBits: bigint,
  physicalBits: bigint,
): (entry: bigint) => bigint {
  const field = (high: bigint) => ((1n << high) - 1n) & ~((1n << pageShift) - 1n);
  if (pageSize === 65_536n) {
    if (physicalBits <= 48n) return (entry) => entry & field(48n);
    return (entry) => (entry & field(48n)) | (((entry >> 12n) & 15n) << 48n);
  }
  // The processor has LPA2 where the kernel runs with more than 48 bits of virtual addresses.
  if (physicalBits <= 48n || virtualBits <= 48n) return (entry) => entry & field(48n);
  return (entry) => (entry & field(50n)) | (((entry >> 8n) & 3n) << 50n);
}
