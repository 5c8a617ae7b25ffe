/**
 * Writes a sample: a structurally true ELF64 vmcore of a pretended x86_64 machine, sparse.
 *
 * plan (the machine) -> layout (its vmcore) and source (PFN to bytes) -> this writer, which knows no files: it is
 * given something to write to.
 */
import { PAGE_KINDS, type PageKind, ZERO } from "./kinds.ts";
import { layOut, type SampleSegment } from "./layout.ts";
import { CHUNK_PAGES, PAGE, planMachine, type SampleOptions } from "./plan.ts";
import { PageSource } from "./source.ts";

/** Where a sample goes. What is never written must read as zeros. */
export interface SampleOutput {
  /** Sets the size of the file, in bytes; called once, first. */
  truncate(size: number): void;
  /** Writes all bytes at an offset; `bytes` is reused after the call. Offsets ascend and never overlap. */
  write(offset: number, bytes: Uint8Array): void;
}

export interface SampleSummary {
  /** bytes of the file, holes included */
  readonly size: number;
  /** bytes that were written */
  readonly dataBytes: number;
  /** the PT_LOADs */
  readonly segments: readonly SampleSegment[];
  /** pages of all segments by kind; those of the kernel image count twice, as they stand in the file */
  readonly pages: Readonly<Record<PageKind, number>>;
}

const BUFFER_PAGES = 256;

/**
 * Writes a sample vmcore.
 *
 * @param onProgress called now and then with the bytes of the file that are done, and with its size
 * @throws RangeError for an option out of its range; whatever `output` throws
 */
export function writeSample(
  output: SampleOutput,
  options: SampleOptions,
  onProgress?: (done: number, total: number) => void,
): SampleSummary {
  const steps = sampleSteps(output, options);
  for (;;) {
    const { value, done } = steps.next();
    if (done === true) return value;
    onProgress?.(value.done, value.total);
  }
}

/**
 * {@link writeSample} step by step, for a caller that has something to do in between.
 *
 * @yields the bytes of the file that are done, and its size
 */
export function* sampleSteps(
  output: SampleOutput,
  options: SampleOptions,
): Generator<{ done: number; total: number }, SampleSummary> {
  const machine = planMachine(options);
  const { segments, headers, size } = layOut(machine);
  const source = new PageSource(machine);
  output.truncate(size);
  output.write(0, headers);
  const counts = PAGE_KINDS.map(() => 0);
  const writer = new RunWriter(output);
  for (const segment of segments) {
    const end = segment.firstPfn + segment.pages;
    for (let pfn = segment.firstPfn; pfn < end; ) {
      const chunk = Math.floor(pfn / CHUNK_PAGES);
      const chunkEnd = Math.min(end, (chunk + 1) * CHUNK_PAGES);
      const position = segment.position + (pfn - segment.firstPfn) * PAGE;
      if (source.mayHoldData(chunk)) {
        writePages(source, writer, pfn, chunkEnd, position, counts);
        yield { done: position + (chunkEnd - pfn) * PAGE, total: size };
      } else {
        counts[ZERO] = (counts[ZERO] as number) + chunkEnd - pfn;
      }
      pfn = chunkEnd;
    }
  }
  writer.flush();
  yield { done: size, total: size };
  return {
    size,
    dataBytes: headers.length + writer.written,
    segments,
    pages: Object.fromEntries(PAGE_KINDS.map((kind, index) => [kind, counts[index]])) as Record<
      PageKind,
      number
    >,
  };
}

function writePages(
  source: PageSource,
  writer: RunWriter,
  from: number,
  end: number,
  position: number,
  counts: number[],
): void {
  for (let pfn = from; pfn < end; pfn++) {
    const kind = source.fillPage(pfn, writer.next(position + (pfn - from) * PAGE));
    counts[kind] = (counts[kind] as number) + 1;
    if (kind !== ZERO) writer.keep();
  }
}

/** Gathers pages that follow one another in the file, so that they are written together. */
class RunWriter {
  written = 0;
  readonly #output: SampleOutput;
  readonly #buffer = new Uint8Array(BUFFER_PAGES * PAGE);
  readonly #pages = Array.from({ length: BUFFER_PAGES }, (_, i) =>
    this.#buffer.subarray(i * PAGE, (i + 1) * PAGE),
  );
  #start = 0;
  #count = 0;

  constructor(output: SampleOutput) {
    this.#output = output;
  }

  /** Room for the page at `position` of the file; its old contents are not cleared. */
  next(position: number): Uint8Array {
    if (this.#count === BUFFER_PAGES || position !== this.#start + this.#count * PAGE) {
      this.flush();
      this.#start = position;
    }
    return this.#pages[this.#count] as Uint8Array;
  }

  /** The page last given by next() is filled and belongs in the file. */
  keep(): void {
    this.#count++;
  }

  flush(): void {
    if (this.#count === 0) return;
    this.#output.write(this.#start, this.#buffer.subarray(0, this.#count * PAGE));
    this.written += this.#count * PAGE;
    this.#count = 0;
  }
}
