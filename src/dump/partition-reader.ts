/** Reads a capture from a raw partition, or an image of one; the format stands in partition-header.ts. */
import type { File } from "../../ffi/file.ts";
import { FileWindow } from "../../ffi/file-window.ts";
import { EXIT_DATA, VmcopyError } from "../errors.ts";
import { xxh3 } from "../kernels/xxh3.ts";
import { readBytes } from "./kdump-member.ts";
import { decodeManifest, type Manifest } from "./manifest.ts";
import {
  decodePartitionHeader,
  HEADER_SIZE,
  HEADERS_AT,
  hasPartitionMagic,
  MEMBERS_AT,
  type MemberName,
  type PartitionHeader,
  type PartitionMember,
} from "./partition-header.ts";

export const DUMP_MEMBER: MemberName = "vmcore";
export const MANIFEST_MEMBER: MemberName = "vmcore.manifest.json";

export class PartitionReader {
  private constructor(
    readonly file: File,
    readonly header: PartitionHeader,
    /** bytes that the file has: less than the header says where it is a copy that was cut off */
    readonly size: number,
  ) {}

  /**
   * @param file stays open, and the caller's
   * @returns undefined where no capture begins there
   * @throws VmcopyError E_NOT_VMCORE, exit code 1, where one does and neither header can be believed; LibcError
   */
  static of(file: File): PartitionReader | undefined {
    const found = newestHeader(file);
    if (found === undefined) return undefined;
    if (typeof found !== "string") return new PartitionReader(file, found, file.size());
    throw new VmcopyError(
      "E_NOT_VMCORE",
      `Cannot read the capture on ${file.path}: its header is damaged, and so is the second one (${found})`,
      EXIT_DATA,
    );
  }

  get path(): string {
    return this.file.path;
  }

  /** All of it was written and, where that was wanted, read back. */
  get isComplete(): boolean {
    return this.header.state === "complete";
  }

  member(name: MemberName): PartitionMember | undefined {
    return this.header.members.find((member) => member.name === name);
  }

  /**
   * The dump, as much of it as is there, as a file of its own; closing it closes the partition.
   *
   * @returns undefined where there is none
   */
  dump(): File | undefined {
    const member = this.member(DUMP_MEMBER);
    if (member === undefined) return undefined;
    const { offset, length } = member;
    return new FileWindow(this.file, offset, Math.max(0, Math.min(length, this.size - offset)));
  }

  /** A member that is no dump. @throws LibcError; VmcopyError E_MANIFEST, exit code 1, where it is not as it was written */
  bytes(member: PartitionMember): Uint8Array<ArrayBuffer> {
    const { bytes, isRight } = this.read(member);
    if (isRight) return bytes;
    const reason = this.#cutOff ?? DAMAGED;
    throw new VmcopyError("E_MANIFEST", `Cannot trust ${member.name} on ${this.path}: ${reason}`, EXIT_DATA);
  }

  /** The same, right or not. @returns as much of it as is there @throws LibcError */
  read({ name, offset, length, digest }: PartitionMember): {
    bytes: Uint8Array<ArrayBuffer>;
    isRight: boolean;
  } {
    if (name === DUMP_MEMBER) throw new RangeError(`Cannot hold ${name} in memory: it may have any size`);
    const bytes = readBytes(this.file, length, offset);
    return { bytes, isRight: bytes.length === length && xxh3(bytes) === digest };
  }

  /** The dump's. @throws VmcopyError E_MANIFEST where it is damaged; LibcError */
  manifest(): Manifest | undefined {
    const member = this.member(MANIFEST_MEMBER);
    return member && decodeManifest(this.bytes(member), `${member.name} on ${this.path}`);
  }

  /** One line each: why it is not a whole capture, as far as its header tells. */
  problems(): string[] {
    const { state, members } = this.header;
    const names = members.map(({ name }) => name).join(", ") || "nothing";
    const problems: string[] = [];
    if (state === "incomplete")
      problems.push(`the capture on it is incomplete, it was cut off or failed; it has ${names}`);
    else if (state === "log-only") problems.push(`the capture on it ended without a dump; it has ${names}`);
    else if (this.member(DUMP_MEMBER) === undefined) problems.push(`it has no dump; it has ${names}`);
    if (this.#cutOff !== undefined) problems.push(this.#cutOff);
    return problems;
  }

  get #cutOff(): string | undefined {
    const { size } = this.header;
    if (this.size >= size) return undefined;
    return `it is cut off: it has ${this.size} bytes, the partition had ${size}`;
  }
}

export const DAMAGED = "its digest does not match; it is damaged";

/** What lies on a device that a capture would be written to. */
export type Held = "nothing" | "something else" | "damaged capture" | PartitionHeader;

/**
 * What a device holds, by what lies before the place of the members: there file systems, partition tables and volumes
 * have their signatures. @throws LibcError
 */
export function heldBy(file: File): Held {
  const found = newestHeader(file);
  if (typeof found === "string") return "damaged capture";
  if (found !== undefined) return found;
  return readBytes(file, MEMBERS_AT, 0).every((byte) => byte === 0) ? "nothing" : "something else";
}

/** @returns undefined where no capture begins there; why the second header is none, where neither can be believed */
function newestHeader(file: File): PartitionHeader | string | undefined {
  if (!hasPartitionMagic(readBytes(file, HEADER_SIZE, 0))) return undefined;
  let newest: PartitionHeader | undefined;
  let reason = "";
  for (const at of HEADERS_AT) {
    try {
      const header = decodePartitionHeader(readBytes(file, HEADER_SIZE, at));
      if (newest === undefined || header.sequence > newest.sequence) newest = header;
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      reason = error.message;
    }
  }
  return newest ?? reason;
}
