/**
 * A dump as a stream: standard output, a FIFO, or a character device such as /dev/null.
 *
 * A pipe can be full for as long as its reader likes. Blocked in write(2), the program would not see Ctrl-C: so
 * pipes are opened anew without blocking, and between waits signals are let in.
 */
import { O_NONBLOCK, O_WRONLY, S_IFIFO, S_IFMT } from "../../ffi/constants.ts";
import { EINVAL, EPIPE, LibcError } from "../../ffi/errno.ts";
import { File } from "../../ffi/file.ts";
import type { Libc } from "../../ffi/libc.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { VmcopyError } from "../errors.ts";
import { type Sink, ZERO_BUFFER } from "./sink.ts";

/** Milliseconds in which a signal may wait. */
const PATIENCE = 50;

export class StreamSink implements Sink {
  readonly holes = false;
  readonly rewritable = false;
  bytesWritten = 0;
  readonly #file: File;
  readonly #zeros: Mapping;
  readonly #breathe: () => Promise<void>;

  private constructor(
    readonly path: string,
    file: File,
    breathe: () => Promise<void>,
  ) {
    this.#file = withoutBlocking(file);
    this.#breathe = breathe;
    this.#zeros = Mapping.buffer(file.libc, ZERO_BUFFER);
  }

  /** Standard output, whatever it is. @param breathe lets signals in while a pipe is full */
  static standardOutput(libc: Libc, breathe: () => Promise<void>): StreamSink {
    return new StreamSink("-", new File(libc, 1, "standard output"), breathe);
  }

  /** A FIFO (waits for a reader) or a character device. @throws LibcError */
  static open(libc: Libc, path: string, breathe: () => Promise<void>): StreamSink {
    return new StreamSink(path, File.open(libc, path, O_WRONLY), breathe);
  }

  /** @throws VmcopyError E_IO where the reader of a pipe is gone; Interrupted while it waits */
  data(address: number, length: number): void | Promise<void> {
    const written = this.#write(address, length);
    if (written < length) return this.#writeRest(address + written, length - written);
  }

  async zeros(length: number): Promise<void> {
    for (let done = 0; done < length; done += ZERO_BUFFER) {
      await this.data(this.#zeros.address, Math.min(ZERO_BUFFER, length - done));
    }
  }

  settle(): void {}

  /** A pipe cannot be asked. */
  sync(): void {}

  read(): number {
    throw new Error("Cannot read back what went into a stream");
  }

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

  async #writeRest(address: number, length: number): Promise<void> {
    for (let done = 0; done < length; ) {
      this.#file.waitUntilWritable(PATIENCE);
      await this.#breathe();
      done += this.#write(address + done, length - done);
    }
  }

  /** Writes until all is written or a pipe is full. @returns bytes written */
  #write(address: number, length: number): number {
    let done = 0;
    try {
      while (done < length) {
        const count = this.#file.write(address + done, length - done);
        if (count === 0) break;
        done += count;
        this.bytesWritten += count;
      }
      return done;
    } catch (error) {
      if (!(error instanceof LibcError) || error.errno !== EPIPE) throw error;
      throw new VmcopyError(
        "E_IO",
        `Cannot write to ${this.#file.path}: whatever read it has stopped reading (EPIPE), after ${this.bytesWritten} bytes`,
      );
    }
  }
}

/**
 * A pipe that does not block, by an open file description of its own: others that hold this pipe are not changed.
 * Anything else, and a pipe that cannot be opened again (no /proc), stays as it is.
 */
function withoutBlocking(file: File): File {
  if ((file.status().mode & S_IFMT) !== S_IFIFO) return file;
  try {
    const { libc, fd, path } = file;
    const opened = File.open(libc, `/proc/self/fd/${fd}`, O_WRONLY | O_NONBLOCK);
    if (fd > 2) file.close();
    return new File(libc, opened.fd, path);
  } catch (error) {
    if (error instanceof LibcError) return file;
    throw error;
  }
}
