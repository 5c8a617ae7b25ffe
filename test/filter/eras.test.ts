// Struct pages of each era of the kernel, made by hand, and what the filter takes each for at each level.
import { describe, expect, it } from "bun:test";
import { Classifier } from "../../src/filter/classify.ts";
import type { PageCounts } from "../../src/filter/counts.ts";
import { pageLayout } from "../../src/filter/page-layout.ts";
import { setBits } from "../../src/vmcore/pfn-bits.ts";
import { Vmcoreinfo } from "../../src/vmcore/vmcoreinfo.ts";
import { libc } from "../support/files.ts";

const SIZE = 64;
/** Members of struct page on x86_64, bytes. */
const AT = { flags: 0, compoundHead: 8, mapping: 24, private: 40, mapcount: 48, refcount: 52 };
/** Flag numbers of 6.1. */
const BIT = { lru: 4, slab: 9, swapcache: 10, private: 13, head: 16, swapbacked: 19, hwpoison: 23 };

interface Era {
  readonly name: string;
  readonly keys: Record<string, string | number>;
  /** _mapcount of a page of that type */
  readonly buddy: number;
  readonly offline: number;
  readonly slab: { flag: true } | { type: number };
  readonly hugetlb: { dtorAt: number; value: number } | { flag: number } | { type: number };
  /** byte of the second struct page */
  readonly orderAt: number;
  readonly unaccepted?: number;
}

const COMMON = {
  "SIZE(page)": SIZE,
  "OFFSET(page.flags)": AT.flags,
  "OFFSET(page.mapping)": AT.mapping,
  "OFFSET(page._mapcount)": AT.mapcount,
  "OFFSET(page.private)": AT.private,
  "NUMBER(PG_lru)": BIT.lru,
  "NUMBER(PG_private)": BIT.private,
  "NUMBER(PG_swapcache)": BIT.swapcache,
  "NUMBER(PG_swapbacked)": BIT.swapbacked,
  "NUMBER(PG_head_mask)": 1 << BIT.head,
  "NUMBER(PG_hwpoison)": BIT.hwpoison,
  "LENGTH(zone.free_area)": 11,
};
const OLD_HEAD = { "OFFSET(page.compound_head)": AT.compoundHead };
const SLAB_FLAG = { "NUMBER(PG_slab)": BIT.slab };
const TYPES_OLD = { "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)": -129, "NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)": -257 };
const topByte = (type: number) => (type << 24) | 0;
const TYPES_NEW = {
  "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)": 0xf0000000,
  "NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)": 0xf1000000,
  "NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)": 0xf5000000,
  "NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)": 0xf4000000,
};
const NEW = {
  buddy: topByte(0xf0),
  offline: topByte(0xf1),
  slab: { type: topByte(0xf5) },
  hugetlb: { type: topByte(0xf4) },
  orderAt: 0,
} as const;
const OLD = { buddy: -129, offline: -257, slab: { flag: true } } as const;

const ERAS: Era[] = [
  {
    name: "4.18 to 6.2",
    keys: {
      ...OLD_HEAD,
      ...SLAB_FLAG,
      ...TYPES_OLD,
      "OFFSET(page.compound_dtor)": 16,
      "OFFSET(page.compound_order)": 17,
      "NUMBER(HUGETLB_PAGE_DTOR)": 2,
    },
    ...OLD,
    hugetlb: { dtorAt: 16, value: 2 },
    orderAt: 17,
  },
  {
    name: "6.3 to 6.5",
    keys: {
      ...OLD_HEAD,
      ...SLAB_FLAG,
      ...TYPES_OLD,
      "OFFSET(folio._folio_dtor)": SIZE + 16,
      "OFFSET(folio._folio_order)": SIZE + 17,
      "NUMBER(HUGETLB_PAGE_DTOR)": 2,
    },
    ...OLD,
    hugetlb: { dtorAt: 16, value: 2 },
    orderAt: 17,
  },
  {
    name: "6.6 to 6.8",
    keys: { ...OLD_HEAD, ...SLAB_FLAG, ...TYPES_OLD, "NUMBER(PG_hugetlb)": 8 },
    ...OLD,
    hugetlb: { flag: 8 },
    orderAt: 0,
  },
  {
    name: "6.9",
    keys: { ...OLD_HEAD, ...SLAB_FLAG, ...TYPES_OLD, "NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)": -2049 },
    ...OLD,
    hugetlb: { type: -2049 },
    orderAt: 0,
  },
  {
    name: "6.10 and 6.11",
    keys: {
      ...OLD_HEAD,
      ...TYPES_OLD,
      "NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)": -4097,
      "NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)": -2049,
    },
    ...OLD,
    slab: { type: -4097 },
    hugetlb: { type: -2049 },
    orderAt: 0,
  },
  { name: "6.12 on", keys: { ...OLD_HEAD, ...TYPES_NEW }, ...NEW },
  {
    name: "6.16 on",
    keys: { ...OLD_HEAD, ...TYPES_NEW, "NUMBER(PAGE_UNACCEPTED_MAPCOUNT_VALUE)": 0xf7000000 },
    ...NEW,
    unaccepted: topByte(0xf7),
  },
  {
    name: "7.1 on",
    keys: { "OFFSET(page.compound_info)": AT.compoundHead, ...TYPES_NEW },
    ...NEW,
  },
];

/** Struct pages to be filled in; PFN 0 is the first. */
class Pages {
  readonly view = new DataView(new ArrayBuffer(64 * SIZE));

  constructor(readonly era: Era) {
    for (let pfn = 0; pfn < 64; pfn++) this.view.setInt32(pfn * SIZE + AT.mapcount, -1, true);
  }

  flags(pfn: number, ...bits: number[]): void {
    const mask = bits.reduce((sum, bit) => sum | (1 << bit), this.view.getInt32(pfn * SIZE, true));
    this.view.setInt32(pfn * SIZE, mask, true);
  }

  type(pfn: number, value: number): void {
    this.view.setInt32(pfn * SIZE + AT.mapcount, value, true);
  }

  anonymous(pfn: number): void {
    this.view.setBigUint64(pfn * SIZE + AT.mapping, 0xffff_8880_0000_1001n, true);
  }

  /** A compound page: its head's flag, its tails, its order. */
  compound(pfn: number, order: number): void {
    this.flags(pfn, BIT.head);
    for (let tail = pfn + 1; tail < pfn + 2 ** order; tail++) {
      this.view.setBigUint64(tail * SIZE + AT.compoundHead, 0xffff_ea00_0000_0001n, true);
    }
    this.view.setUint8((pfn + 1) * SIZE + this.era.orderAt, order);
  }

  buddy(pfn: number, order: number): void {
    this.type(pfn, this.era.buddy);
    this.view.setBigUint64(pfn * SIZE + AT.private, BigInt(order), true);
  }

  slab(pfn: number): void {
    if ("flag" in this.era.slab) this.flags(pfn, BIT.slab);
    else this.type(pfn, this.era.slab.type);
  }

  hugetlb(pfn: number, order: number): void {
    this.compound(pfn, order);
    const { hugetlb } = this.era;
    if ("type" in hugetlb) this.type(pfn, hugetlb.type);
    else if ("flag" in hugetlb) this.flags(pfn + 1, hugetlb.flag);
    else this.view.setUint8((pfn + 1) * SIZE + hugetlb.dtorAt, hugetlb.value);
  }
}

/** One of everything. PFNs: see the comments. */
function everything(era: Era): Pages {
  const pages = new Pages(era);
  pages.buddy(0, 3); // 0-7 free
  pages.flags(8, BIT.lru); // cache
  pages.flags(9, BIT.lru, BIT.private); // cache with private data
  pages.flags(10, BIT.lru, BIT.swapbacked); // anonymous
  pages.anonymous(10);
  pages.flags(11, BIT.swapcache, BIT.swapbacked); // swap cache that is nobody's: cache
  pages.flags(12, BIT.swapcache); // not swap cache at all: kept
  pages.slab(13); // slab; what overlays page.mapping looks anonymous
  pages.anonymous(13);
  pages.flags(14, BIT.hwpoison); // poisoned
  pages.type(15, era.offline); // offline
  pages.hugetlb(16, 3); // 16-23 user
  pages.compound(24, 2); // 24-27 cache of order 2
  pages.flags(24, BIT.lru);
  pages.compound(28, 2); // 28-31 kept, but 30 is poisoned
  pages.flags(30, BIT.hwpoison);
  pages.buddy(32, 40); // no order: kept
  pages.slab(33); // a slab whose other words look like a buddy's stays
  if ("flag" in era.slab) pages.type(33, era.buddy);
  return pages;
}

type Kind = keyof Omit<PageCounts, "total" | "zero" | "unknown" | "kept">;

/** What must be left out at a level. */
function expected(level: number): Record<Kind, number[]> {
  const has = (bit: number) => (level & bit) !== 0;
  const out: Record<Kind, number[]> = {
    cache: [],
    cachePrivate: [],
    user: [],
    free: [],
    hwpoison: [14, 30],
    offline: [15],
  };
  if (has(16)) out.free = [0, 1, 2, 3, 4, 5, 6, 7];
  if (has(2) || has(4)) out.cache = [8, 11, 24, 25, 26, 27];
  if (has(4)) out.cachePrivate = [9];
  if (has(8)) out.user = [10, 16, 17, 18, 19, 20, 21, 22, 23];
  return out;
}

function classify(
  era: Era,
  pages: Pages,
  level: number,
  cuts: readonly number[],
): { counts: PageCounts; gone: number[] } {
  const info = new Vmcoreinfo(
    Object.entries({ ...COMMON, ...era.keys })
      .map(([key, value]) => `${key}=${value}\n`)
      .join(""),
  );
  const layout = pageLayout(info);
  if (layout === undefined) throw new Error("no layout");
  expect(layout.unknown).toEqual([]);
  const counts = {
    total: 64,
    zero: null,
    cache: 0,
    cachePrivate: 0,
    user: 0,
    free: 0,
    hwpoison: 0,
    offline: 0,
    unknown: 0,
    kept: 0,
  };
  const classifier = new Classifier(libc, layout, level, counts, 64);
  const bits = new Uint8Array(8);
  setBits(bits, 0, 64);
  for (const [index, start] of cuts.entries()) {
    const end = cuts[index + 1] ?? 64;
    classifier.input.set(new Uint8Array(pages.view.buffer, start * SIZE, (end - start) * SIZE));
    classifier.classify(start, end - start, bits, start);
  }
  const gone = Array.from({ length: 64 }, (_, pfn) => pfn).filter(
    (pfn) => ((bits[pfn >> 3] ?? 0) & (1 << (pfn & 7))) === 0,
  );
  return { counts, gone };
}

describe.each(ERAS.map((era) => [era.name, era] as const))("Linux %s", (_, era) => {
  it.each([0, 1, 2, 4, 8, 16, 30, 31])("level %d", (level) => {
    const out = expected(level);
    for (const cuts of [[0], [0, 4, 18, 26], Array.from({ length: 32 }, (_, index) => 2 * index)]) {
      const { counts, gone } = classify(era, everything(era), level, cuts);
      expect(gone).toEqual(
        Object.values(out)
          .flat()
          .sort((a, b) => a - b),
      );
      for (const kind of Object.keys(out) as Kind[])
        expect([kind, counts[kind]]).toEqual([kind, out[kind].length]);
    }
  });
});

it("unaccepted memory is free memory, of the largest order", () => {
  const era = ERAS.find(({ unaccepted }) => unaccepted !== undefined) as Era;
  const pages = new Pages(era);
  pages.type(0, era.unaccepted as number);
  expect(classify(era, pages, 16, [0]).counts.free).toBe(64);
  expect(classify(era, pages, 8, [0]).counts.free).toBe(0);
});

it.each([
  ["NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)", 16],
  ["OFFSET(page.mapping)", 14],
  ["NUMBER(PG_lru)", 6],
  ["LENGTH(zone.free_area)", 16],
])("without %s, the levels that need it are not told", (key, bits) => {
  const keys: Record<string, string | number> = { ...COMMON, ...OLD_HEAD, ...TYPES_NEW };
  delete keys[key];
  const text = Object.entries(keys)
    .map(([name, value]) => `${name}=${value}\n`)
    .join("");
  expect(pageLayout(new Vmcoreinfo(text))?.unknown).toContainEqual({ bits, missing: key });
});
