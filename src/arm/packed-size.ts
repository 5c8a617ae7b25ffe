/**
 * How large compressed data becomes, and where it ends in a file that goes on behind it: both have to be known of each
 * part of an initramfs. xz, lz4 and most zstd frames tell it by their own headers, so that nothing is unpacked; gzip,
 * and zstd frames without their content's size, are unpacked and thrown away.
 */
import { createInflateRaw, createZstdDecompress } from "node:zlib";
import type { FileBytes } from "./file-bytes.ts";

/** Bytes of a part: in the file, and unpacked. */
export interface PackedSize {
  readonly bytes: number;
  /** undefined: the format does not tell, and vmcopy does not unpack it */
  readonly unpacked: number | undefined;
}

/** Measures the data at a place of a file. @throws RangeError where it is damaged or ends too early */
export type Measure = (file: FileBytes, start: number) => Promise<PackedSize> | PackedSize;

/** Little-endian number of `length` bytes. @throws RangeError where the file ends */
function little(file: FileBytes, offset: number, length: number): number {
  const bytes = file.at(offset, length);
  if (bytes.length < length) throw new RangeError("it ends too early");
  return bytes.reduceRight((value, byte) => value * 256 + byte, 0);
}

const big16 = (file: FileBytes, offset: number) =>
  little(file, offset, 1) * 256 + little(file, offset + 1, 1);

/** Goes over a part's end: where that lies behind the file's, the part is cut off. */
function within(file: FileBytes, end: number): number {
  if (end > file.size) throw new RangeError("it ends too early");
  return end;
}

/** Bytes of an xz check by its type (xz-file-format, section 2.1.1.2). */
const XZ_CHECKS = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64] as const;

/**
 * The xz file format 1.1.0: a stream is a header, blocks, an index and a footer. A block's data are LZMA2 chunks, each
 * with its length before and after; filters before LZMA2 (BCJ for x86) leave lengths as they are.
 */
export const measureXz: Measure = (file, start) => {
  const check = XZ_CHECKS[little(file, start + 7, 1) & 15] as number;
  let at = start + 12;
  let unpacked = 0;
  for (;;) {
    const first = little(file, at, 1);
    if (first === 0) break;
    const block = at;
    at += (first + 1) * 4;
    for (;;) {
      const control = little(file, at, 1);
      if (control === 0) break;
      if (control > 2 && control < 0x80) throw new RangeError("a chunk of it is of no known kind");
      if (control < 0x80) {
        const length = big16(file, at + 1) + 1;
        unpacked += length;
        at += 3 + length;
        continue;
      }
      unpacked += (control & 0x1f) * 65536 + big16(file, at + 1) + 1;
      // A byte of properties stands in the header where they are new.
      at += (control >= 0xc0 ? 6 : 5) + big16(file, at + 3) + 1;
    }
    at += 1;
    at += (-(at - block) & 3) + check;
  }
  const index = at;
  at += 1;
  const [records, behind] = variableLength(file, at);
  at = behind;
  for (let i = 0; i < records * 2; i++) [, at] = variableLength(file, at);
  at += (-(at - index) & 3) + 4;
  return { bytes: within(file, at + 12) - start, unpacked };
};

/** A number of xz's index: 7 bits a byte, the lowest first. @returns it, and where it ends */
function variableLength(file: FileBytes, offset: number): [value: number, end: number] {
  let value = 0;
  for (let i = 0; i < 9; i++) {
    const byte = little(file, offset + i, 1);
    value += (byte & 0x7f) * 128 ** i;
    if (byte < 0x80) return [value, offset + i + 1];
  }
  throw new RangeError("a number of its index has no end");
}

/** RFC 8878, section 3.1.1: a frame's header may hold the content's size; its blocks tell their own lengths. */
export const measureZstd: Measure = async (file, start) => {
  const descriptor = little(file, start + 4, 1);
  const isSingle = (descriptor & 0x20) !== 0;
  const dictionary = [0, 1, 2, 4][descriptor & 3] as number;
  const sizeBytes = [isSingle ? 1 : 0, 2, 4, 8][descriptor >> 6] as number;
  const sizeAt = start + 5 + (isSingle ? 0 : 1) + dictionary;
  let at = sizeAt + sizeBytes;
  for (let isLast = false; !isLast; ) {
    const block = little(file, at, 3);
    isLast = (block & 1) === 1;
    // A block that repeats one byte holds only that.
    at += 3 + (((block >> 1) & 3) === 1 ? 1 : block >> 3);
  }
  const end = within(file, at + ((descriptor & 4) === 0 ? 0 : 4));
  if (sizeBytes === 0) return { bytes: end - start, unpacked: (await unpack(file, start, end, "zstd")).out };
  const size = little(file, sizeAt, sizeBytes);
  return { bytes: end - start, unpacked: sizeBytes === 2 ? size + 256 : size };
};

/**
 * The legacy format of lz4, the one that the kernel unpacks (lib/decompress_unlz4.c): blocks with their packed length in
 * front. What a block becomes is the sum of its sequences (lz4's block format): literals and a match each.
 */
export const measureLz4: Measure = (file, start) => {
  let at = start + 4;
  let unpacked = 0;
  while (at + 4 <= file.size) {
    const length = little(file, at, 4);
    if (length === 0) break;
    at += 4;
    if (length === LZ4_MAGIC) continue;
    unpacked += lz4Block(file, at, within(file, at + length));
    at += length;
  }
  return { bytes: at - start, unpacked };
};

const LZ4_MAGIC = 0x184c2102;

function lz4Block(file: FileBytes, start: number, end: number): number {
  let at = start;
  let unpacked = 0;
  const long = (nibble: number) => {
    let length = nibble;
    for (let byte = nibble === 15 ? 255 : 0; byte === 255 && at < end; ) {
      byte = file.byte(at++) as number;
      length += byte;
    }
    return length;
  };
  while (at < end) {
    const token = file.byte(at++) as number;
    const literals = long(token >> 4);
    at += literals;
    unpacked += literals;
    if (at >= end) break;
    at += 2;
    unpacked += long(token & 15) + 4;
  }
  if (at !== end) throw new RangeError("a block of it is damaged");
  return unpacked;
}

/** RFC 1952. The member's own trailer has its length too, but not where it ends. */
export const measureGzip: Measure = async (file, start) => {
  const flags = little(file, start + 3, 1);
  let at = start + 10;
  if ((flags & 4) !== 0) at += 2 + little(file, at, 2);
  for (const bit of [8, 16]) {
    if ((flags & bit) === 0) continue;
    while (little(file, at, 1) !== 0) at++;
    at++;
  }
  if ((flags & 2) !== 0) at += 2;
  const { taken, out } = await unpack(file, at, file.size, "deflate");
  return { bytes: within(file, at + taken + 8) - start, unpacked: out };
};

/** The header of .lzma: properties, size of the dictionary, size of the content where that was known. No end is told. */
export const measureLzma: Measure = (file, start) => {
  const size = little(file, start + 5, 8);
  return { bytes: file.size - start, unpacked: size > Number.MAX_SAFE_INTEGER ? undefined : size };
};

/** Formats that the kernel knows and hardly any initramfs has: taken to go on to the file's end. */
export const measureUnknown: Measure = (file, start) => ({ bytes: file.size - start, unpacked: undefined });

/** Unpacks a part and throws away what comes. @returns bytes that were taken, and that came out */
async function unpack(file: FileBytes, start: number, end: number, format: "deflate" | "zstd") {
  const stream = format === "zstd" ? createZstdDecompress() : createInflateRaw();
  let out = 0;
  let isOver = false;
  const over = new Promise<void>((resolve, reject) => {
    stream.on("data", (data: Uint8Array) => {
      out += data.length;
    });
    stream.on("end", resolve);
    stream.on("error", (error: Error) => reject(new RangeError(error.message)));
  }).finally(() => {
    isOver = true;
  });
  // Awaited below; an error before that is not to be one that nobody takes.
  over.catch(() => {});
  for (const piece of file.pieces(start, end)) {
    if (isOver) break;
    if (!stream.write(piece))
      await Promise.race([new Promise((resolve) => stream.once("drain", resolve)), over]);
  }
  stream.end();
  await over;
  return { taken: stream.bytesWritten, out };
}
