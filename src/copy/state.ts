/** How far a copy has come: all that a manifest says of it and that `--resume` needs. */
import { createHash, type Hash } from "node:crypto";
import { Digests } from "../dump/digests.ts";
import type { Extent } from "../vmcore/window.ts";

export class CopyState {
  /** Everything before is in the sink; a multiple of the chunk size, or the file's end. */
  offset = 0;
  readonly digests = new Digests();
  readonly unreadable: Extent[] = [];
  /** pages found to be all zeros; a copy to a stream does not look for them */
  zeroPages = 0;
  /** SHA-256 of everything before `offset`, where it was asked for */
  readonly sha256: Hash | undefined;

  constructor(
    /** bytes */
    readonly chunkSize: number,
    /** whether anybody will ask for the digests */
    readonly digesting: boolean,
    wantsSha256: boolean,
  ) {
    this.sha256 = wantsSha256 ? createHash("sha256") : undefined;
  }

  /** Records bytes that cannot be read; ones that follow the last are joined to it, page by page. */
  addUnreadable({ offset, length }: Extent): void {
    const last = this.unreadable[this.unreadable.length - 1];
    if (last !== undefined && last.offset + last.length === offset) {
      this.unreadable[this.unreadable.length - 1] = { offset: last.offset, length: last.length + length };
    } else {
      this.unreadable.push({ offset, length });
    }
  }

  /** Records a chunk that was copied. @param digest undefined where none are wanted @param bytes the chunk's data */
  add(digest: bigint | undefined, bytes: Uint8Array): void {
    if (digest !== undefined) this.digests.push(digest);
    this.sha256?.update(bytes);
    this.offset += bytes.length;
  }
}
