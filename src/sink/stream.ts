/** A dump as a stream: standard output, a FIFO, or a character device such as /dev/null. */
import { O_WRONLY } from "../../ffi/constants.ts";
import { EINVAL, EPIPE, LibcError } from "../../ffi/errno.ts";
import { File } from "../../ffi/file.ts";
import type { Libc } from "../../ffi/libc.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { VmcopyError } from "../errors.ts";
import { type Sink, ZERO_BUFFER } from "./sink.ts";

export class StreamSink implements Sink {
  readonly holes = false;
  readonly rewritable = false;
  bytesWritten = 0;
  readonly #file: File;
  readonly #zeros: Mapping;

  private constructor(
    readonly path: string,
    file: File,
  ) {
    this.#file = file;
    this.#zeros = Mapping.buffer(file.libc, ZERO_BUFFER);
  }

  /** Standard output, whatever it is. */
  static standardOutput(libc: Libc): StreamSink {
    return new StreamSink("-", new File(libc, 1, "standard output"));
  }

  /** A FIFO (waits for a reader) or a character device. @throws LibcError */
  static open(libc: Libc, path: string): StreamSink {
    return new StreamSink(path, File.open(libc, path, O_WRONLY));
  }

  /** @throws VmcopyError E_IO where the reader of a pipe is gone */
  data(address: number, length: number): void {
    try {
      this.#file.write(address, length);
    } catch (error) {
      if (!(error instanceof LibcError) || error.errno !== EPIPE) throw error;
      throw new VmcopyError(
        "E_IO",
        `Cannot write to ${this.#file.path}: whatever read it has stopped reading (EPIPE), after ${this.bytesWritten} bytes`,
      );
    }
    this.bytesWritten += length;
  }

  zeros(length: number): void {
    for (let done = 0; done < length; done += ZERO_BUFFER) {
      this.data(this.#zeros.address, Math.min(ZERO_BUFFER, length - done));
    }
  }

  settle(): void {}

  finish(): void {
    try {
      this.#file.sync();
    } catch (error) {
      // Pipes and character devices have nothing to sync.
      if (!(error instanceof LibcError) || error.errno !== EINVAL) throw error;
    }
  }

  close(): void {
    this.#zeros.unmap();
    if (this.#file.fd > 2) this.#file.close();
  }
}
