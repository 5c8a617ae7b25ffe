/**
 * Where the pretended kernel has its variables, and what VMCOREINFO says of its structures.
 *
 * The offsets are those of Debian's 6.1.192 cloud kernel for x86_64, read from its VMCOREINFO note. A smaller
 * image than that kernel's has them closer together, page by page, so that each still lies inside it.
 */
import { FULL_IMAGE_PAGES, type Machine, PAGE } from "./plan.ts";

/** Bytes from _stext in the real kernel. */
const OFFSETS = {
  _stext: 0x0,
  kallsyms_offsets: 0x11200b0,
  kallsyms_relative_base: 0x1175580,
  kallsyms_num_syms: 0x1175588,
  kallsyms_names: 0x1175590,
  kallsyms_token_table: 0x12c9d08,
  kallsyms_token_index: 0x12ca0a0,
  init_top_pgt: 0x1a10000,
  vmap_area_list: 0x1b5a230,
  init_uts_ns: 0x1bf9b60,
  node_data: 0x1c368e0,
  node_online_map: 0x1c3b480,
  clear_seq: 0x2316480,
} as const;

export type KernelSymbol = keyof typeof OFFSETS;

/** A symbol's place in the pretended kernel. */
export interface SymbolPlace {
  readonly virtualAddress: bigint;
  readonly pfn: number;
  /** bytes into that page */
  readonly offset: number;
}

export function locate(machine: Machine, symbol: KernelSymbol): SymbolPlace {
  const real = OFFSETS[symbol];
  const page = Math.floor((Math.floor(real / PAGE) * machine.kernel.pages) / FULL_IMAGE_PAGES);
  const offset = real % PAGE;
  return {
    virtualAddress: machine.kernel.virtualAddress + BigInt(page * PAGE + offset),
    pfn: machine.kernel.firstPfn + page,
    offset,
  };
}

/** The release the pretended kernel gives itself: 6.1's layouts, and a name no distribution has. */
export const RELEASE = "6.1.0-sample-amd64";

/** When it crashed, in seconds since 1970: one fixed moment, for the same bytes every time. */
export const CRASH_TIME = 1_700_000_000;
