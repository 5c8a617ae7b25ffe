/** Unpacks pages of a kdump-compressed dump, each by the codec that its descriptor names. */
import type { Libc } from "../../ffi/libc.ts";
import { privateKernels } from "../kernels/module.ts";
import { CODEC_FLAGS, type CodecName } from "./packed.ts";
import { zlibUnpack, zstdUnpack } from "./stream-codecs.ts";

/** A page that cannot be unpacked: the message says why, to follow "page ... ". */
export class CodecError extends Error {}

export interface PageUnpacker {
  /**
   * Unpacks one page.
   *
   * @param flags of its descriptor
   * @param packed the stored bytes
   * @param out address of `pageSize` bytes
   * @throws CodecError where they do not give exactly one page
   */
  unpack(flags: number, packed: Uint8Array<ArrayBuffer>, out: number): void;
}

/** Bytes that the decoders may read behind a stream. */
const SLACK = 64;
/** Garbage of the runtime's decoders is collected so often, in pages. */
const COLLECT = 8192;

const NAMES = new Map(Object.entries(CODEC_FLAGS).map(([name, flag]) => [flag, name as CodecName]));

/** The codec of a descriptor's flags; undefined where they name none, or several. */
function codecOf(flags: number): CodecName | undefined {
  return NAMES.get(flags);
}

export function createUnpacker(libc: Libc, pageSize: number): PageUnpacker {
  const { kernels, base } = privateKernels(2 * pageSize + 2 * SLACK);
  const { buffer } = kernels.memory;
  const stored = new Uint8Array(buffer, base, pageSize + SLACK);
  const output = base + pageSize + SLACK;
  const outAddress = libc.backend.addressOf(buffer) + output;
  const { memcpy } = libc.backend.calls;
  let since = 0;

  function byKernel(name: "lzo" | "snappy", packed: Uint8Array, out: number): void {
    stored.set(packed);
    const decompress = name === "lzo" ? kernels.lzoDecompress : kernels.snappyDecompress;
    if (decompress(base, packed.length, output, pageSize) !== 0) throw new CodecError(`is no ${name} stream`);
    memcpy(out, outAddress, pageSize);
  }

  function byRuntime(name: "zlib" | "zstd", packed: Uint8Array<ArrayBuffer>, out: number): void {
    let page: Uint8Array;
    try {
      page = (name === "zlib" ? zlibUnpack : zstdUnpack)(packed, pageSize);
    } catch (error) {
      throw new CodecError(`is no ${name} stream: ${(error as Error).message}`);
    }
    if (page.length !== pageSize) throw new CodecError(`has ${page.length} bytes, not ${pageSize}`);
    new Uint8Array(libc.backend.view(out, pageSize)).set(page);
    if (++since >= COLLECT) {
      since = 0;
      if ("Bun" in globalThis) Bun.gc(true);
    }
  }

  return {
    unpack(flags, packed, out) {
      const name = codecOf(flags);
      if (name === undefined) throw new CodecError(`has flags 0x${flags.toString(16)}, which name no codec`);
      if (name === "none") {
        if (packed.length !== pageSize) throw new CodecError(`has ${packed.length} bytes, not ${pageSize}`);
        new Uint8Array(libc.backend.view(out, pageSize)).set(packed);
      } else if (packed.length > pageSize) {
        throw new CodecError(`has ${packed.length} bytes, more than a page`);
      } else if (name === "lzo" || name === "snappy") {
        byKernel(name, packed, out);
      } else {
        byRuntime(name, packed, out);
      }
    },
  };
}
