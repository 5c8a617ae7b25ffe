/**
 * What a dump of pages is written to. Most of it comes in file order and is gathered in a buffer; headers, bitmaps
 * and descriptors come when they are known. Beside, the manifest's digests are made: of what comes in order from
 * the buffer, of the rest by reading it back.
 */
import type { Libc } from "../../ffi/libc.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { VmcopyError } from "../errors.ts";
import { xxh3 } from "../kernels/xxh3.ts";
import type { Sink } from "../sink/sink.ts";
import { Digests } from "./digests.ts";

/** Where a format's writer puts its bytes. */
export interface DumpOutput {
  /** Whether bytes may be written once more; in a flattened stream they may not. */
  readonly rewritable: boolean;
  /** Writes memory at an offset of the dump. @throws LibcError, VmcopyError */
  write(address: number, length: number, offset: number): Promise<void>;
  writeBytes(bytes: Uint8Array, offset: number): Promise<void>;
  /** Makes what was written durable, where that can be asked for. @throws LibcError */
  sync(): Promise<void>;
  /** All of the dump, `size` bytes, is written. @throws LibcError */
  finish(size: number): Promise<void>;
}

/** Bytes that are gathered before they are written. */
const BUFFER = 1 << 20;

export class DumpFile implements DumpOutput, Disposable {
  readonly rewritable: boolean;
  readonly #libc: Libc;
  readonly #sink: Sink;
  readonly #chunkSize: number;
  readonly #buffer: Mapping;
  readonly #scratch: Mapping;
  /** The gathered bytes: where they begin in the file, and how many there are. */
  #start = -1;
  #length = 0;
  /** Digests of chunks that passed through the buffer whole, by index. */
  readonly #known = new Map<number, bigint>();
  #size = 0;

  /**
   * @param chunkSize bytes of a chunk of the manifest, a divisor or a multiple of 1 MiB
   * @param digesting whether a manifest is wanted; its sink can be read then
   * @param most bytes that it may have: what would go beyond is refused as a full disk would
   */
  constructor(
    libc: Libc,
    sink: Sink,
    chunkSize: number,
    private readonly digesting: boolean,
    private readonly most = Number.POSITIVE_INFINITY,
  ) {
    this.#libc = libc;
    this.#sink = sink;
    this.#chunkSize = chunkSize;
    this.rewritable = sink.rewritable;
    this.#buffer = Mapping.buffer(libc, Math.max(BUFFER, chunkSize));
    this.#scratch = Mapping.buffer(libc, BUFFER);
  }

  /** bytes of the dump, once it is finished */
  get size(): number {
    return this.#size;
  }

  async write(address: number, length: number, offset: number): Promise<void> {
    const { memcpy } = this.#libc.backend.calls;
    this.#forget(offset, length);
    if (offset !== this.#start + this.#length) {
      if (this.#length > 0 && offset < this.#start) {
        // Something from further back: what is gathered goes on afterwards.
        await this.#put(address, length, offset);
        return;
      }
      await this.#flush();
      this.#start = offset;
    }
    for (let done = 0; done < length; ) {
      // The buffer ends where a chunk ends, so that whole chunks pass through it.
      const room = this.#buffer.length - ((this.#start + this.#length) % this.#buffer.length);
      const piece = Math.min(length - done, room);
      memcpy(this.#buffer.address + this.#length, address + done, piece);
      this.#length += piece;
      done += piece;
      if (piece === room) await this.#flush();
    }
  }

  async writeBytes(bytes: Uint8Array, offset: number): Promise<void> {
    for (let done = 0; done < bytes.length; done += BUFFER) {
      const piece = bytes.subarray(done, done + BUFFER);
      this.#scratch.bytes(0, piece.length).set(piece);
      await this.write(this.#scratch.address, piece.length, offset + done);
    }
  }

  async sync(): Promise<void> {
    await this.#flush();
    this.#sink.sync();
  }

  async finish(size: number): Promise<void> {
    await this.#flush();
    this.#size = size;
    this.#sink.finish(size);
  }

  /** XXH3-64 of each chunk of the finished dump. What was not written in order is read back. @throws LibcError */
  digests(): Digests {
    const digests = new Digests();
    const chunks = Math.ceil(this.#size / this.#chunkSize);
    for (let index = 0; index < chunks; index++) {
      const offset = index * this.#chunkSize;
      const length = Math.min(this.#chunkSize, this.#size - offset);
      const known = length === this.#chunkSize ? this.#known.get(index) : undefined;
      digests.push(known ?? xxh3(this.#readBack(length, offset)));
    }
    return digests;
  }

  /** The finished dump's bytes, piece by piece; a piece is good until the next. @throws LibcError */
  *contents(): Generator<Uint8Array> {
    for (let offset = 0; offset < this.#size; offset += this.#buffer.length) {
      yield this.#readBack(Math.min(this.#buffer.length, this.#size - offset), offset);
    }
  }

  [Symbol.dispose](): void {
    this.#buffer.unmap();
    this.#scratch.unmap();
  }

  #readBack(length: number, offset: number): Uint8Array {
    const count = this.#sink.read(this.#buffer.address, length, offset);
    const bytes = this.#buffer.bytes(0, length);
    bytes.fill(0, count);
    return bytes;
  }

  async #flush(): Promise<void> {
    if (this.#length === 0) return;
    const [start, length] = [this.#start, this.#length];
    if (this.digesting) this.#digest(start, length);
    // First: should the write fail, the same bytes are not tried again.
    this.#start = start + length;
    this.#length = 0;
    await this.#put(this.#buffer.address, length, start);
    this.#sink.settle(start + length);
  }

  /** @throws VmcopyError E_NO_SPACE, with what fits written */
  async #put(address: number, length: number, offset: number): Promise<void> {
    const fits = Math.min(length, Math.max(0, this.most - offset));
    if (fits > 0) await this.#sink.data(address, fits, offset);
    if (fits < length) {
      throw new VmcopyError(
        "E_NO_SPACE",
        `Cannot write ${this.#sink.path}: it would be larger than ${this.most} bytes, the limit that was given`,
      );
    }
  }

  /** What is written once more has another digest. */
  #forget(offset: number, length: number): void {
    if (offset === this.#start + this.#length) return;
    const last = Math.floor((offset + length - 1) / this.#chunkSize);
    for (let index = Math.floor(offset / this.#chunkSize); index <= last; index++) this.#known.delete(index);
  }

  /** Whole chunks among the gathered bytes. */
  #digest(start: number, length: number): void {
    const size = this.#chunkSize;
    for (let index = Math.ceil(start / size); (index + 1) * size <= start + length; index++) {
      this.#known.set(index, xxh3(this.#buffer.bytes(index * size - start, size)));
    }
  }
}
