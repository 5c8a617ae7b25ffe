/** Holes of a sparse source file: what need not be read at all. */
import { SEEK_DATA, SEEK_HOLE } from "../../ffi/constants.ts";
import { ENXIO } from "../../ffi/errno.ts";
import type { File } from "../../ffi/file.ts";

/**
 * Where less than this share of a file is holes, they are not looked for: on tmpfs, finding the end of data takes
 * as long as hashing it.
 */
const WORTH_LOOKING = 1 / 16;

export class SourceHoles {
  readonly #file: File;
  readonly #size: number;
  /** Up to #dataStart there is a hole, from there to #dataEnd data; behind that, ask anew. */
  #dataStart = 0;
  #dataEnd = 0;

  /** @param size bytes; 0 where the file has no holes to look for (/proc/vmcore, a block device) */
  constructor(file: File, size: number) {
    this.#file = file;
    this.#size = size > 0 && file.status().allocated > size * (1 - WORTH_LOOKING) ? 0 : size;
  }

  /** Where the hole ends that `offset` lies in; `offset` itself where it is data. Ask in ascending order. */
  end(offset: number): number {
    if (offset >= this.#size) return offset;
    if (offset >= this.#dataEnd) {
      const { libc, fd } = this.#file;
      const start = libc.backend.calls.lseek(fd, offset, SEEK_DATA);
      if (start === -1) {
        // ENXIO: no data to the end, unless the end was cut off meanwhile, which reading must find out. Anything
        // else: this file system cannot tell, so all is data.
        const nothing = libc.backend.errno() === ENXIO && this.#file.size() >= this.#size;
        this.#dataStart = nothing ? this.#size : offset;
        this.#dataEnd = Infinity;
      } else {
        const end = libc.backend.calls.lseek(fd, start, SEEK_HOLE);
        this.#dataStart = start;
        this.#dataEnd = end === -1 ? Infinity : end;
      }
    }
    return Math.max(offset, this.#dataStart);
  }
}
