/**
 * Batches packed on N threads (`-j N`) and handed over in PFN order. Each worker opens the source itself, maps
 * windows of its own, and has two packers: while one batch is being written it packs the next. Nobody spins: who
 * has nothing to do sleeps in the kernel (futex, by Atomics.wait).
 */
import type { CodecName } from "../codec/packed.ts";
import { type ErrorCode, VmcopyError } from "../errors.ts";
import type { Job } from "../job.ts";
import type { Method } from "../vmcore/window.ts";
import type { Batch } from "./batches.ts";
import type { PackedBatch } from "./packing.ts";
import { DONE, FAILED, IDLE, READY, Slot, STOP } from "./slot.ts";

/** Batches that a worker has in hand: one to pack, one to be written. */
const SLOTS = 2;
/** How long the main thread sleeps at most before it lets signals in, in milliseconds. */
const NAP = 100;

/** What a worker is told at its start. */
export interface WorkerTask {
  readonly sources: readonly string[];
  readonly method: Method;
  /** bytes */
  readonly mapSize: number;
  readonly codec: CodecName;
  /** bytes */
  readonly pageSize: number;
  /** pages of a batch */
  readonly capacity: number;
  readonly slots: readonly SharedArrayBuffer[];
  /** one word, the lock of the SIGBUS handler: workers install theirs one after the other */
  readonly lock: SharedArrayBuffer;
}

/** What a worker says where it cannot go on. */
export interface WorkerFailure {
  readonly code: ErrorCode;
  readonly message: string;
}

export class Workers implements Disposable {
  readonly #job: Job;
  readonly #workers: Worker[] = [];
  readonly #slots: Slot[] = [];
  #failure: WorkerFailure | undefined;

  /** Starts them; they open the source while the caller goes on. @param count 1 or more */
  constructor(job: Job, count: number, task: Omit<WorkerTask, "slots" | "lock">) {
    this.#job = job;
    const lock = new SharedArrayBuffer(4);
    const shared = Array.from({ length: count }, () =>
      Array.from({ length: SLOTS }, () => new SharedArrayBuffer(Slot.bytes(task.capacity))),
    );
    for (const slots of shared) {
      const worker = new Worker(workerUrl(), { type: "module" });
      worker.addEventListener("message", ({ data }) => this.#fail(data as WorkerFailure));
      worker.addEventListener("error", ({ message }) =>
        this.#fail({ code: "E_INTERNAL", message: `a worker ended: ${message}` }),
      );
      worker.postMessage({ ...task, slots, lock } satisfies WorkerTask);
      this.#workers.push(worker);
    }
    // Turn by turn: the first slot of each worker, then the second of each.
    for (let slot = 0; slot < SLOTS; slot++) {
      for (const slots of shared) this.#slots.push(new Slot(slots[slot] as SharedArrayBuffer, task.capacity));
    }
  }

  /**
   * Packs batches.
   *
   * @yields one for each batch, in order @throws VmcopyError as the worker failed; Interrupted
   */
  async *pack(work: Iterable<Batch>): AsyncGenerator<PackedBatch> {
    const batches = work[Symbol.iterator]();
    const pending: Slot[] = [];
    const hand = (slot: Slot): void => {
      const { value, done } = batches.next();
      if (done === true) return;
      slot.putBatch(value);
      slot.turn(READY);
      pending.push(slot);
    };
    for (const slot of this.#slots) hand(slot);
    for (let slot = pending.shift(); slot !== undefined; slot = pending.shift()) {
      await this.#done(slot);
      yield { ...slot.batch(), packed: slot.packed(), unreadable: slot.unreadable() };
      slot.turn(IDLE);
      hand(slot);
    }
  }

  async #done(slot: Slot): Promise<void> {
    for (;;) {
      const state = slot.wait([READY], NAP);
      if (state === DONE) return;
      await this.#job.breathe();
      if (this.#failure !== undefined) throw new VmcopyError(this.#failure.code, this.#failure.message);
      // Its message is on the way.
      if (state === FAILED) await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  #fail(failure: WorkerFailure): void {
    this.#failure ??= failure;
  }

  /** Ends them; what they have in hand is dropped. */
  [Symbol.dispose](): void {
    for (const slot of this.#slots) slot.turn(STOP);
    for (const worker of this.#workers) worker.terminate();
  }
}

/** In the bundle every module has the program's URL, and the folders below src/ lie beside it. */
function workerUrl(): URL {
  const bundled = !import.meta.url.endsWith("/workers.ts");
  return new URL(bundled ? "./copy/pack-worker.ts" : "./pack-worker.ts", import.meta.url);
}
