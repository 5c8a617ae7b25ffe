/**
 * The struct pages of the pretended kernel, as Linux 6.1 has them on x86_64 (include/linux/mm_types.h,
 * include/linux/page-flags.h): which memory is free, page cache, anonymous, slab.
 *
 * Every section of 128 MiB is used alike, so that one section's struct pages serve for all of them and a sample of
 * 1 TiB stays small: vmemmap maps the same 2 MiB again and again. What points from one struct page to another is
 * right within the first section only; whose page it is, and of what order, is right everywhere.
 */
import { ANONYMOUS, ARCHIVE, CACHE, FREE, useOf } from "./kinds.ts";
import { CHUNK_PAGES, PAGE, STRUCT_PAGE } from "./plan.ts";
import { Random } from "./random.ts";

/** Where an unmoved kernel has its array of struct pages. */
export const VMEMMAP = 0xffffea0000000000n;

// The offsets are those of VMCOREINFO.
const FLAGS_AT = 0;
const COMPOUND_HEAD_AT = 8;
const COMPOUND_DTOR_AT = 16;
const COMPOUND_ORDER_AT = 17;
const MAPPING_AT = 24;
const PRIVATE_AT = 40;
const MAPCOUNT_AT = 48;
const REFCOUNT_AT = 52;

const UPTODATE = 1 << 2;
const LRU = 1 << 4;
const SLAB = 1 << 9;
const PRIVATE = 1 << 13;
const HEAD = 1 << 16;
const SWAPBACKED = 1 << 19;
const BUDDY = -129;
/** Kinds of compound page by number, in 6.1. */
const COMPOUND_PAGE = 1;
const TRANSHUGE_PAGE = 3;
/** Bit 0 of page.mapping. */
const ANON = 1n;

/** Struct pages of memory that is the kernel's own, one page of them. */
export function kernelStructPages(): Uint8Array<ArrayBuffer> {
  const array = new StructPages(PAGE / STRUCT_PAGE);
  for (let index = 0; index < PAGE / STRUCT_PAGE; index++) array.set(index, { references: 1 });
  return array.bytes;
}

/**
 * The struct pages of a section.
 *
 * @param pages how many are wanted, from the section's first on: whole chunks
 */
export function sectionStructPages(seed: number, pages: number): Uint8Array<ArrayBuffer> {
  const array = new StructPages(pages);
  for (let chunk = 0; chunk * CHUNK_PAGES < pages; chunk++) {
    const random = new Random(seed, chunk, 9);
    const first = chunk * CHUNK_PAGES;
    const use = useOf(seed, chunk);
    // Blocks of a power of two, each at a multiple of its size, as the buddy allocator gives them.
    for (let at = 0; at < CHUNK_PAGES; ) {
      const fits = at === 0 ? 9 : Math.min(9, Math.log2(at & -at));
      const order = Math.min(fits, use === FREE ? random.below(10) : random.skewed(10));
      fillBlock(array, first + at, order, use, random);
      at += 1 << order;
    }
  }
  return array.bytes;
}

function fillBlock(
  array: StructPages,
  first: number,
  order: number,
  use: ReturnType<typeof useOf>,
  random: Random,
): void {
  const pages = 1 << order;
  // A kernel address that differs from object to object, as a mapping's does.
  const object = 0xffff888100000000n + BigInt(random.below(2 ** 20)) * 0x100n;
  if (use === FREE && random.below(8) > 0) {
    array.set(first, { mapcount: BUDDY, private: BigInt(order), references: 0 });
    for (let index = 1; index < pages; index++) array.set(first + index, { references: 0 });
  } else if (use === CACHE || use === FREE) {
    const flags = LRU | UPTODATE | (random.below(8) === 0 ? PRIVATE : 0);
    for (let index = 0; index < pages; index++) {
      array.set(first + index, { flags, mapping: object, references: 2 });
    }
  } else if (use === ARCHIVE) {
    array.compound(first, order, { flags: LRU | UPTODATE, mapping: object, references: 1 + pages });
  } else if (use === ANONYMOUS) {
    const flags = LRU | UPTODATE | SWAPBACKED;
    const page = { flags, mapping: object | ANON, mapcount: 0, references: 1 };
    if (order === 9) array.compound(first, order, page, TRANSHUGE_PAGE);
    else for (let index = 0; index < pages; index++) array.set(first + index, page);
  } else {
    array.compound(first, Math.min(order, 3), { flags: SLAB, references: 1 });
    for (let index = 8; index < pages; index += 8) {
      array.compound(first + index, 3, { flags: SLAB, references: 1 });
    }
  }
}

interface Fields {
  readonly flags?: number;
  readonly mapping?: bigint;
  readonly private?: bigint;
  readonly mapcount?: number;
  readonly references: number;
}

/** An array of struct pages. */
class StructPages {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;

  constructor(count: number) {
    this.bytes = new Uint8Array(count * STRUCT_PAGE);
    this.#view = new DataView(this.bytes.buffer);
  }

  set(
    index: number,
    { flags = 0, mapping = 0n, private: data = 0n, mapcount = -1, references }: Fields,
  ): void {
    const at = index * STRUCT_PAGE;
    this.#view.setUint32(at + FLAGS_AT, flags, true);
    this.#view.setBigUint64(at + MAPPING_AT, mapping, true);
    this.#view.setBigUint64(at + PRIVATE_AT, data, true);
    this.#view.setInt32(at + MAPCOUNT_AT, mapcount, true);
    this.#view.setInt32(at + REFCOUNT_AT, references, true);
  }

  /** A head and its tails; the order stands in the first tail. */
  compound(first: number, order: number, page: Fields, kind = COMPOUND_PAGE): void {
    if (order === 0) {
      this.set(first, page);
      return;
    }
    this.set(first, { ...page, flags: (page.flags ?? 0) | HEAD });
    const head = VMEMMAP + BigInt(first * STRUCT_PAGE);
    for (let index = 1; index < 1 << order; index++) {
      this.set(first + index, { references: 0 });
      this.#view.setBigUint64((first + index) * STRUCT_PAGE + COMPOUND_HEAD_AT, head | 1n, true);
    }
    const tail = (first + 1) * STRUCT_PAGE;
    this.#view.setUint8(tail + COMPOUND_DTOR_AT, kind);
    this.#view.setUint8(tail + COMPOUND_ORDER_AT, order);
  }
}
