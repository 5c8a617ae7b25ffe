/**
 * A capture on a raw partition: no file system, a header that says what lies where.
 *
 *        0  a header, in the first 512 bytes of its page; the rest of the page is zeros
 *    4 KiB  a second header
 *   64 KiB  two rooms of 256 KiB for capture.json, which is written anew after each step
 *    1 MiB  the other members in the order they were written, each from a multiple of 4096 on: dmesg.txt,
 *           crash.json, vmcore, vmcore.manifest.json
 *
 * A header is written over the older of the two, and only after what it tells of is durable. It fits a sector, the unit
 * in which disks write: a power cut leaves the old one or the new one. Should it leave a half, the checksum tells, and the
 * other header, one step older, counts. So does the one with the higher sequence where both are right. A partition
 * whose first bytes are not the magic is none of ours, whatever the second page holds.
 *
 * A header, little-endian:
 *
 *        0  magic, "VMCOPYRP"
 *        8  u32 version, 1
 *       12  u32 state: 1 incomplete, 2 log-only, 3 complete
 *       16  u64 sequence, one more with each header that is written
 *       24  u64 bytes of the partition
 *       32  u32 members, at most 8
 *       36  u32 zero
 *       40  members, 56 bytes each: name (32 bytes of ASCII, padded with zeros), u64 offset, u64 length, u64 digest
 *      488  zeros
 *      504  u64 XXH3-64 of all bytes before
 *
 * Offsets and lengths are bytes. A member's digest is the XXH3-64 of its bytes; that of vmcore is 0: its manifest has
 * digests of its chunks.
 */
import { xxh3 } from "../kernels/xxh3.ts";

export const PARTITION_MAGIC = "VMCOPYRP";
export const PARTITION_VERSION = 1;
export const HEADER_SIZE = 512;
/** Where the two headers lie, and the bytes that are written of each. */
export const HEADERS_AT = [0, 4096] as const;
export const HEADER_PAGE = 4096;
/** Where capture.json lies by turns. */
export const RECORDS_AT = [64 << 10, 320 << 10] as const;
export const RECORD_ROOM = 256 << 10;
/** Where the other members begin, and what each begins at a multiple of. */
export const MEMBERS_AT = 1 << 20;
export const MEMBER_ALIGN = 4096;

const STATES = ["incomplete", "log-only", "complete"] as const;
/** log-only: no dump was to be had, and the capture was content with the log. */
export type PartitionState = (typeof STATES)[number];

export const MEMBERS = ["dmesg.txt", "crash.json", "vmcore", "vmcore.manifest.json", "capture.json"] as const;
export type MemberName = (typeof MEMBERS)[number];

export interface PartitionMember {
  readonly name: MemberName;
  /** bytes from the partition's start */
  readonly offset: number;
  /** bytes */
  readonly length: number;
  readonly digest: bigint;
}

export interface PartitionHeader {
  readonly state: PartitionState;
  readonly sequence: number;
  /** bytes of the partition */
  readonly size: number;
  readonly members: readonly PartitionMember[];
}

const VERSION_AT = 8;
const STATE_AT = 12;
const SEQUENCE_AT = 16;
const SIZE_AT = 24;
const COUNT_AT = 32;
const TABLE_AT = 40;
const ENTRY_SIZE = 56;
const NAME_SIZE = 32;
const MOST_MEMBERS = 8;
const CHECKSUM_AT = 504;
/** A header has been written more often than that by nobody; there is always a next one. */
const MOST_SEQUENCE = 2 ** 48;
/** Members beside the dump are held in memory: the manifest of a dump of 64 TiB has so many bytes. */
const LARGEST = 256 << 20;

/** Whether a partition begins as one that holds a capture. */
export function hasPartitionMagic(head: Uint8Array): boolean {
  return new TextDecoder("latin1").decode(head.subarray(0, PARTITION_MAGIC.length)) === PARTITION_MAGIC;
}

export function encodePartitionHeader({ state, sequence, size, members }: PartitionHeader): Uint8Array {
  const bytes = new Uint8Array(HEADER_SIZE);
  const view = new DataView(bytes.buffer);
  const encoder = new TextEncoder();
  encoder.encodeInto(PARTITION_MAGIC, bytes);
  view.setUint32(VERSION_AT, PARTITION_VERSION, true);
  view.setUint32(STATE_AT, STATES.indexOf(state) + 1, true);
  view.setBigUint64(SEQUENCE_AT, BigInt(sequence), true);
  view.setBigUint64(SIZE_AT, BigInt(size), true);
  view.setUint32(COUNT_AT, members.length, true);
  for (const [index, { name, offset, length, digest }] of members.entries()) {
    const at = TABLE_AT + index * ENTRY_SIZE;
    encoder.encodeInto(name, bytes.subarray(at, at + NAME_SIZE));
    view.setBigUint64(at + NAME_SIZE, BigInt(offset), true);
    view.setBigUint64(at + NAME_SIZE + 8, BigInt(length), true);
    view.setBigUint64(at + NAME_SIZE + 16, digest, true);
  }
  view.setBigUint64(CHECKSUM_AT, xxh3(bytes.subarray(0, CHECKSUM_AT)), true);
  return bytes;
}

/** Reads a header and checks it against its checksum and itself. @throws RangeError saying why it is none */
export function decodePartitionHeader(bytes: Uint8Array): PartitionHeader {
  const refuse = (reason: string): never => {
    throw new RangeError(reason);
  };
  if (bytes.length < HEADER_SIZE) refuse("it is cut off");
  if (!hasPartitionMagic(bytes)) refuse("it does not begin as one");
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_SIZE);
  if (view.getBigUint64(CHECKSUM_AT, true) !== xxh3(bytes.subarray(0, CHECKSUM_AT)))
    refuse("its checksum does not match");
  const version = view.getUint32(VERSION_AT, true);
  if (version !== PARTITION_VERSION)
    refuse(`its version is ${version}, this vmcopy reads ${PARTITION_VERSION}`);
  const number = (at: number, what: string): number => {
    const value = view.getBigUint64(at, true);
    return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : refuse(`its ${what} is ${value}`);
  };
  const code = view.getUint32(STATE_AT, true);
  const state = STATES[code - 1] ?? refuse(`its state is ${code}`);
  const size = number(SIZE_AT, "partition's size");
  const count = view.getUint32(COUNT_AT, true);
  if (count > MOST_MEMBERS) refuse(`it has ${count} members`);
  const members: PartitionMember[] = [];
  for (let index = 0; index < count; index++) {
    const at = TABLE_AT + index * ENTRY_SIZE;
    const text = new TextDecoder("latin1").decode(bytes.subarray(at, at + NAME_SIZE)).replace(/\0+$/, "");
    const name = MEMBERS.find((known) => known === text) ?? refuse(`a member has no name that is known`);
    const offset = number(at + NAME_SIZE, `offset of ${name}`);
    const length = number(at + NAME_SIZE + 8, `length of ${name}`);
    if (offset < RECORDS_AT[0] || length > size - offset)
      refuse(`${name} lies outside of the partition (offset ${offset}, length ${length})`);
    if (name !== "vmcore" && length > LARGEST) refuse(`${name} has ${length} bytes`);
    for (const other of members) {
      if (other.name === name) refuse(`it has ${name} twice`);
      if (offset < other.offset + other.length && other.offset < offset + length)
        refuse(`${name} and ${other.name} lie at the same place`);
    }
    members.push({ name, offset, length, digest: view.getBigUint64(at + NAME_SIZE + 16, true) });
  }
  const sequence = number(SEQUENCE_AT, "sequence");
  if (sequence > MOST_SEQUENCE) refuse(`its sequence is ${sequence}`);
  return { state, sequence, size, members };
}
