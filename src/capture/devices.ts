/**
 * Block devices by what is on them, since a capture kernel may number disks otherwise than the kernel that died:
 * `UUID=` and `LABEL=` of an ext2/3/4, XFS or Btrfs file system, `PARTLABEL=` of a GPT partition. No udev is needed,
 * and /sys for PARTLABEL alone.
 *
 * Sources: fs/ext4/ext4.h (struct ext4_super_block), fs/xfs/libxfs/xfs_format.h (struct xfs_dsb),
 * include/uapi/linux/btrfs_tree.h (struct btrfs_super_block).
 */
import { readFileSync } from "node:fs";
import { LibcError } from "../../ffi/errno.ts";
import { File } from "../../ffi/file.ts";
import type { Libc } from "../../ffi/libc.ts";
import { Mapping } from "../../ffi/mapping.ts";

const TAG = /^(UUID|LABEL|PARTLABEL)=([^:/]+)$/;
const UUID_BYTES = 16;
const BTRFS_AT = 0x10000;

/** Where superblocks have what, in bytes; UUID and label from the superblock's start. */
const SUPERBLOCKS = [
  { at: 1024, magicAt: 0x38, magic: "\x53\xef", uuid: 0x68, label: 0x78, labelBytes: 16 },
  { at: 0, magicAt: 0, magic: "XFSB", uuid: 32, label: 108, labelBytes: 12 },
  { at: BTRFS_AT, magicAt: 0x40, magic: "_BHRfS_M", uuid: 0x20, label: 0x12b, labelBytes: 256 },
] as const;
/** A superblock's part that is looked at. */
const LOOKED_AT = 1024;

/** Whether a device is named by what is on it. */
export function isTag(device: string): boolean {
  return TAG.test(device);
}

/** @returns the path of the first device that is named so, undefined where there is none (yet) */
export function findTagged(libc: Libc, tag: string): string | undefined {
  const [, kind = "", value = ""] = TAG.exec(tag) ?? [];
  return blockDevices().find((path) =>
    kind === "PARTLABEL" ? partitionLabel(path) === value : hasFileSystem(libc, path, kind, value),
  );
}

/** Those that the kernel knows, arrays and mapped ones first: what they are made of looks the same. */
function blockDevices(): string[] {
  const names = readFileSync("/proc/partitions", "utf8")
    .split("\n")
    .flatMap((line) => /^ *\d+ +\d+ +\d+ (\S+)$/.exec(line)?.[1] ?? []);
  const isMade = (name: string) => /^(md|dm-)\d/.test(name);
  return [...names.filter(isMade), ...names.filter((name) => !isMade(name))].map((name) => `/dev/${name}`);
}

function partitionLabel(path: string): string | undefined {
  try {
    const facts = readFileSync(`/sys/class/block/${path.slice("/dev/".length)}/uevent`, "utf8");
    return /^PARTNAME=(.*)$/m.exec(facts)?.[1];
  } catch {
    return undefined;
  }
}

function hasFileSystem(libc: Libc, path: string, kind: string, value: string): boolean {
  try {
    using file = File.open(libc, path);
    using page = Mapping.buffer(libc, LOOKED_AT);
    return SUPERBLOCKS.some(({ at, magicAt, magic, uuid, label, labelBytes }) => {
      const bytes = page.bytes(0, file.pread(page.address, LOOKED_AT, at));
      const text = (from: number, length: number) =>
        String.fromCharCode(...bytes.subarray(from, from + length));
      if (text(magicAt, magic.length) !== magic) return false;
      if (kind === "UUID")
        return bytes.subarray(uuid, uuid + UUID_BYTES).toHex() === value.toLowerCase().replaceAll("-", "");
      const name = bytes.subarray(label, label + labelBytes);
      const end = name.indexOf(0);
      return new TextDecoder().decode(end === -1 ? name : name.subarray(0, end)) === value;
    });
  } catch (error) {
    // A drive without a disk, a part of an array: none that could be mounted.
    if (error instanceof LibcError) return false;
    throw error;
  }
}
