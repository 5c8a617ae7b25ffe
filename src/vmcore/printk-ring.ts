/**
 * The lockless printk ring of Linux 5.10 and later (kernel/printk/printk_ringbuffer.h, 896fbe20b4e2).
 *
 * `prb` points to a ring of descriptors and a ring of text. A descriptor's state word holds its id and, in the top
 * two bits, whether it is committed (1) or finalized (2); its text block is given by logical positions, of which
 * the low bits are the place. A block that would not fit before the ring's end lies at its start instead.
 */
import type { AddressSpace } from "./address-space.ts";
import type { Log, LogRecord } from "./log.ts";
import type { Vmcoreinfo } from "./vmcoreinfo.ts";

/** Larger rings are taken for damage: CONFIG_LOG_BUF_SHIFT is 25 at the most, and log_buf_len 2 GiB. */
const MOST_COUNT_BITS = 26;
const MOST_SIZE_BITS = 31;
const STATE_SHIFT = 62n;
const ID_MASK = (1n << STATE_SHIFT) - 1n;
const COMMITTED = 1n;
const FINALIZED = 2n;
/** A text block begins with the id of its descriptor. */
const BLOCK_HEADER = 8;
/** begin and next of a record without text (FAILED_LPOS, NO_LPOS). */
const NO_TEXT = 1n;
/** Descriptors that are read at once. */
const BATCH = 1024;

export function hasPrintkRing(info: Vmcoreinfo): boolean {
  return info.symbol("prb") !== undefined && info.size("printk_ringbuffer") !== undefined;
}

/** Reads all records; what is damaged is passed over, and told. Never more steps than there are descriptors. */
export function readPrintkRing(space: AddressSpace, step: () => void): Log {
  const problems: string[] = [];
  const ring = openRing(space);
  if (typeof ring === "string") return { records: [], problems: [ring] };
  const records: LogRecord[] = [];
  let damaged = 0;
  const count = 1n << BigInt(ring.countBits);
  const length = ((ring.head - ring.tail) & ID_MASK) + 1n;
  if (length > count)
    problems.push(`the log's ring has ${length} records between its ends, more than its ${count}`);
  const steps = length > count ? count : length;
  for (let at = 0n; at < steps; at++) {
    step();
    const id = (ring.tail + at) & ID_MASK;
    const found = readRecord(space, ring, id, Number(id % count));
    if (found === "damaged") damaged++;
    else if (found !== undefined) records.push(found);
  }
  if (damaged > 0) problems.push(`${damaged} records of the log could not be read`);
  return { records, problems };
}

interface Ring {
  readonly countBits: number;
  readonly sizeBits: number;
  readonly descriptors: bigint;
  readonly infos: bigint;
  readonly text: bigint;
  readonly head: bigint;
  readonly tail: bigint;
  readonly offsets: Offsets;
  readonly cache: { descriptors: Batch; infos: Batch };
}

interface Batch {
  first: number;
  bytes: Uint8Array | undefined;
}

type Offsets = Readonly<Record<keyof typeof MEMBERS | keyof typeof SIZES, number>>;

const SIZES = { descriptor: "prb_desc", info: "printk_info" } as const;
const MEMBERS = {
  state: "prb_desc.state_var",
  block: "prb_desc.text_blk_lpos",
  begin: "prb_data_blk_lpos.begin",
  next: "prb_data_blk_lpos.next",
  time: "printk_info.ts_nsec",
  seq: "printk_info.seq",
  length: "printk_info.text_len",
  caller: "printk_info.caller_id",
} as const;

/** @returns what is missing, as a problem */
function openRing(space: AddressSpace): Ring | string {
  const { info } = space.memory;
  const missing: string[] = [];
  const offset = (member: string) => {
    const value = info.offset(member);
    if (value === undefined) missing.push(`OFFSET(${member})`);
    return value ?? 0;
  };
  const size = (type: string) => {
    const value = info.size(type);
    if (value === undefined || value > 4096) missing.push(`SIZE(${type})`);
    return value ?? 0;
  };
  const offsets = Object.fromEntries([
    ...Object.entries(SIZES).map(([name, type]) => [name, size(type)]),
    ...Object.entries(MEMBERS).map(([name, member]) => [name, offset(member)]),
  ]) as Offsets;
  const ringAt = offset("printk_ringbuffer.desc_ring");
  const textAt = offset("printk_ringbuffer.text_data_ring");
  const counter = offset("atomic_long_t.counter");
  const at = {
    countBits: ringAt + offset("prb_desc_ring.count_bits"),
    descriptors: ringAt + offset("prb_desc_ring.descs"),
    infos: ringAt + offset("prb_desc_ring.infos"),
    head: ringAt + offset("prb_desc_ring.head_id") + counter,
    tail: ringAt + offset("prb_desc_ring.tail_id") + counter,
    sizeBits: textAt + offset("prb_data_ring.size_bits"),
    text: textAt + offset("prb_data_ring.data"),
  };
  const total = size("printk_ringbuffer");
  if (missing.length > 0) return `the log cannot be found: VMCOREINFO has no ${missing[0]}`;
  const pointer = space.readVirtual(info.symbol("prb") as bigint, 8);
  const ring = pointer && space.readVirtual(viewOf(pointer).getBigUint64(0, true), total);
  if (ring === undefined || Math.max(...Object.values(at)) + 8 > total)
    return "the log's ring (prb) cannot be read";
  const view = viewOf(ring);
  const countBits = view.getUint32(at.countBits, true);
  const sizeBits = view.getUint32(at.sizeBits, true);
  if (countBits > MOST_COUNT_BITS || sizeBits > MOST_SIZE_BITS) {
    return `the log's ring is damaged: 2^${countBits} records, 2^${sizeBits} bytes`;
  }
  return {
    countBits,
    sizeBits,
    descriptors: view.getBigUint64(at.descriptors, true),
    infos: view.getBigUint64(at.infos, true),
    text: view.getBigUint64(at.text, true),
    head: view.getBigUint64(at.head, true) & ID_MASK,
    tail: view.getBigUint64(at.tail, true) & ID_MASK,
    offsets,
    cache: { descriptors: { first: -1, bytes: undefined }, infos: { first: -1, bytes: undefined } },
  };
}

/** @returns undefined where there is no record any more, or not yet */
function readRecord(
  space: AddressSpace,
  ring: Ring,
  id: bigint,
  slot: number,
): LogRecord | "damaged" | undefined {
  const { offsets } = ring;
  const descriptor = element(space, ring, "descriptors", ring.descriptors, offsets.descriptor, slot);
  const info = element(space, ring, "infos", ring.infos, offsets.info, slot);
  if (descriptor === undefined || info === undefined) return "damaged";
  const state = descriptor.getBigUint64(offsets.state, true);
  const isReadable = state >> STATE_SHIFT === COMMITTED || state >> STATE_SHIFT === FINALIZED;
  if ((state & ID_MASK) !== id || !isReadable) return undefined;
  const begin = descriptor.getBigUint64(offsets.block + offsets.begin, true);
  const next = descriptor.getBigUint64(offsets.block + offsets.next, true);
  const text = readText(space, ring, begin, next, info.getUint16(offsets.length, true));
  if (text === undefined) return "damaged";
  const caller = info.getUint32(offsets.caller, true);
  // struct printk_info: facility, a byte, then flags (5 bits) and level (3 bits) of the byte behind text_len.
  const facility = info.getUint8(offsets.length + 2);
  const level = info.getUint8(offsets.length + 3) >> 5;
  return {
    seq: Number(info.getBigUint64(offsets.seq, true)),
    nanoseconds: info.getBigUint64(offsets.time, true),
    level,
    facility,
    caller: (caller & 0x8000_0000) !== 0 ? `C${caller & 0x7fff_ffff}` : `T${caller}`,
    text,
  };
}

function readText(
  space: AddressSpace,
  ring: Ring,
  beginPosition: bigint,
  nextPosition: bigint,
  length: number,
): Uint8Array | undefined {
  if ((beginPosition & NO_TEXT) !== 0n && (nextPosition & NO_TEXT) !== 0n) return new Uint8Array(0);
  const size = 1n << BigInt(ring.sizeBits);
  let begin = beginPosition % size;
  const next = nextPosition % size;
  if (begin === next) return new Uint8Array(0);
  // Wrapped: all of it lies at the start. A block may also end just at the ring's end.
  if (begin > next) {
    if (next === 0n) return readBlock(space, ring, begin, size, length);
    begin = 0n;
  }
  return readBlock(space, ring, begin, next, length);
}

function readBlock(
  space: AddressSpace,
  ring: Ring,
  begin: bigint,
  end: bigint,
  length: number,
): Uint8Array | undefined {
  const room = Number(end - begin) - BLOCK_HEADER;
  if (room < 0) return undefined;
  return space.readVirtual(ring.text + begin + BigInt(BLOCK_HEADER), Math.min(length, room));
}

/** One element of an array, many of which are read at once. */
function element(
  space: AddressSpace,
  ring: Ring,
  name: keyof Ring["cache"],
  base: bigint,
  size: number,
  index: number,
): DataView | undefined {
  const batch = ring.cache[name];
  const first = index - (index % BATCH);
  if (batch.first !== first) {
    const count = Math.min(BATCH, 2 ** ring.countBits - first);
    batch.first = first;
    batch.bytes = space.readVirtual(base + BigInt(first * size), count * size);
  }
  // Where not all of them can be read, this one may.
  const bytes =
    batch.bytes?.subarray((index - first) * size) ?? space.readVirtual(base + BigInt(index * size), size);
  return bytes && viewOf(bytes);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
