/**
 * The flattened format, for what cannot seek: a dump as a stream of records, each with the place where its bytes
 * belong (makedumpfile -F).
 *
 *   header   4096 bytes: "makedumpfile", padded to 16; i64 type 1; i64 version 1; zeros
 *   record   i64 offset, i64 size, then `size` bytes
 *   end      offset -1, size -1
 *
 * Numbers are big-endian. No two records cover the same byte: readers differ on which of them counts.
 */
import type { DumpOutput } from "./dump-file.ts";

const FLAT_SIGNATURE = "makedumpfile";
export const FLAT_HEADER = 4096;
export const FLAT_RECORD = 16;
const TYPE_AT = 16;
const VERSION_AT = 24;
const FLAT_TYPE = 1n;
const FLAT_VERSION = 1n;

/** Writes a dump as records, one behind the other, to another output. */
export class FlattenedFile implements DumpOutput {
  readonly rewritable = false;
  readonly #out: DumpOutput;
  /** bytes of the stream so far */
  #position = 0;

  constructor(out: DumpOutput) {
    this.#out = out;
  }

  async write(address: number, length: number, offset: number): Promise<void> {
    await this.#append(encodeRecord(offset, length));
    await this.#out.write(address, length, this.#position);
    this.#position += length;
  }

  async writeBytes(bytes: Uint8Array, offset: number): Promise<void> {
    await this.#append(encodeRecord(offset, bytes.length));
    await this.#append(bytes);
  }

  /** Nothing of a stream can be waited for. */
  async sync(): Promise<void> {}

  async finish(): Promise<void> {
    await this.#append(encodeRecord(-1, -1));
    await this.#out.finish(this.#position);
  }

  async #append(bytes: Uint8Array): Promise<void> {
    if (this.#position === 0) {
      this.#position = FLAT_HEADER;
      await this.#out.writeBytes(encodeFlatHeader(), 0);
    }
    await this.#out.writeBytes(bytes, this.#position);
    this.#position += bytes.length;
  }
}

function encodeFlatHeader(): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(FLAT_HEADER);
  bytes.set(new TextEncoder().encode(FLAT_SIGNATURE));
  const view = new DataView(bytes.buffer);
  view.setBigInt64(TYPE_AT, FLAT_TYPE);
  view.setBigInt64(VERSION_AT, FLAT_VERSION);
  return bytes;
}

/** Whether a file begins as a flattened one does. @param bytes the first 32 or more */
export function isFlattened(bytes: Uint8Array): boolean {
  if (bytes.length < VERSION_AT + 8) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const signature = new TextDecoder("latin1").decode(bytes.subarray(0, FLAT_SIGNATURE.length + 1));
  return (
    signature === `${FLAT_SIGNATURE}\0` &&
    view.getBigInt64(TYPE_AT) === FLAT_TYPE &&
    view.getBigInt64(VERSION_AT) === FLAT_VERSION
  );
}

function encodeRecord(offset: number, size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(FLAT_RECORD);
  const view = new DataView(bytes.buffer);
  view.setBigInt64(0, BigInt(offset));
  view.setBigInt64(8, BigInt(size));
  return bytes;
}

/** @returns offset and size; both -1 at the end; undefined where they are no record's */
export function decodeRecord(bytes: Uint8Array): { offset: number; size: number } | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const [offset, size] = [view.getBigInt64(0), view.getBigInt64(8)];
  if (offset === -1n && size === -1n) return { offset: -1, size: -1 };
  if (offset < 0n || size <= 0n || offset + size > BigInt(Number.MAX_SAFE_INTEGER)) return undefined;
  return { offset: Number(offset), size: Number(size) };
}
