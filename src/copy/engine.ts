/**
 * The copy itself: windows of the source, in file order, into a sink.
 *
 * Each chunk is digested first, which touches every byte of it: whatever cannot be read has become zeros by
 * then, so that digest and dump agree. Then write(2) takes the data straight from where the kernel mapped it.
 */
import type { Libc } from "../../ffi/libc.ts";
import { Mapping } from "../../ffi/mapping.ts";
import type { Job } from "../job.ts";
import { xxh3 } from "../kernels/xxh3.ts";
import type { Sink } from "../sink/sink.ts";
import { SourceHoles } from "../vmcore/holes.ts";
import { CHUNK, type Window, type WindowReader } from "../vmcore/window.ts";
import type { CopyState } from "./state.ts";
import { scanZeros } from "./zeros.ts";

/**
 * Copies from `state.offset` to the source's end.
 *
 * @param settled called after each step, with everything before `state.offset` handed to the sink
 * @throws LibcError, VmcopyError; `state` then says how far it came
 */
export async function copyWindows(
  job: Job,
  reader: WindowReader,
  sink: Sink,
  state: CopyState,
  settled: () => void,
): Promise<void> {
  const { vmcore } = reader;
  const { libc } = vmcore.file;
  const holes = new SourceHoles(vmcore.file, vmcore.backing === "procfs" ? 0 : vmcore.size);
  using zeros = new ZeroChunk(libc);
  while (state.offset < vmcore.size) {
    const { offset } = state;
    const chunkEnd = Math.min(offset + CHUNK, vmcore.size);
    if (holes.end(offset) >= chunkEnd) {
      sink.zeros(chunkEnd - offset, offset);
      state.zeroPages += Math.floor((chunkEnd - offset) / libc.pageSize);
      state.add(zeros.digest(chunkEnd - offset), zeros.bytes(chunkEnd - offset));
    } else {
      copyWindow(libc, reader.window(offset), sink, state);
    }
    sink.settle(state.offset);
    settled();
    job.update(state.offset);
    await job.breathe();
  }
}

function copyWindow(libc: Libc, window: Window, sink: Sink, state: CopyState): void {
  try {
    const bytes = window.bytes();
    const digests: bigint[] = [];
    for (let at = 0; at < window.length; at += CHUNK) digests.push(xxh3(bytes.subarray(at, at + CHUNK)));
    const scan = scanZeros(libc, window);
    if (sink.holes) {
      for (const { start, end, zero } of scan.runs) {
        if (zero) sink.zeros(end - start, window.offset + start);
        else sink.data(window.address + start, end - start, window.offset + start);
      }
    } else {
      sink.data(window.address, window.length, window.offset);
    }
    // Only now: a write that fails leaves the state at the window's start.
    state.zeroPages += scan.zeroPages;
    state.unreadable.push(...window.unreadable());
    for (const [index, digest] of digests.entries()) {
      state.add(digest, bytes.subarray(index * CHUNK, (index + 1) * CHUNK));
    }
  } finally {
    window.release();
  }
}

/** A chunk of zeros and its digest. Never written to, it takes no memory: the kernel maps its zero page. */
class ZeroChunk implements Disposable {
  readonly #memory: Mapping;
  #whole: bigint | undefined;

  constructor(libc: Libc) {
    this.#memory = Mapping.buffer(libc, CHUNK);
  }

  bytes(length: number): Uint8Array {
    return this.#memory.bytes(0, length);
  }

  digest(length: number): bigint {
    if (length < CHUNK) return xxh3(this.bytes(length));
    this.#whole ??= xxh3(this.bytes(CHUNK));
    return this.#whole;
  }

  [Symbol.dispose](): void {
    this.#memory.unmap();
  }
}
