/** Compresses an initramfs by the name of its file, as the kernel can unpack it (lib/decompress_*.c). */
import { gzipSync } from "node:zlib";
import { filter } from "./tools.ts";

const COMPRESSORS: readonly [suffix: string, compress: (bytes: Uint8Array) => Uint8Array][] = [
  [".zst", (bytes) => filter("compress", ["zstd", "-19", "-T0", "-qc"], bytes)],
  // The kernel knows no other checksum. Its x86 filter is there wherever CONFIG_XZ_DEC_X86 is, the default. A larger
  // dictionary is memory that the kernel takes to unpack it, and gains little: 40.8 MB instead of 41.2.
  [
    ".xz",
    (bytes) =>
      filter("compress", ["xz", "-c", "-T1", "--check=crc32", "--x86", "--lzma2=preset=9e,dict=1MiB"], bytes),
  ],
  [".gz", (bytes) => gzipSync(bytes, { level: 9 })],
];

/** The archive as it goes into `path`: .zst, .xz and .gz are compressed, anything else is not. */
export function compressFor(path: string, archive: Uint8Array): Uint8Array {
  return compressorFor(path)?.(archive) ?? archive;
}

export function isCompressed(path: string): boolean {
  return compressorFor(path) !== undefined;
}

function compressorFor(path: string): ((bytes: Uint8Array) => Uint8Array) | undefined {
  return COMPRESSORS.find(([suffix]) => path.endsWith(suffix))?.[1];
}
