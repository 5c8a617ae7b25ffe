/**
 * The machine's watchdog (Documentation/watchdog/watchdog-api.rst): it resets the machine unless it is written to. The
 * character V before the close stops it.
 */
import { O_NONBLOCK, O_WRONLY, WDIOC_GETTIMEOUT } from "../../ffi/constants.ts";
import { File } from "../../ffi/file.ts";
import type { Libc } from "../../ffi/libc.ts";
import { Mapping } from "../../ffi/mapping.ts";
import type { Feedable } from "./feeding.ts";

/** Fed at most so often, in milliseconds: watchdogs wait for seconds at least. */
const INTERVAL = 500;
const FOOD = 0;
const MAGIC = "V".charCodeAt(0);

export class Watchdog implements Feedable {
  readonly #file: File;
  readonly #byte: Mapping;
  #next = 0;
  /** why it could not be fed; it is tried on */
  problem: string | undefined;

  private constructor(file: File) {
    this.#file = file;
    this.#byte = Mapping.buffer(file.libc, 1);
  }

  /** Opens it, which starts it. @throws LibcError */
  static open(libc: Libc, path: string): Watchdog {
    // O_NONBLOCK: nothing that is no watchdog makes it wait.
    const watchdog = new Watchdog(File.open(libc, path, O_WRONLY | O_NONBLOCK));
    watchdog.feed();
    return watchdog;
  }

  /** Seconds it waits before it resets the machine; undefined where it does not say. */
  get timeout(): number | undefined {
    const { libc, fd } = this.#file;
    const at = libc.structure();
    if (libc.backend.calls.ioctl(fd, WDIOC_GETTIMEOUT, at) === -1) return undefined;
    return libc.structureView.getInt32(0, true);
  }

  /** Feeds it, where it is time to. */
  feed(): void {
    const now = performance.now();
    if (now < this.#next) return;
    this.#next = now + INTERVAL;
    try {
      this.#write(FOOD);
    } catch (error) {
      this.problem ??= (error as Error).message;
    }
  }

  /** Stops it and lets go of it. @throws LibcError: then it may still reset the machine */
  stop(): void {
    this.#next = Number.POSITIVE_INFINITY;
    try {
      this.#write(MAGIC);
    } finally {
      this.#byte.unmap();
      this.#file.close();
    }
  }

  #write(byte: number): void {
    this.#byte.bytes()[0] = byte;
    this.#file.write(this.#byte.address, 1);
  }
}
