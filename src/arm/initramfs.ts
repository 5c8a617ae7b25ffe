/**
 * What an initramfs holds and becomes, read as the kernel reads it (init/initramfs.c, unpack_to_rootfs()): parts one
 * behind the other, with zeros between them, each a cpio archive, compressed or not. Early microcode in front and
 * archives appended are such parts.
 */
import type { Libc } from "../../ffi/libc.ts";
import { FileBytes } from "./file-bytes.ts";
import {
  type Measure,
  measureGzip,
  measureLz4,
  measureLzma,
  measureUnknown,
  measureXz,
  measureZstd,
} from "./packed-size.ts";

export interface InitramfsPart {
  /** cpio: not compressed; image: none of the formats, which the kernel takes for an old initrd's file system */
  readonly format: string;
  /** bytes in the file */
  readonly bytes: number;
  /** bytes of memory that its content takes; undefined where that cannot be told */
  readonly unpacked: number | undefined;
}

export interface Initramfs {
  readonly path: string;
  /** bytes of the file: all of it is in memory while it is unpacked */
  readonly bytes: number;
  readonly parts: readonly InitramfsPart[];
  /** bytes of memory that all parts take of which it is known */
  readonly unpacked: number;
  /** one line each: why the kernel may not be able to unpack it, why its size is not known */
  readonly problems: readonly string[];
}

/** Formats by their first two bytes (lib/decompress.c). */
const FORMATS: [first: number, second: number, name: string, measure: Measure][] = [
  [0x1f, 0x8b, "gzip", measureGzip],
  [0x28, 0xb5, "zstd", measureZstd],
  [0xfd, 0x37, "xz", measureXz],
  [0x02, 0x21, "lz4", measureLz4],
  [0x5d, 0x00, "lzma", measureLzma],
  [0x42, 0x5a, "bzip2", measureUnknown],
  [0x89, 0x4c, "lzo", measureUnknown],
];
const PAGE = 4096;
const DIGIT_ZERO = 0x30;

/** @throws LibcError where the file cannot be read */
export async function readInitramfs(libc: Libc, path: string): Promise<Initramfs> {
  using file = new FileBytes(libc, path);
  const parts: InitramfsPart[] = [];
  const problems: string[] = [];
  for (let at = 0; at < file.size; ) {
    const first = file.byte(at);
    if (first === 0) {
      at++;
      continue;
    }
    const [format, measure] = formatOf(file, at);
    if (measure === undefined) {
      if (parts.length === 0) parts.push({ format: "image", bytes: file.size, unpacked: file.size });
      else problems.push(`what is at ${at} of ${path} is nothing that a kernel unpacks`);
      break;
    }
    try {
      const { bytes, unpacked } = await measure(file, at);
      parts.push({ format, bytes, unpacked });
      if (unpacked === undefined)
        problems.push(`how large ${path} is when unpacked is not known: its ${format} data do not tell`);
      at += bytes;
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      parts.push({ format, bytes: file.size - at, unpacked: undefined });
      problems.push(`${path} is damaged: ${error.message} (${format} at ${at})`);
      break;
    }
  }
  const unpacked = parts.reduce((sum, part) => sum + (part.unpacked ?? 0), 0);
  return { path, bytes: file.size, parts, unpacked, problems };
}

function formatOf(file: FileBytes, at: number): [name: string, measure: Measure | undefined] {
  const [first, second] = file.at(at, 2);
  if (first === DIGIT_ZERO) return ["cpio", measureCpio];
  const found = FORMATS.find(([one, two]) => one === first && two === second);
  return found === undefined ? ["image", undefined] : [found[2], found[3]];
}

/**
 * A cpio archive in the newc format (Documentation/driver-api/early-userspace/buffer-format.rst): each file takes whole
 * pages of memory. An archive without its end is none that the kernel would complain about.
 */
const measureCpio: Measure = (file, start) => {
  let at = start;
  let unpacked = 0;
  while (at < file.size) {
    const header = Buffer.from(file.at(at, 110)).toString("latin1");
    if (!/^07070[12][0-9a-fA-F]{104}$/.test(header))
      throw new RangeError("no header of an entry where one should be");
    const size = Number.parseInt(header.slice(54, 62), 16);
    const nameLength = Number.parseInt(header.slice(94, 102), 16);
    const name = Buffer.from(file.at(at + 110, Math.min(nameLength, 11))).toString("latin1");
    at += 110 + nameLength;
    at += -(at - start) & 3;
    at += size;
    at += -(at - start) & 3;
    unpacked += Math.ceil(size / PAGE) * PAGE;
    if (name === "TRAILER!!!\0") break;
    if (at > file.size) throw new RangeError("it ends too early");
  }
  return { bytes: Math.min(at, file.size) - start, unpacked };
};
