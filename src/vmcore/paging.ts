/** How an architecture's page tables are walked; one implementation for each. */

/** Physically contiguous memory behind a virtual address. */
export interface Stretch {
  readonly physical: bigint;
  /** bytes until the page, block or direct mapping ends */
  readonly length: number;
}

/** Reads a 64-bit entry of a table. @returns undefined where it is not in the file or cannot be read */
export type ReadEntry = (physical: bigint) => bigint | undefined;

export interface Paging {
  /** @returns undefined where the address is not mapped, or a table cannot be read */
  translate(virtual: bigint, readEntry: ReadEntry): Stretch | undefined;
}
