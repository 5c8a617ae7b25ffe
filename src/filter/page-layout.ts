/**
 * How struct page says what a page is, in the crashed kernel: all from what VMCOREINFO exports, nothing from its
 * version. A key that is missing is a feature that is not known, and pages that only it could tell are kept.
 *
 * The eras (makedumpfile's commits are in its history; the kernel's exports in kernel/vmcore_info.c):
 *
 *   slab      a flag (PG_slab) up to 6.9, a page type from 6.10 on (PAGE_SLAB_MAPCOUNT_VALUE)
 *   hugetlb   a destructor in the second struct page up to 6.5, a flag there from 6.6 to 6.8, a page type from 6.9
 *   order     a byte of the second struct page: page.compound_order up to 6.2, folio._folio_order up to 6.5, the low
 *             byte of its flags from 6.6 on
 *   types     one type a page, in the top byte of _mapcount, from 6.12 on; flags in it before; compared whole
 *   tail      bit 0 of compound_head, since 7.1 called compound_info
 */
import type { Vmcoreinfo } from "../vmcore/vmcoreinfo.ts";

/** A bit of page.flags, which is a word of 64 bits. 0: not known. */
export type FlagBit = bigint;

/** How hugetlb pages are known, at the head page. */
export type HugetlbRule =
  | { readonly by: "type"; readonly value: number }
  | { readonly by: "flag"; readonly bit: FlagBit }
  | { readonly by: "destructor"; readonly offset: number; readonly size: number; readonly value: bigint }
  | undefined;

/** Offsets in 32-bit words from a struct page's start, unless told. -1: not known. */
export interface PageLayout {
  /** bytes of struct page */
  readonly size: number;
  /** of page.flags, in bytes */
  readonly flags: number;
  readonly compoundHead: number;
  readonly mapcount: number;
  readonly mapping: number;
  readonly private: number;
  readonly head: FlagBit;
  readonly lru: FlagBit;
  readonly privateFlag: FlagBit;
  readonly swapcache: FlagBit;
  readonly swapbacked: FlagBit;
  readonly slabFlag: FlagBit;
  readonly hwpoison: FlagBit;
  /** values of _mapcount, 32 bits signed; undefined: not known */
  readonly slabType: number | undefined;
  readonly buddyType: number | undefined;
  readonly offlineType: number | undefined;
  readonly unacceptedType: number | undefined;
  readonly hugetlb: HugetlbRule;
  /** where the second struct page has the order, in bytes from its start; -1: not known */
  readonly order: number;
  /** orders of free blocks, MAX_ORDER included */
  readonly orders: number;
  /** bits of the dump level that cannot be told here, with the keys that are missing */
  readonly unknown: readonly { readonly bits: number; readonly missing: string }[];
}

/** @returns undefined where not even the flags of a page are known: nothing can be told then */
export function pageLayout(info: Vmcoreinfo): PageLayout | undefined {
  const size = info.size("page");
  const flags = info.offset("page.flags");
  if (
    size === undefined ||
    flags === undefined ||
    size < 32 ||
    size > 512 ||
    size % 8 !== 0 ||
    flags > size - 8
  ) {
    return undefined;
  }
  const inPage = (offset: number | undefined, length: number) =>
    offset !== undefined && offset % 4 === 0 && offset + length <= size ? offset / 4 : -1;
  const bit = (number: bigint | undefined): FlagBit =>
    number === undefined || number < 0n || number > 63n ? 0n : 1n << number;
  const type = (name: string) => {
    const value = info.number(`PAGE_${name}_MAPCOUNT_VALUE`);
    return value === undefined ? undefined : Number(BigInt.asIntN(32, value));
  };
  const headMask = info.number("PG_head_mask");
  const headNumber = headMask === undefined ? undefined : lowestBit(headMask);
  const mapcount = inPage(info.offset("page._mapcount"), 4);
  const typed = (name: string) => (mapcount < 0 ? undefined : type(name));
  const layout = {
    size,
    flags,
    compoundHead: inPage(info.offset("page.compound_head") ?? info.offset("page.compound_info"), 8),
    mapcount,
    mapping: inPage(info.offset("page.mapping"), 8),
    private: inPage(info.offset("page.private"), 8),
    head: bit(headNumber),
    lru: bit(info.number("PG_lru")),
    privateFlag: bit(info.number("PG_private")),
    swapcache: bit(info.number("PG_swapcache")),
    swapbacked: bit(info.number("PG_swapbacked")),
    slabFlag: bit(info.number("PG_slab")),
    hwpoison: bit(info.number("PG_hwpoison")),
    slabType: typed("SLAB"),
    buddyType: typed("BUDDY"),
    offlineType: typed("OFFLINE"),
    unacceptedType: typed("UNACCEPTED"),
    hugetlb: hugetlbRule(info, size, bit),
    order: orderOffset(info, size, flags),
    orders: info.length("zone.free_area") ?? 0,
  };
  return { ...layout, unknown: unknownBits(layout) };
}

function lowestBit(mask: bigint): bigint | undefined {
  for (let bit = 0n; bit < 64n; bit++) if ((mask >> bit) & 1n) return bit;
  return undefined;
}

function hugetlbRule(info: Vmcoreinfo, size: number, bit: (number: bigint) => FlagBit): HugetlbRule {
  const value = info.number("PAGE_HUGETLB_MAPCOUNT_VALUE");
  if (value !== undefined) return { by: "type", value: Number(BigInt.asIntN(32, value)) };
  const flag = info.number("PG_hugetlb");
  if (flag !== undefined) return { by: "flag", bit: bit(flag) };
  const folio = info.offset("folio._folio_dtor");
  const offset = folio === undefined ? info.offset("page.compound_dtor") : folio - size;
  if (offset === undefined || offset < 0 || offset >= size) return undefined;
  const destructor = info.number("HUGETLB_PAGE_DTOR");
  if (destructor !== undefined) return { by: "destructor", offset, size: 1, value: destructor };
  // Before 4.5 the destructor itself stands there.
  const symbol = info.symbol("free_huge_page");
  return symbol === undefined || offset + 8 > size
    ? undefined
    : { by: "destructor", offset, size: 8, value: symbol };
}

function orderOffset(info: Vmcoreinfo, size: number, flags: number): number {
  const folio = info.offset("folio._folio_order");
  if (folio !== undefined) return folio >= size && folio < 2 * size ? folio - size : -1;
  // From 6.6 on neither member exists, and the flags' low byte has it: x86_64 and aarch64 are little-endian.
  return info.offset("page.compound_order") ?? flags;
}

function unknownBits(layout: Omit<PageLayout, "unknown">): PageLayout["unknown"] {
  const { compoundHead, head, mapping, lru, privateFlag, buddyType, orders, hugetlb, slabFlag, slabType } =
    layout;
  const checks: [bits: number, missing: boolean, key: string][] = [
    [30, compoundHead < 0, "OFFSET(page.compound_head)"],
    [14, slabFlag === 0n && slabType === undefined, "NUMBER(PG_slab)"],
    [14, mapping < 0, "OFFSET(page.mapping)"],
    [14, head === 0n, "NUMBER(PG_head_mask)"],
    [6, lru === 0n, "NUMBER(PG_lru)"],
    [2, privateFlag === 0n, "NUMBER(PG_private)"],
    [8, hugetlb === undefined, "NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)"],
    [16, buddyType === undefined, "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)"],
    [16, layout.private < 0, "OFFSET(page.private)"],
    [16, orders === 0, "LENGTH(zone.free_area)"],
  ];
  return checks.filter(([, missing]) => missing).map(([bits, , key]) => ({ bits, missing: key }));
}
