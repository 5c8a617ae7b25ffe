/**
 * Packs batches of pages, in the memory of a WASM instance of its own: pages are read straight into it, and what
 * they became is written straight from it. zlib, LZO and snappy are WASM, a batch in one call; zstd is the runtime's, a
 * page at a time.
 */
import type { Libc } from "../../ffi/libc.ts";
import { privateKernels } from "../kernels/module.ts";
import { CODEC_FLAGS, type CodecName, type PackedPages, type PagePacker } from "./packed.ts";
import { type StreamPacker, zstdPacker } from "./stream-codecs.ts";

/** Words of a page's result: size, flags, low and high half. */
const RESULT = 4;
/** The runtime's results are garbage that it notices late: it is told so often, in pages. */
const COLLECT = 8192;

/** Pages of a batch: 256 KiB of pages of 4 KiB, which a processor's second cache holds. */
export function batchPages(pageSize: number): number {
  return Math.max(2, (256 << 10) / pageSize);
}

/** @param capacity most pages of a batch */
export function createPacker(libc: Libc, codec: CodecName, pageSize: number, capacity: number): PagePacker {
  const inputBytes = capacity * pageSize + 64;
  const outputBytes = capacity * pageSize + pageSize / 4 + 128;
  const { kernels, base } = privateKernels(inputBytes + outputBytes + capacity * RESULT * 4);
  const { buffer } = kernels.memory;
  const memory = libc.backend.addressOf(buffer);
  const output = base + inputBytes;
  const results = output + Math.ceil(outputBytes / 8) * 8;
  const result = new Uint32Array(buffer, results, capacity * RESULT);
  const sizes = new Uint32Array(capacity);
  const flags = new Uint32Array(capacity);
  const words = new Uint32Array(2 * capacity);
  const stream = codec === "zstd" ? zstdPacker() : undefined;
  let packedSince = 0;

  /** By the runtime, page by page. @returns bytes at `output` */
  function packStreams(pack: StreamPacker, count: number): number {
    const out = new Uint8Array(buffer, output, outputBytes);
    const flag = CODEC_FLAGS[codec];
    let length = 0;
    for (let index = 0; index < count; index++) {
      const at = index * RESULT;
      if (result[at] === 0) continue;
      const page = new Uint8Array(buffer, base + index * pageSize, pageSize);
      const packed = pack(page);
      const isSmaller = packed.length < pageSize;
      out.set(isSmaller ? packed : page, length);
      result[at] = isSmaller ? packed.length : pageSize;
      result[at + 1] = isSmaller ? flag : 0;
      length += result[at];
    }
    packedSince += count;
    if (packedSince >= COLLECT) {
      packedSince = 0;
      collectGarbage();
    }
    return length;
  }

  return {
    codec,
    capacity,
    pageSize,
    input: memory + base,
    pack(count: number): PackedPages {
      let length: number;
      if (stream === undefined) {
        length = kernels.packPages(CODEC_FLAGS[codec], base, count, pageSize, output, results) >>> 0;
      } else {
        kernels.findUniform(base, count, pageSize, results);
        length = packStreams(stream, count);
      }
      for (let index = 0; index < count; index++) {
        const at = index * RESULT;
        sizes[index] = result[at] as number;
        flags[index] = (result[at] as number) === 0 ? 0 : (result[at + 1] as number);
        words[2 * index] = result[at + 2] as number;
        words[2 * index + 1] = result[at + 3] as number;
      }
      return { count, address: memory + output, length, sizes, flags, words };
    },
    [Symbol.dispose]() {},
  };
}

function collectGarbage(): void {
  if ("Bun" in globalThis) Bun.gc(true);
}
