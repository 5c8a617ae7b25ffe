/**
 * What one batch needs on its way to a worker and back: a few shared arrays. The packed bytes stay where the worker
 * packed them; as all threads have one address space, their address is enough.
 *
 * A slot belongs to one worker, which has two of them, so that it packs one while the other is being written.
 * The state says whose turn it is: the main thread's (IDLE, DONE, FAILED) or the worker's (READY, STOP).
 */
import type { PackedPages } from "../codec/packed.ts";
import { type Batch, MOST_RUNS } from "./batches.ts";

/** Nothing to do. */
export const IDLE = 0;
/** There is a batch to pack. */
export const READY = 1;
/** The batch is packed. */
export const DONE = 2;
/** The worker cannot go on; its message says why. */
export const FAILED = 3;
/** No more batches will come. */
export const STOP = 4;

/** Words of the header: state, runs, pages, unreadable pages, packed bytes. */
const STATE = 0;
const RUNS = 1;
const PAGES = 2;
const UNREADABLE = 3;
const LENGTH = 4;
const HEADER_BYTES = 32;

export class Slot {
  readonly #header: Int32Array;
  /** the packed bytes' address, then start and end of each run, then unreadable PFNs */
  readonly #numbers: Float64Array;
  /** sizes, flags and the two halves of each page's word */
  readonly #pages: Uint32Array;
  readonly #capacity: number;

  /** @param shared what {@link Slot.bytes} asks for @param capacity pages of a batch, an even number */
  constructor(shared: SharedArrayBuffer, capacity: number) {
    const numbers = 1 + 2 * MOST_RUNS + capacity;
    this.#capacity = capacity;
    this.#header = new Int32Array(shared, 0, HEADER_BYTES / 4);
    this.#numbers = new Float64Array(shared, HEADER_BYTES, numbers);
    this.#pages = new Uint32Array(shared, HEADER_BYTES + 8 * numbers, 4 * capacity);
  }

  /** Bytes of shared memory that a slot takes. */
  static bytes(capacity: number): number {
    return HEADER_BYTES + 8 * (1 + 2 * MOST_RUNS + capacity) + 16 * capacity;
  }

  get state(): number {
    return Atomics.load(this.#header, STATE);
  }

  /** Waits while the state is one of `states`. @param timeout milliseconds @returns the state there is then */
  wait(states: readonly number[], timeout: number): number {
    const state = this.state;
    if (!states.includes(state)) return state;
    Atomics.wait(this.#header, STATE, state, timeout);
    return this.state;
  }

  /** Sets the state, and wakes whoever waits for it. */
  turn(state: number): void {
    Atomics.store(this.#header, STATE, state);
    Atomics.notify(this.#header, STATE);
  }

  putBatch({ runs, pages }: Batch): void {
    this.#header[RUNS] = runs.length;
    this.#header[PAGES] = pages;
    for (const [index, { start, end }] of runs.entries()) {
      this.#numbers[1 + 2 * index] = start;
      this.#numbers[2 + 2 * index] = end;
    }
  }

  batch(): Batch {
    const runs = Array.from({ length: this.#header[RUNS] as number }, (_, index) => ({
      start: this.#numbers[1 + 2 * index] as number,
      end: this.#numbers[2 + 2 * index] as number,
    }));
    return { runs, pages: this.#header[PAGES] as number };
  }

  putPacked(packed: PackedPages, unreadable: readonly number[]): void {
    const { count } = packed;
    this.#header[UNREADABLE] = unreadable.length;
    this.#header[LENGTH] = packed.length;
    this.#numbers[0] = packed.address;
    this.#numbers.set(unreadable, 1 + 2 * MOST_RUNS);
    this.#pages.set(packed.sizes.subarray(0, count), 0);
    this.#pages.set(packed.flags.subarray(0, count), this.#capacity);
    this.#pages.set(packed.words.subarray(0, 2 * count), 2 * this.#capacity);
  }

  packed(): PackedPages {
    const capacity = this.#capacity;
    const count = this.#header[PAGES] as number;
    return {
      count,
      address: this.#numbers[0] as number,
      length: this.#header[LENGTH] as number,
      sizes: this.#pages.subarray(0, count),
      flags: this.#pages.subarray(capacity, capacity + count),
      words: this.#pages.subarray(2 * capacity, 2 * capacity + 2 * count),
    };
  }

  unreadable(): number[] {
    const first = 1 + 2 * MOST_RUNS;
    return [...this.#numbers.subarray(first, first + (this.#header[UNREADABLE] as number))];
  }
}
