// A Debian root file system as its installer would leave it: packages installed, their scripts run, systemd, a kernel
// with the initramfs made for it. Built once by mmdebstrap for each kernel and recipe; disks are made of copies.

import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { latest } from "./apt.ts";
import { cached, contentKey } from "./cache.ts";
import { ext4, rawDisk } from "./disks.ts";
import { debianKernel, type Kernel } from "./packages.ts";
import { findProgram, run } from "./run.ts";

const MiB = 1024 * 1024;
const SUITE = "bookworm";
const PACKAGES = ["systemd-sysv", "kdump-tools", "kexec-tools", "makedumpfile", "initramfs-tools", "zstd"];
/** Where this machine's apt has Debian from; without any mmdebstrap knows a place of its own. */
const SOURCES = ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"];
/** What nothing runs is left out. */
const UNREAD = ["man", "doc", "locale", "info"].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`);
// As an administrator would say it in /etc/initramfs-tools. The default, MODULES=most, makes kdump-tools ask for `dep`,
// for which the machine has to run that the image is for.
const DRIVERS =
  'mkdir -p "$1/etc/initramfs-tools/conf.d" && echo MODULES=list > "$1/etc/initramfs-tools/conf.d/modules" && ' +
  'printf "virtio_pci\\nvirtio_blk\\next4\\n" > "$1/etc/initramfs-tools/modules"';

/** Why no root file system can be built here, one sentence for each thing missing. */
export function rootProblems(): string[] {
  return [
    ...(findProgram("mmdebstrap") ? [] : ["mmdebstrap is missing: apt-get install mmdebstrap"]),
    ...(process.getuid?.() === 0 ? [] : ["root is needed to install Debian packages into a directory"]),
  ];
}

/** A root file system and what boots it. */
export interface DebianRoot {
  /** The directory with all its files: to be copied, not to be changed. */
  directory: string;
  /** Its kernel, the lab's Debian kernel. */
  kernel: Kernel;
  /** Paths of the kernel image in it, and of the initramfs that mounts it. */
  image: string;
  initrd: string;
}

/** The root file system with kdump-tools: about a minute and 150 MB of packages, once. */
export async function debianRoot(): Promise<DebianRoot> {
  const kernel = await debianKernel();
  const packages = [...PACKAGES, kernel.name.replace(/_.*/, "")];
  const isOfSuite = (path: string) => existsSync(path) && readFileSync(path, "utf8").includes(SUITE);
  const sources = SOURCES.filter(isOfSuite);
  const command = (target: string) => [
    ...["mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory", "--quiet"],
    ...['--aptopt=APT::Install-Recommends "false"', ...UNREAD, `--essential-hook=${DRIVERS}`],
    ...[`--include=${packages.join(",")}`, SUITE, target, ...sources],
  ];
  const { version } = await latest("kdump-tools");
  const name = `kdump-tools-${contentKey([kernel.name, version, ...command("")])}`;
  const make = async (path: string) => void (await run("install Debian", command(path)));
  const directory = await cached("roots", name, make, 2);
  const boot = (prefix: string) => {
    const file = readdirSync(join(directory, "boot")).find((entry) => entry.startsWith(prefix));
    if (!file) throw new Error(`Cannot boot the root file system: it has no boot/${prefix}* (${directory})`);
    return join(directory, "boot", file);
  };
  return { directory, kernel, image: boot("vmlinuz-"), initrd: boot("initrd.img-") };
}

/**
 * Makes a disk of a copy of the root file system.
 *
 * @param change changes the copy before the disk is made of it; it is given the copy's directory
 * @param freeMiB room that is left on the disk
 */
export async function rootDisk(
  path: string,
  root: DebianRoot,
  change: (directory: string) => Promise<void>,
  freeMiB: number,
): Promise<void> {
  const copy = `${path}.root`;
  try {
    await run("copy the root file system", ["cp", "-a", root.directory, copy]);
    await change(copy);
    const used = await run("measure the root file system", ["du", "-s", "-B", String(MiB), copy]);
    rawDisk(path, (Number.parseInt(used, 10) * 1.1 + freeMiB) * MiB);
    await run("make an ext4 image", [...ext4, "-d", copy, path]);
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}
