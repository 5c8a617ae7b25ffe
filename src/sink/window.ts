/** A dump in a stretch of a device that holds other things beside it. The device stays open: it is its owner's. */
import type { FileWindow } from "../../ffi/file-window.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { VmcopyError } from "../errors.ts";
import { formatSize } from "../units.ts";
import { type Sink, ZERO_BUFFER } from "./sink.ts";
import { Writeback } from "./writeback.ts";

export class WindowSink implements Sink {
  /** What the device held before would show through a hole. */
  readonly holes = false;
  readonly rewritable = true;
  bytesWritten = 0;
  readonly #window: FileWindow;
  readonly #zeros: Mapping;
  readonly #writeback: Writeback;

  constructor(window: FileWindow) {
    this.#window = window;
    this.#zeros = Mapping.buffer(window.libc, ZERO_BUFFER);
    this.#writeback = new Writeback(window.file, window.base);
  }

  get path(): string {
    return this.#window.path;
  }

  data(address: number, length: number, offset: number): void {
    const { path, length: room } = this.#window;
    if (offset + length > room) {
      throw new VmcopyError(
        "E_NO_SPACE",
        `Cannot write to ${path}: the dump has more than the ${formatSize(room)} (${room} bytes) there is room for`,
      );
    }
    this.#window.pwrite(address, length, offset);
    this.bytesWritten += length;
  }

  zeros(length: number, offset: number): void {
    for (let done = 0; done < length; done += ZERO_BUFFER) {
      this.data(this.#zeros.address, Math.min(ZERO_BUFFER, length - done), offset + done);
    }
  }

  settle(offset: number): void {
    this.#writeback.settle(this.#window.base + offset);
  }

  sync(): void {
    this.#window.sync();
  }

  read(address: number, length: number, offset: number): number {
    return this.#window.pread(address, length, offset);
  }

  finish(): void {
    this.#window.sync();
    this.#writeback.dropAll();
  }

  close(): void {
    this.#zeros.unmap();
  }
}
