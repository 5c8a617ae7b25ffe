/** A worker of `-j N`: reads and packs the batches that workers.ts puts into its slots, in turn. */
import { LibcError } from "../../ffi/errno.ts";
import { Libc } from "../../ffi/libc.ts";
import { createPacker } from "../codec/packer.ts";
import { openMemory } from "../dump/open.ts";
import { VmcopyError } from "../errors.ts";
import { readBatch } from "./packing.ts";
import { DONE, FAILED, IDLE, READY, Slot } from "./slot.ts";
import type { WorkerFailure, WorkerTask } from "./workers.ts";

/** A worker sleeps until it is woken; this is in case it never is, in milliseconds. */
const NAP = 10_000;

addEventListener("message", ({ data }: MessageEvent<WorkerTask>) => {
  const slots = data.slots.map((shared) => new Slot(shared, data.capacity));
  work(data, slots).catch((error: unknown) => {
    postMessage(failureOf(error));
    for (const slot of slots) slot.turn(FAILED);
  });
});

async function work(task: WorkerTask, slots: readonly Slot[]): Promise<void> {
  const libc = await Libc.load();
  using memory = locked(task.lock, () => openMemory(libc, task.sources, task));
  const packers = slots.map(() => createPacker(libc, task.codec, task.pageSize, task.capacity));
  const reader = memory.pages();
  for (let turn = 0; ; turn = (turn + 1) % slots.length) {
    const slot = slots[turn] as Slot;
    const packer = packers[turn] as (typeof packers)[number];
    let state = slot.state;
    while (state === IDLE || state === DONE) state = slot.wait([IDLE, DONE], NAP);
    if (state !== READY) break;
    const batch = slot.batch();
    const unreadable = readBatch(reader, batch, packer);
    slot.putPacked(packer.pack(batch.pages), unreadable);
    slot.turn(DONE);
  }
}

/** Installing a SIGBUS handler is reading the old one and setting the new: not two threads at a time. */
function locked<Result>(shared: SharedArrayBuffer, run: () => Result): Result {
  const lock = new Int32Array(shared);
  while (Atomics.compareExchange(lock, 0, 0, 1) !== 0) Atomics.wait(lock, 0, 1, NAP);
  try {
    return run();
  } finally {
    Atomics.store(lock, 0, 0);
    Atomics.notify(lock, 0, 1);
  }
}

function failureOf(error: unknown): WorkerFailure {
  if (error instanceof VmcopyError) return { code: error.code, message: error.message };
  const code = error instanceof LibcError ? "E_IO" : "E_INTERNAL";
  return { code, message: error instanceof Error ? error.message : String(error) };
}
