/**
 * Pages as a kdump-compressed dump stores them: packed, back to back, in PFN order.
 *
 * A packer has room for a batch of pages in memory of its own. Whoever fills it reads pages straight to `input`;
 * `pack` compresses them all into one stretch of memory, which goes to the sink in one write.
 */

/** `-c`: none stores pages as they are. */
export type CodecName = "none" | "zlib" | "lzo" | "snappy" | "zstd";

/** A page descriptor's flags: which codec a page's bytes are of; 0 where they are the page itself. */
export const CODEC_FLAGS: Readonly<Record<CodecName, number>> = {
  none: 0,
  zlib: 0x01,
  lzo: 0x02,
  snappy: 0x04,
  zstd: 0x20,
};

/** A batch that was packed. All of it is good until the next `pack`. */
export interface PackedPages {
  /** pages */
  readonly count: number;
  /** where the packed bytes lie, and how many there are */
  readonly address: number;
  readonly length: number;
  /** bytes of each page at `address`, one behind the other; 0 where the page is uniform */
  readonly sizes: Uint32Array;
  /** descriptor flags of each page */
  readonly flags: Uint32Array;
  /**
   * For a page of size 0, the 64-bit word that all of it repeats, as two 32-bit halves (low, high). Zero pages
   * are the uniform pages of word 0.
   */
  readonly words: Uint32Array;
}

export interface PagePacker extends Disposable {
  readonly codec: CodecName;
  /** most pages of a batch */
  readonly capacity: number;
  readonly pageSize: number;
  /** Where pages are to be put, `capacity * pageSize` bytes. */
  readonly input: number;
  /**
   * Packs the first `count` pages at `input`.
   *
   * A page that does not become smaller is stored as it is (flags 0).
   */
  pack(count: number): PackedPages;
}
