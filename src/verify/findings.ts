/** What a verification found: where the dump differs, and what else is wrong with it. */
import type { PhysicalMap } from "../vmcore/layout.ts";

/** A stretch of the dump that is not what it should be. */
export interface Mismatch {
  /** bytes from the dump's start; of a page in a dump of pages, its physical address */
  readonly offset: number;
  /** bytes */
  readonly length: number;
  /** of its first byte; null in headers and notes, past the end, and where p_paddr is unknown */
  readonly physicalAddress: number | null;
}

/** Mismatches that are kept: a dump of another crash differs in every page. */
const MOST_KEPT = 1000;
/** Problems that are kept. */
const MOST_PROBLEMS = 1000;

export class Findings {
  readonly mismatches: Mismatch[] = [];
  readonly problems: string[] = [];
  /** stretches that differ, those not kept too */
  count = 0;
  /** bytes in them */
  bytes = 0;
  #end = -1;
  #problemCount = 0;

  constructor(readonly physical: PhysicalMap) {}

  /** A stretch differs. Call in file order; one that touches the last is joined to it. */
  mismatch(offset: number, length: number): void {
    this.bytes += length;
    const last = this.mismatches[this.mismatches.length - 1];
    if (offset === this.#end && last !== undefined) {
      // Of those that are not kept, the last is not the one to be longer.
      if (this.count <= MOST_KEPT) {
        this.mismatches[this.mismatches.length - 1] = { ...last, length: last.length + length };
      }
    } else {
      this.count++;
      if (this.mismatches.length < MOST_KEPT) {
        this.mismatches.push({ offset, length, physicalAddress: this.physical.at(offset) ?? null });
      }
    }
    this.#end = offset + length;
  }

  /** A page of a dump of pages differs, or cannot be decoded: its place is told by its physical address. */
  page(pfn: number, pageSize: number): void {
    this.count++;
    this.bytes += pageSize;
    const physicalAddress = pfn * pageSize;
    if (this.mismatches.length < MOST_KEPT) {
      this.mismatches.push({ offset: physicalAddress, length: pageSize, physicalAddress });
    }
  }

  /** One line about something else that is wrong; a bad disk can give a million of them. */
  problem(line: string): void {
    if (++this.#problemCount <= MOST_PROBLEMS) this.problems.push(line);
    else this.problems[MOST_PROBLEMS] = `and ${this.#problemCount - MOST_PROBLEMS} more`;
  }

  /** The dump has not the size it should have. @param what whose size it should have */
  sizes(dumpSize: number, rightSize: number, what: string): void {
    if (dumpSize === rightSize) return;
    const start = Math.min(dumpSize, rightSize);
    const length = Math.abs(dumpSize - rightSize);
    this.problem(
      dumpSize < rightSize
        ? `its end is missing: ${length} bytes from offset ${start} (it has ${dumpSize} bytes, ${what} ${rightSize})`
        : `it has ${length} bytes too many from offset ${start} (it has ${dumpSize} bytes, ${what} ${rightSize})`,
    );
    this.mismatch(start, length);
  }

  get ok(): boolean {
    return this.count === 0 && this.problems.length === 0;
  }
}
