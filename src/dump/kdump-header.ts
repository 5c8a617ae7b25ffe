/**
 * The headers of a kdump-compressed dump, version 6, 64-bit and little-endian (makedumpfile: diskdump_mod.h, struct
 * disk_dump_header and struct kdump_sub_header).
 *
 *   block 0                main header
 *   block 1                sub header, then a copy of the ELF notes; S blocks
 *   block 1 + S            bitmap 1 (RAM), then bitmap 2 (pages with a descriptor); M blocks
 *   block 1 + S + M        page descriptors, 24 bytes for each page of bitmap 2, in PFN order
 *   anywhere behind        page data, wherever the descriptors say
 */

const KDUMP_SIGNATURE = "KDUMP   ";
export const KDUMP_VERSION = 6;
export const DESCRIPTOR_SIZE = 24;
export const UTSNAME_AT = 12;
/** Where `status` stands: written last. */
export const STATUS_AT = 424;
/** The dump is not whole: `status` only. */
export const STATUS_INCOMPLETE = 0x08;
const MAIN_SIZE = 464;
export const SUB_SIZE = 104;

type Width = "i32" | "u32" | "i64" | "u64";
type Fields = Record<string, readonly [offset: number, width: Width]>;

/** Offsets in the main header; the strings of utsname lie at {@link UTSNAME_AT}. */
export const MAIN_FIELDS = {
  header_version: [8, "i32"],
  "timestamp.tv_sec": [408, "i64"],
  "timestamp.tv_usec": [416, "i64"],
  status: [STATUS_AT, "u32"],
  block_size: [428, "i32"],
  sub_hdr_size: [432, "i32"],
  bitmap_blocks: [436, "u32"],
  max_mapnr: [440, "u32"],
  total_ram_blocks: [444, "u32"],
  device_blocks: [448, "u32"],
  written_blocks: [452, "u32"],
  current_cpu: [456, "u32"],
  nr_cpus: [460, "i32"],
} as const satisfies Fields;

/** Offsets in the sub header. */
export const SUB_FIELDS = {
  phys_base: [0, "i64"],
  dump_level: [8, "i32"],
  split: [12, "i32"],
  start_pfn: [16, "u64"],
  end_pfn: [24, "u64"],
  offset_vmcoreinfo: [32, "u64"],
  size_vmcoreinfo: [40, "u64"],
  offset_note: [48, "u64"],
  size_note: [56, "u64"],
  offset_eraseinfo: [64, "u64"],
  size_eraseinfo: [72, "u64"],
  start_pfn_64: [80, "u64"],
  end_pfn_64: [88, "u64"],
  max_mapnr_64: [96, "u64"],
} as const satisfies Fields;

export type MainHeader = Record<keyof typeof MAIN_FIELDS, bigint> & { readonly utsname: Uint8Array };
export type SubHeader = Record<keyof typeof SUB_FIELDS, bigint>;

function encode(fields: Fields, values: Record<string, bigint>, bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  for (const [name, [at, width]] of Object.entries(fields)) {
    const value = values[name] ?? 0n;
    if (width === "i32" || width === "u32") view.setUint32(at, Number(BigInt.asUintN(32, value)), true);
    else view.setBigUint64(at, BigInt.asUintN(64, value), true);
  }
}

function decode<Names extends string>(
  fields: Record<Names, readonly [number, Width]>,
  bytes: Uint8Array,
): Record<Names, bigint> {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const read = ([at, width]: readonly [number, Width]) => {
    if (width === "i32") return BigInt(view.getInt32(at, true));
    if (width === "u32") return BigInt(view.getUint32(at, true));
    return width === "i64" ? view.getBigInt64(at, true) : view.getBigUint64(at, true);
  };
  const entries = Object.entries(fields) as [Names, readonly [number, Width]][];
  return Object.fromEntries(entries.map(([name, field]) => [name, read(field)])) as Record<Names, bigint>;
}

/** @returns {@link MAIN_SIZE} bytes, zeros behind them up to a block */
export function encodeMainHeader(header: MainHeader): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(Number(header.block_size));
  bytes.set(new TextEncoder().encode(KDUMP_SIGNATURE));
  const { utsname, ...numbers } = header;
  bytes.set(utsname, UTSNAME_AT);
  encode(MAIN_FIELDS, numbers, bytes);
  return bytes;
}

/** @param bytes the file's first 464 or more @returns undefined where it is no kdump-compressed dump's */
export function decodeMainHeader(bytes: Uint8Array): MainHeader | undefined {
  if (bytes.length < MAIN_SIZE) return undefined;
  const signature = new TextDecoder("latin1").decode(bytes.subarray(0, KDUMP_SIGNATURE.length));
  if (signature !== KDUMP_SIGNATURE) return undefined;
  return { ...decode(MAIN_FIELDS, bytes), utsname: bytes.slice(UTSNAME_AT, UTSNAME_AT + 390) };
}

/** @returns {@link SUB_SIZE} bytes */
export function encodeSubHeader(header: SubHeader): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(SUB_SIZE);
  encode(SUB_FIELDS, header, bytes);
  return bytes;
}

/** @param bytes {@link SUB_SIZE} or more */
export function decodeSubHeader(bytes: Uint8Array): SubHeader {
  return decode(SUB_FIELDS, bytes);
}

/** Where the parts of a dump lie; all in bytes but `bitmapBlocks` and `subBlocks`. */
export interface KdumpLayout {
  readonly subBlocks: number;
  readonly bitmapBlocks: number;
  readonly bitmap1: number;
  readonly bitmap2: number;
  /** of each bitmap */
  readonly bitmapBytes: number;
  readonly descriptors: number;
}

/** @param noteSize bytes of the notes @param endPfn max_mapnr */
export function kdumpLayout(blockSize: number, noteSize: number, endPfn: number): KdumpLayout {
  const subBlocks = Math.ceil((SUB_SIZE + noteSize) / blockSize);
  const blocksOfOne = Math.ceil(Math.ceil(endPfn / 8) / blockSize);
  const bitmap1 = (1 + subBlocks) * blockSize;
  const bitmapBytes = blocksOfOne * blockSize;
  return {
    subBlocks,
    bitmapBlocks: 2 * blocksOfOne,
    bitmap1,
    bitmap2: bitmap1 + bitmapBytes,
    bitmapBytes,
    descriptors: bitmap1 + 2 * bitmapBytes,
  };
}
