/**
 * The program as a squashfs: compressed in memory or on a disk for as long as it runs, and only what it touches is
 * unpacked, a block at a time, into page cache that the kernel may drop.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { filter } from "./tools.ts";

export const CODECS = ["xz", "zstd"] as const;
export type Codec = (typeof CODECS)[number];

/** KiB; the kernel unpacks a whole block to give one page of it. */
export const BLOCK_SIZES = [64, 128, 256, 512, 1024] as const;

const OPTIONS: Record<Codec, readonly string[]> = {
  // The x86 filter where it makes a block smaller. It has to be in the kernel: CONFIG_XZ_DEC_X86, the default.
  xz: ["-comp", "xz", "-Xbcj", "x86", "-Xdict-size", "100%"],
  zstd: ["-comp", "zstd", "-Xcompression-level", "19"],
};

/** An image whose root holds one file, `vmcopy`. Equal programs make equal images. */
export function squashfs(program: string, codec: Codec, blockKiB: number): Uint8Array {
  const directory = mkdtempSync(join(tmpdir(), "vmcopy-squashfs-"));
  try {
    const image = join(directory, "image");
    const time = ["-mkfs-time", "0", "-all-time", "0"];
    const plain = ["-all-root", "-no-xattrs", "-no-exports", "-noappend", "-quiet", "-no-progress"];
    const pseudo = ["-p", "/ d 755 0 0", "-p", `vmcopy f 755 0 0 cat ${quoted(program)}`];
    const source = join(directory, "root");
    mkdirSync(source);
    filter("make a squashfs", [
      ...["mksquashfs", source, image, ...OPTIONS[codec], "-b", `${blockKiB}K`],
      ...time,
      ...plain,
      ...pseudo,
    ]);
    return readFileSync(image);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function quoted(path: string): string {
  return `'${path.replaceAll("'", `'\\''`)}'`;
}
