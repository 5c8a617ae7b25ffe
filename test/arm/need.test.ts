/**
 * The estimate of crashkernel= against boots: reserved memory in steps of 16 MiB, the least with which a capture kernel did
 * its work, in a guest of 1 GiB under qemu. Debian's cloud kernel 6.1.192-2 with its modules, and the lab's own 6.12 with all
 * drivers built in; with busybox and a few modules beside the program, unless said.
 *
 * The rows of `vmcopy capture` can be repeated (--from-disk, --kernel): npm run lab -- --crashkernel SIZE --run "vmcopy
 * capture --to /out/crash". The others are of the runtime alone, the program that vmcopy is built on, doing a little.
 */
import { describe, expect, it } from "bun:test";
import { type Load, neededBytes } from "../../src/arm/need.ts";

const MiB = 1024 * 1024;
const MB = 1e6;
/** init_size of the two kernels. */
const CLOUD = 53_968_896;
const LAB = 17_014_784;
/** The program of 107.4 MB with its libraries (2.9), busybox (2.0) and modules (0.6). */
const TREE = 112.9 * MB;

type Measured = [
  what: string,
  kernel: number,
  packed: number,
  unpacked: number,
  rootfs: Load["rootfs"],
  least: number,
];

const MEASURED: Measured[] = [
  // 16 MiB less, each of these two ends out of memory while the initramfs is unpacked.
  ["vmcopy capture, cloud, all in a zstd initramfs", CLOUD, 56.3 * MiB, 108.6 * MiB, "ramfs", 240],
  ["vmcopy capture, 6.12, all in a zstd initramfs", LAB, 56.3 * MiB, 108.2 * MiB, "ramfs", 208],
  // 80M: no end within 4 minutes, as the program's text is read again and again.
  ["vmcopy capture, cloud, the program on a disk", CLOUD, 1.2 * MiB, 2.5 * MiB, "ramfs", 96],
  ["all in a zstd initramfs of 52.9 MB, tmpfs", CLOUD, 52.9 * MB, TREE, "tmpfs", 320],
  ["all in an xz initramfs of 40.9 MB, tmpfs", CLOUD, 40.9 * MB, TREE, "tmpfs", 320],
  ["all in a zstd initramfs of 52.9 MB, ramfs", CLOUD, 52.9 * MB, TREE, "ramfs", 240],
  ["all in an xz initramfs of 40.9 MB, ramfs", CLOUD, 40.9 * MB, TREE, "ramfs", 240],
  ["a squashfs of 47.7 MB in an initramfs of 54.8 MB, tmpfs", CLOUD, 54.8 * MB, 54.8 * MB, "tmpfs", 208],
  ["a squashfs of 47.7 MB in an initramfs of 54.8 MB, ramfs", CLOUD, 54.8 * MB, 54.8 * MB, "ramfs", 176],
  ["a squashfs of the program on a disk, an initramfs of 2.8 MB", CLOUD, 2.8 * MB, 5.5 * MB, "ramfs", 96],
  ["nothing but the program, zstd, 52 MB", LAB, 52 * MB, 112 * MB, "ramfs", 192],
  ["nothing but the program, xz, 40.7 MB", LAB, 40.7 * MB, 112 * MB, "ramfs", 192],
];
/** What an estimate may be above the least that works, in MiB. */
const MOST_ABOVE = 32;

describe("crashkernel= that is enough", () => {
  it.each(MEASURED)("%s", (_what, kernel, packed, unpacked, rootfs, least) => {
    const needed = neededBytes({ kernel, packed, unpacked, rootfs }) / MiB;
    expect(needed).toBeGreaterThanOrEqual(least);
    expect(needed).toBeLessThanOrEqual(least + MOST_ABOVE);
    expect(needed % 16).toBe(0);
  });

  it("more of anything never needs less", () => {
    const load: Load = { kernel: CLOUD, packed: 20 * MB, unpacked: 50 * MB, rootfs: "ramfs" };
    const needed = neededBytes(load);
    for (const more of ["kernel", "packed", "unpacked"] as const)
      expect(neededBytes({ ...load, [more]: load[more] + 40 * MB })).toBeGreaterThan(needed);
  });
});
