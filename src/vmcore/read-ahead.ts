/**
 * Reads the next piece of a file while the last one is digested and written: on a thread of libc's (aio_read(3)),
 * so that two processors work at one copy. It promises nothing: whatever is not there whole is read again by
 * whoever wants it, who can then say what is wrong.
 */
import { availableParallelism } from "node:os";
import { SIGEV_NONE } from "../../ffi/constants.ts";
import { EINPROGRESS } from "../../ffi/errno.ts";
import type { File } from "../../ffi/file.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { AIOCB, AIOCB_SIZE } from "../../ffi/structs.ts";
import type { AioCalls } from "../../ffi/symbols.ts";

/**
 * Bytes of a piece. Handing over between threads takes some 50 us, as long as reading 512 KiB of page cache: a
 * piece has to be a good deal larger.
 */
const PIECE = 2 << 20;
/** The list of requests that aio_suspend wants lies behind the one request. */
const LIST = Math.ceil(AIOCB_SIZE / 8) * 8;

interface Piece {
  readonly memory: Mapping;
  readonly offset: number;
  readonly length: number;
}

export class ReadAhead implements Disposable {
  readonly #file: File;
  /** bytes of the file */
  readonly #size: number;
  readonly #aio: AioCalls;
  readonly #request: Mapping;
  readonly #view: DataView;
  /** What was read, and what is being read. */
  #current: Piece;
  #next: Piece;
  #pending = false;

  private constructor(file: File, size: number, aio: AioCalls) {
    this.#file = file;
    this.#size = size;
    this.#aio = aio;
    this.#request = Mapping.buffer(file.libc, file.libc.pageSize);
    this.#view = new DataView(this.#request.buffer);
    this.#view.setBigUint64(LIST, BigInt(this.#request.address), true);
    this.#current = { memory: Mapping.buffer(file.libc, PIECE), offset: 0, length: 0 };
    this.#next = { memory: Mapping.buffer(file.libc, PIECE), offset: 0, length: 0 };
  }

  /** @param size bytes of the file @returns undefined on one processor, or where libc cannot do it */
  static of(file: File, size: number): ReadAhead | undefined {
    const { aio } = file.libc.backend;
    return aio === undefined || availableParallelism() < 2 ? undefined : new ReadAhead(file, size, aio);
  }

  /**
   * A stretch of the file in memory, until the next call; what follows it is being read meanwhile.
   *
   * @returns undefined where it was not foreseen, or is not there whole
   */
  take(offset: number, length: number): { memory: Mapping; at: number } | undefined {
    if (!holds(this.#current, offset, length)) {
      if (this.#wait() && holds(this.#next, offset, length)) {
        [this.#current, this.#next] = [this.#next, this.#current];
        this.#start(this.#current.offset + this.#current.length);
      } else {
        // Somewhere else, at the start or behind a hole: from here on it is foreseen again.
        this.#start(offset + length);
        return undefined;
      }
    }
    return { memory: this.#current.memory, at: offset - this.#current.offset };
  }

  /** Waits for the thread before the memory it reads into goes. */
  [Symbol.dispose](): void {
    this.#wait();
    for (const memory of [this.#current.memory, this.#next.memory, this.#request]) memory.unmap();
  }

  #start(offset: number): void {
    const length = Math.min(PIECE, this.#size - offset);
    const { memory } = this.#next;
    this.#next = { memory, offset, length: Math.max(0, length) };
    if (length <= 0) return;
    const view = this.#view;
    view.setInt32(AIOCB.aio_fildes, this.#file.fd, true);
    view.setBigUint64(AIOCB.aio_buf, BigInt(memory.address), true);
    view.setBigUint64(AIOCB.aio_nbytes, BigInt(length), true);
    view.setInt32(AIOCB["aio_sigevent.sigev_notify"], SIGEV_NONE, true);
    view.setBigInt64(AIOCB.aio_offset, BigInt(offset), true);
    this.#pending = this.#aio.aio_read(this.#request.address) === 0;
  }

  /** @returns whether a piece was begun, and is there whole */
  #wait(): boolean {
    if (!this.#pending) return false;
    this.#pending = false;
    const { address } = this.#request;
    // Interrupted by a signal, aio_suspend comes back early.
    while (this.#aio.aio_error(address) === EINPROGRESS) this.#aio.aio_suspend(address + LIST, 1, 0);
    return this.#aio.aio_return(address) === this.#next.length;
  }
}

function holds(piece: Piece, offset: number, length: number): boolean {
  return offset >= piece.offset && offset + length <= piece.offset + piece.length;
}
