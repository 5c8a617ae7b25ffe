/** Compresses an initramfs by the name of its file, as the kernel can unpack it (lib/decompress_*.c). */
import { constants, gzipSync, zstdCompressSync } from "node:zlib";
import { filter } from "./tools.ts";

const COMPRESSORS: readonly [suffix: string, compress: (bytes: Uint8Array) => Uint8Array][] = [
  [".zst", (bytes) => zstdCompressSync(bytes, { params: { [constants.ZSTD_c_compressionLevel]: 19 } })],
  // The kernel knows no other checksum. Its x86 filter is there wherever CONFIG_XZ_DEC_X86 is, the default. The kernel
  // takes as much memory as the dictionary has to unpack it: the least that is worth it. Higher presets gain nothing.
  [".xz", (bytes) => filter("compress", ["xz", "-c", "-T1", "--check=crc32", "--x86", XZ], bytes)],
  [".gz", (bytes) => gzipSync(bytes, { level: 9 })],
];
const XZ = "--lzma2=preset=6,dict=1MiB";

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
