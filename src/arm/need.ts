/**
 * How much memory a crash kernel needs. The largest of three moments counts: the initramfs is unpacked, and is there
 * twice; the root file system is a tmpfs, and half of the memory has to hold it; vmcopy works.
 *
 * The figures are of x86_64. test/arm/need.test.ts holds them against what was measured to work and to fail.
 */

const MiB = 1024 * 1024;

/** Beside the kernel's own image: page tables, slabs, per-processor data, devices, and what is kept free. */
const KERNEL_WORKS = 24 * MiB;
/** The same while the root file system is mounted, when hardly anything has been started. */
const KERNEL_STARTS = 4 * MiB;
/** Anonymous memory of a capture at dump level 31; the program's text is in the initramfs, or can be read again. */
const CAPTURE = 36 * MiB;
/** Of 4096 bytes each, 64 are taken by its struct page. */
const USABLE = 63 / 64;
/** What is recommended is a multiple of this. */
const STEP = 16 * MiB;

export interface Load {
  /** bytes of the kernel in memory, with its bss */
  readonly kernel: number;
  /** bytes of the initramfs's file */
  readonly packed: number;
  /** bytes of memory that its content takes */
  readonly unpacked: number;
  readonly rootfs: "ramfs" | "tmpfs";
}

/** Bytes of crashkernel= that are enough, a multiple of 16 MiB. */
export function neededBytes({ kernel, packed, unpacked, rootfs }: Load): number {
  const moments = [
    kernel + KERNEL_WORKS + packed + unpacked,
    kernel + KERNEL_WORKS + unpacked + CAPTURE,
    rootfs === "tmpfs" ? kernel + KERNEL_STARTS + packed + 2 * unpacked : 0,
  ];
  return Math.ceil(Math.max(...moments) / USABLE / STEP) * STEP;
}
