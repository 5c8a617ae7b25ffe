/** The Debian packages that the tests use beside Bun: installed where that can be done, named where it cannot. */
import { spawnSync } from "node:child_process";
import { missingBuildPackages } from "../kernel/build.ts";
import { findProgram } from "./lab/run.ts";

/** Package by the program that shows it is there. */
const PACKAGES: Record<string, string> = {
  "qemu-system-x86_64": "qemu-system-x86",
  kexec: "kexec-tools",
  busybox: "busybox-static",
  mke2fs: "e2fsprogs",
  debugfs: "e2fsprogs",
  makedumpfile: "makedumpfile",
  crash: "crash",
  drgn: "python3-drgn",
  "mkfs.xfs": "xfsprogs",
  "mkfs.btrfs": "btrfs-progs",
  sfdisk: "fdisk",
  mksquashfs: "squashfs-tools",
  zstd: "zstd",
  xz: "xz-utils",
  lz4: "lz4",
  dracut: "dracut-core",
  // One of dracut's initramfs images in the lab has it.
  systemctl: "systemd",
  mkinitramfs: "initramfs-tools-core",
  readelf: "binutils",
  gcc: "gcc",
  losetup: "mount",
  unshare: "util-linux",
  cmp: "diffutils",
  mmdebstrap: "mmdebstrap",
  depmod: "kmod",
};

/** Packages whose programs are missing. */
export function missingPackages(): string[] {
  const missing = Object.entries(PACKAGES).filter(([program]) => findProgram(program) === null);
  return [...new Set([...missing.map(([, name]) => name), ...missingBuildPackages()])];
}

/**
 * Installs what is missing, where this is root on a Debian system.
 *
 * @returns what is still missing
 */
export function installPackages(): string[] {
  const missing = missingPackages();
  if (missing.length === 0 || process.getuid?.() !== 0 || findProgram("apt-get") === null) return missing;
  console.log(`installing ${missing.join(" ")}`);
  const environment = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const apt = (...args: string[]) =>
    spawnSync("apt-get", ["-qq", ...args], { stdio: ["ignore", "ignore", "inherit"], env: environment });
  apt("update");
  // gcc alone brings no headers.
  const wanted = missing.includes("gcc") ? [...missing, "libc6-dev"] : missing;
  apt("install", "-y", "--no-install-recommends", ...wanted);
  return missingPackages();
}
