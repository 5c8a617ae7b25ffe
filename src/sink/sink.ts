/** Where a dump's bytes go. A sink is written from front to back, each step awaited before the next. */

export type SinkKind = "file" | "block" | "stream" | "part";

export interface Sink {
  /** the path as the user gave it; "-" for standard output */
  readonly path: string;
  /** Whether zeros cost nothing: they become holes. */
  readonly holes: boolean;
  /** Whether a stretch may be written once more. */
  readonly rewritable: boolean;
  /** bytes that were really written so far, holes left out */
  readonly bytesWritten: number;
  /** Writes `length` bytes of memory at `offset`. A promise only where it has to wait. @throws LibcError, VmcopyError */
  data(address: number, length: number, offset: number): void | Promise<void>;
  /** `length` zero bytes at `offset`. A promise only where it has to wait. @throws LibcError, VmcopyError */
  zeros(length: number, offset: number): void | Promise<void>;
  /** Everything before `offset` is written: it may be flushed. @throws LibcError */
  settle(offset: number): void;
  /** Makes what was written durable, where that can be asked for. @throws LibcError */
  sync(): void;
  /** Reads back what was written; only where {@link Sink.rewritable}. @returns bytes read @throws LibcError */
  read(address: number, length: number, offset: number): number;
  /** The dump is whole, `size` bytes: makes it durable. @throws LibcError */
  finish(size: number): void;
  /** Lets go of it, finished or not. */
  close(): void;
}

/** Zeros are written from one buffer of so many bytes. */
export const ZERO_BUFFER = 1 << 20;
