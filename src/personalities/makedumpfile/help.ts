/** `makedumpfile -h` and `-v`, of vmcopy in its place. */
import { VERSION } from "../../version.ts";

/** The release whose options these are; what reads a version reads this one. */
const RELEASE = "1.7.2";

export const VERSION_LINES = [
  `makedumpfile: version ${RELEASE} (its options; the program is vmcopy ${VERSION})`,
  "lzo\tenabled",
  "snappy\tenabled",
  "zstd\tenabled",
  "",
];

export const HELP_LINES = [
  "",
  "LZO support:",
  "  enabled",
  "snappy support:",
  "  enabled",
  "zstd support:",
  "  enabled",
  "",
  `vmcopy ${VERSION} in place of makedumpfile. How it is called:`,
  "  makedumpfile [-c|-l|-p|-z|-E] [-d LEVEL[,LEVEL]] VMCORE DUMPFILE     write a dump",
  "  makedumpfile -F [-c|-l|-p|-z|-E] [-d LEVEL] VMCORE                   flattened, to standard output",
  "  makedumpfile -R DUMPFILE                                             make a dump of a flattened one",
  "  makedumpfile --split [OPTIONS] VMCORE DUMPFILE1 DUMPFILE2 [...]      write a split set",
  "  makedumpfile --reassemble DUMPFILE1 [...] DUMPFILE                   make one dump of a split set",
  "  makedumpfile --dump-dmesg VMCORE LOGFILE                             the kernel's log; with -F to standard output",
  "",
  "What is written:",
  "  -c, -l, -p, -z          pages compressed by zlib, LZO, snappy, zstd (with its checksum)",
  "  -E                      a filtered ELF file, its pages as they are",
  "  -d LEVEL[,LEVEL]        leave out: 1 zero pages, 2 page cache, 4 page cache with private data too, 8 user pages,",
  "                          16 free pages; the next level is taken where the dump does not fit",
  "  -L SIZE                 at most so many bytes",
  "  -f                      replace what has the name already",
  "  --num-threads N         compress on so many threads; at most one a processor, and what half of the free",
  "                          memory has room for",
  "  --partial-dmesg         with --dump-dmesg: only what came after the log was cleared",
  "  --dry-run               do all of it but write",
  "  --check-params          check the command line, and do nothing",
  "What is said:",
  "  --message-level N       the sum of 1 progress, 2 common messages, 4 errors, 8 debugging, 16 report (default 7)",
  "  --show-stats            16, the report;  -D: 8, debugging",
  "  -v, -h                  version; this help",
  "How it is done:",
  "  --non-mmap              read the vmcore by read(2)",
  "  --cyclic-buffer KB      memory for the filter",
  "Taken and not needed, as VMCOREINFO is in the vmcore and nothing is kept on a disk meanwhile:",
  "  -x VMLINUX, -i VMCOREINFO, -e, -b ORDER, --splitblock-size KB, --work-dir DIR",
  "Not supported: -g, -X, --xen-syms, --xen-vmcoreinfo, --xen_phys_start, --config, --eppic, --extension, --diskset,",
  "  --vtop, --mem-usage",
  "",
  "A dump is written as DUMPFILE.incomplete, synced, and gets its name when it is whole. There is no manifest beside it:",
  "vmcopy copy writes one. Exit codes: 0 done, 1 failed, 2 VMCOREINFO (-i) is of another kernel.",
  "",
];
