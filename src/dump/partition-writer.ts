/**
 * Writes a capture to a raw partition, member by member: each is durable before a header tells of it, and each header
 * before the next thing is done. The format stands in partition-header.ts.
 */
import { ENOSPC, LibcError } from "../../ffi/errno.ts";
import type { File } from "../../ffi/file.ts";
import { FileWindow } from "../../ffi/file-window.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { writeBytes } from "../../ffi/whole-file.ts";
import { xxh3 } from "../kernels/xxh3.ts";
import { encodeManifest, type Manifest } from "./manifest.ts";
import {
  encodePartitionHeader,
  HEADER_PAGE,
  HEADERS_AT,
  MEMBER_ALIGN,
  MEMBERS_AT,
  type MemberName,
  type PartitionMember,
  type PartitionState,
  RECORD_ROOM,
  RECORDS_AT,
} from "./partition-header.ts";
import { DUMP_MEMBER, type Held, MANIFEST_MEMBER } from "./partition-reader.ts";

/** Left free behind a dump for its manifest, which has 17 bytes for each chunk of 256 KiB or more: bytes, and a share. */
const MANIFEST_LEAST = 64 << 10;
const MANIFEST_SHARE = 8192;

export class PartitionWriter {
  readonly size: number;
  #state: PartitionState = "incomplete";
  #members: readonly PartitionMember[] = [];
  /** Of the newest header; by turns they lie at one place and the other. */
  #sequence: number;
  #end = MEMBERS_AT;
  #record = 0;

  private constructor(
    readonly file: File,
    sequence: number,
  ) {
    this.size = file.size();
    this.#sequence = sequence;
  }

  /**
   * Begins a capture. From the first header on, nothing that was there before is told of.
   *
   * @param file a device that nobody else writes to @param held what is on it @throws LibcError
   */
  static begin(file: File, held: Held): PartitionWriter {
    const header = typeof held === "string" ? undefined : held;
    const writer = new PartitionWriter(file, header?.sequence ?? 0);
    // No signature of what was there may stay: somebody could take it for that.
    if (held === "something else" || held === "damaged capture") {
      writeBytes(file, new Uint8Array(MEMBERS_AT));
      file.sync();
    }
    // An older capture stays what it was until a header says otherwise, whichever is written first.
    writer.#write("incomplete", []);
    writer.#write("incomplete", []);
    return writer;
  }

  /** Bytes that a member may still have. */
  get room(): number {
    return Math.max(0, this.size - this.#end);
  }

  /** Bytes that a dump may have: what is left, and room for its manifest. */
  get dumpRoom(): number {
    return Math.max(0, this.room - MANIFEST_LEAST - Math.ceil(this.room / MANIFEST_SHARE));
  }

  /** Adds a member, durable. @throws LibcError ENOSPC where it does not fit */
  add(name: MemberName, bytes: Uint8Array): void {
    const member = this.#put(name, bytes, this.#end, this.room);
    this.#write(this.#state, [...this.#members, member]);
    this.#end = aligned(member.offset + member.length);
  }

  /** Writes capture.json anew, durable: the new one is there or the old one. @throws LibcError */
  record(name: MemberName, bytes: Uint8Array): void {
    const member = this.#put(name, bytes, RECORDS_AT[this.#record] as number, RECORD_ROOM);
    this.#write(this.#state, [...this.#members.filter((other) => other.name !== name), member]);
    this.#record = 1 - this.#record;
  }

  /** Where a dump is written; it is no member until {@link addDump}. */
  dumpWindow(): FileWindow {
    return new FileWindow(this.file, this.#end, this.dumpRoom);
  }

  /** Adds the dump that was written there, and its manifest, durable. @throws LibcError */
  addDump(manifest: Manifest): void {
    const { size } = manifest.dump;
    const dump = { name: DUMP_MEMBER, offset: this.#end, length: size, digest: 0n };
    const at = aligned(dump.offset + size);
    const proof = this.#put(MANIFEST_MEMBER, encodeManifest(manifest), at, this.size - at);
    this.#write(this.#state, [...this.#members, dump, proof]);
    this.#end = aligned(proof.offset + proof.length);
  }

  /** Says what has become of it, durable. @throws LibcError */
  mark(state: PartitionState): void {
    this.#write(state, this.#members);
  }

  #put(name: MemberName, bytes: Uint8Array, offset: number, room: number): PartitionMember {
    if (bytes.length > room) throw new LibcError("write", `${name} on ${this.file.path}`, ENOSPC);
    writeBytes(new FileWindow(this.file, offset, bytes.length), bytes);
    this.file.sync();
    return { name, offset, length: bytes.length, digest: xxh3(bytes) };
  }

  /** Writes a header over the older one; where that fails, the next is written there again. */
  #write(state: PartitionState, members: readonly PartitionMember[]): void {
    const { file, size } = this;
    const sequence = this.#sequence + 1;
    using page = Mapping.buffer(file.libc, HEADER_PAGE);
    page.bytes().set(encodePartitionHeader({ state, sequence, size, members }));
    file.pwrite(page.address, HEADER_PAGE, HEADERS_AT[(sequence - 1) % 2] as number);
    file.sync();
    this.#sequence = sequence;
    this.#state = state;
    this.#members = members;
  }
}

function aligned(offset: number): number {
  return Math.ceil(offset / MEMBER_ALIGN) * MEMBER_ALIGN;
}
