/**
 * A flattened dump as the file that it stands for: its records are listed once, and what is read is found in them.
 * What no record covers is zeros, as in a file that was never written there.
 */
import { File } from "../../ffi/file.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { VmcopyError } from "../errors.ts";
import { decodeRecord, FLAT_HEADER, FLAT_RECORD } from "./flattened-file.ts";

/** A dump of many terabytes has fewer. */
const MOST_RECORDS = 1 << 24;

interface Record {
  /** where its bytes belong */
  readonly offset: number;
  readonly size: number;
  /** where they are */
  readonly position: number;
}

/** Where records lie, in the order of the stream. @yields up to the end record */
export function* flatRecords(file: File): Generator<Record, boolean> {
  const size = file.size();
  using buffer = Mapping.buffer(file.libc, FLAT_RECORD);
  const bytes = buffer.bytes(0, FLAT_RECORD);
  let position = FLAT_HEADER;
  for (let count = 0; ; count++) {
    if (file.pread(buffer.address, FLAT_RECORD, position) < FLAT_RECORD) return false;
    const record = decodeRecord(bytes);
    if (record === undefined || count === MOST_RECORDS) {
      throw new VmcopyError(
        "E_NOT_VMCORE",
        `Cannot read ${file.path}: there is no record of a flattened dump at offset ${position}`,
        1,
      );
    }
    if (record.size === -1) return true;
    position += FLAT_RECORD;
    if (position + record.size > size) return false;
    yield { ...record, position };
    position += record.size;
  }
}

export class FlattenedView extends File {
  readonly #file: File;
  readonly #offsets: Float64Array;
  readonly #sizes: Float64Array;
  readonly #positions: Float64Array;
  readonly #size: number;
  /** The stream has no end record: it was cut off. */
  readonly truncated: boolean;

  private constructor(file: File, records: readonly Record[], truncated: boolean) {
    super(file.libc, file.fd, file.path);
    this.#file = file;
    this.truncated = truncated;
    this.#offsets = Float64Array.from(records, ({ offset }) => offset);
    this.#sizes = Float64Array.from(records, ({ size }) => size);
    this.#positions = Float64Array.from(records, ({ position }) => position);
    this.#size = records.reduce((end, { offset, size }) => Math.max(end, offset + size), 0);
  }

  /** @throws VmcopyError E_NOT_VMCORE where a record is none, or two cover the same byte */
  static of(file: File): FlattenedView {
    const records: Record[] = [];
    const walk = flatRecords(file);
    let step = walk.next();
    for (; step.done !== true; step = walk.next()) records.push(step.value);
    records.sort((a, b) => a.offset - b.offset);
    return new FlattenedView(file, withoutOverlap(records, file.path), !step.value);
  }

  override size(): number {
    return this.#size;
  }

  override pread(address: number, length: number, offset: number): number {
    const end = Math.min(offset + length, this.#size);
    for (let at = offset, index = this.#recordAt(offset); at < end; ) {
      const start = this.#offsets[index] ?? Number.POSITIVE_INFINITY;
      const to = address + at - offset;
      if (at < start) {
        const gap = Math.min(end, start) - at;
        new Uint8Array(this.libc.backend.view(to, gap)).fill(0);
        at += gap;
        continue;
      }
      const inside = at - start;
      const piece = Math.min(end - at, (this.#sizes[index] as number) - inside);
      if (piece > 0) {
        const count = this.#file.pread(to, piece, (this.#positions[index] as number) + inside);
        if (count < piece) return at + count - offset;
        at += piece;
      }
      index++;
    }
    return Math.max(0, end - offset);
  }

  override close(): void {
    this.#file.close();
  }

  /** The last record that begins at or before an offset; 0 where none does. */
  #recordAt(offset: number): number {
    let low = 0;
    let high = this.#offsets.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#offsets[middle] as number) <= offset) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }
}

/**
 * makedumpfile writes a header twice, byte for byte at the same place: the later record counts. Other overlaps
 * no reader agrees on.
 */
function withoutOverlap(records: Record[], path: string): Record[] {
  const kept: Record[] = [];
  for (const record of records) {
    const last = kept[kept.length - 1];
    if (last !== undefined && record.offset < last.offset + last.size) {
      if (record.offset !== last.offset) {
        throw new VmcopyError(
          "E_NOT_VMCORE",
          `Cannot read ${path}: two records of the flattened dump cover the byte at ${record.offset}`,
          1,
        );
      }
      const [first, second] = record.position > last.position ? [last, record] : [record, last];
      kept.pop();
      kept.push(second);
      if (first.size > second.size) {
        const cut = second.size;
        kept.push({ offset: first.offset + cut, size: first.size - cut, position: first.position + cut });
      }
    } else {
      kept.push(record);
    }
  }
  return kept;
}
