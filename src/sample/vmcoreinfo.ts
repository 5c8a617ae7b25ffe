/**
 * The VMCOREINFO text of the pretended kernel: the keys that Debian's 6.1 exports, in its order, with its sizes
 * and offsets (read from the note of 6.1.192 cloud, x86_64), and this machine's addresses.
 */
import type { Machine } from "./plan.ts";
import { Random } from "./random.ts";
import { CRASH_TIME, type KernelSymbol, locate, RELEASE } from "./symbols.ts";

/** Lines between the symbols; nothing in them depends on the machine. */
const MEMORY_MODEL = `LENGTH(mem_section)=2048
SIZE(mem_section)=16
OFFSET(mem_section.section_mem_map)=0
NUMBER(SECTION_SIZE_BITS)=27
NUMBER(MAX_PHYSMEM_BITS)=46
SIZE(page)=64
SIZE(pglist_data)=174208
SIZE(zone)=1536
SIZE(free_area)=88
SIZE(list_head)=16
SIZE(nodemask_t)=128
OFFSET(page.flags)=0
OFFSET(page._refcount)=52
OFFSET(page.mapping)=24
OFFSET(page.lru)=8
OFFSET(page._mapcount)=48
OFFSET(page.private)=40
OFFSET(page.compound_dtor)=16
OFFSET(page.compound_order)=17
OFFSET(page.compound_head)=8
OFFSET(pglist_data.node_zones)=0
OFFSET(pglist_data.nr_zones)=171552
OFFSET(pglist_data.node_start_pfn)=171560
OFFSET(pglist_data.node_spanned_pages)=171576
OFFSET(pglist_data.node_id)=171584
OFFSET(zone.free_area)=256
OFFSET(zone.vm_stat)=1344
OFFSET(zone.spanned_pages)=144
OFFSET(free_area.free_list)=0
OFFSET(list_head.next)=0
OFFSET(list_head.prev)=8
OFFSET(vmap_area.va_start)=0
OFFSET(vmap_area.list)=40
LENGTH(zone.free_area)=11`;
const PRINTK = `SIZE(printk_ringbuffer)=88
OFFSET(printk_ringbuffer.desc_ring)=0
OFFSET(printk_ringbuffer.text_data_ring)=48
OFFSET(printk_ringbuffer.fail)=80
SIZE(prb_desc_ring)=48
OFFSET(prb_desc_ring.count_bits)=0
OFFSET(prb_desc_ring.descs)=8
OFFSET(prb_desc_ring.infos)=16
OFFSET(prb_desc_ring.head_id)=24
OFFSET(prb_desc_ring.tail_id)=32
SIZE(prb_desc)=24
OFFSET(prb_desc.state_var)=0
OFFSET(prb_desc.text_blk_lpos)=8
SIZE(prb_data_blk_lpos)=16
OFFSET(prb_data_blk_lpos.begin)=0
OFFSET(prb_data_blk_lpos.next)=8
SIZE(printk_info)=88
OFFSET(printk_info.seq)=0
OFFSET(printk_info.ts_nsec)=8
OFFSET(printk_info.text_len)=16
OFFSET(printk_info.caller_id)=20
OFFSET(printk_info.dev_info)=24
SIZE(dev_printk_info)=64
OFFSET(dev_printk_info.subsystem)=0
LENGTH(printk_info_subsystem)=16
OFFSET(dev_printk_info.device)=16
LENGTH(printk_info_device)=48
SIZE(prb_data_ring)=32
OFFSET(prb_data_ring.size_bits)=0
OFFSET(prb_data_ring.data)=8
OFFSET(prb_data_ring.head_lpos)=16
OFFSET(prb_data_ring.tail_lpos)=24
SIZE(atomic_long_t)=8
OFFSET(atomic_long_t.counter)=0
SIZE(latched_seq)=24
OFFSET(latched_seq.val)=8`;
const PAGE_FLAGS = `LENGTH(free_area.free_list)=5
NUMBER(NR_FREE_PAGES)=0
NUMBER(PG_lru)=4
NUMBER(PG_private)=13
NUMBER(PG_swapcache)=10
NUMBER(PG_swapbacked)=19
NUMBER(PG_slab)=9
NUMBER(PG_head_mask)=65536
NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-129
NUMBER(HUGETLB_PAGE_DTOR)=2
NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)=-257`;

/**
 * @param memSection virtual address of the array of section roots, which the symbol holds
 * @param log virtual addresses of the printk ring and of the pointer to it
 * @returns the text, lines ended by newlines
 */
export function sampleVmcoreinfo(
  machine: Machine,
  memSection: bigint,
  log: { prb: bigint; ring: bigint },
): string {
  const symbol = (name: KernelSymbol) =>
    `SYMBOL(${name})=${locate(machine, name).virtualAddress.toString(16)}`;
  const page = locate(machine, "init_top_pgt").virtualAddress.toString(16);
  const lines = [
    `OSRELEASE=${RELEASE}`,
    `BUILD-ID=${buildId(machine.seed)}`,
    "PAGESIZE=4096",
    symbol("init_uts_ns"),
    "OFFSET(uts_namespace.name)=0",
    symbol("node_online_map"),
    `SYMBOL(swapper_pg_dir)=${page}`,
    symbol("_stext"),
    symbol("vmap_area_list"),
    `SYMBOL(mem_section)=${memSection.toString(16)}`,
    MEMORY_MODEL,
    `SYMBOL(prb)=${log.prb.toString(16)}`,
    `SYMBOL(printk_rb_static)=${log.ring.toString(16)}`,
    symbol("clear_seq"),
    PRINTK,
    PAGE_FLAGS,
    symbol("kallsyms_names"),
    symbol("kallsyms_num_syms"),
    symbol("kallsyms_token_table"),
    symbol("kallsyms_token_index"),
    symbol("kallsyms_offsets"),
    symbol("kallsyms_relative_base"),
    `NUMBER(phys_base)=${machine.kernel.physBase}`,
    `SYMBOL(init_top_pgt)=${page}`,
    "NUMBER(pgtable_l5_enabled)=0",
    symbol("node_data"),
    "LENGTH(node_data)=1024",
    `KERNELOFFSET=${machine.kernel.offset.toString(16)}`,
    "NUMBER(KERNEL_IMAGE_SIZE)=1073741824",
    "NUMBER(sme_mask)=0",
    `CRASHTIME=${CRASH_TIME}`,
  ];
  return `${lines.join("\n")}\n`;
}

/** 20 bytes, different for each seed: no real kernel's debug information is taken for this one's. */
function buildId(seed: number): string {
  const random = new Random(seed, 0, 7);
  return Array.from({ length: 5 }, () => random.next().toString(16).padStart(8, "0")).join("");
}
