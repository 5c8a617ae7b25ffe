/**
 * The copy itself: windows of the source, in file order, into a sink.
 *
 * Each chunk is digested first, which touches every byte of it: whatever cannot be read has become zeros by
 * then, so that digest and dump agree. Then write(2) takes the data straight from where the kernel mapped it.
 * Where nobody asks for digests (a stream), one word of each page is touched instead.
 */
import { EFAULT, LibcError } from "../../ffi/errno.ts";
import type { Libc } from "../../ffi/libc.ts";
import { ZeroChunk } from "../dump/zero-chunk.ts";
import type { Job } from "../job.ts";
import { xxh3 } from "../kernels/xxh3.ts";
import type { Sink } from "../sink/sink.ts";
import { SourceHoles } from "../vmcore/holes.ts";
import type { Window, WindowReader } from "../vmcore/window.ts";
import type { CopyState } from "./state.ts";
import { scanZeros } from "./zeros.ts";

/** Bytes of a hole that are passed over at once: each step leaves some garbage, and a hole can have a million chunks. */
const HOLE_CHUNKS = 256;
/** A window is begun so often, where pages of it go bad between digest and write. */
const MOST_ATTEMPTS = 4;

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
  const { chunkSize } = reader;
  using zeros = new ZeroChunk(libc, chunkSize);
  while (state.offset < vmcore.size) {
    const { offset } = state;
    const holeEnd = wholeChunks(holes, vmcore.size, offset, chunkSize);
    if (holeEnd > offset) {
      const most = chunkSize * (sink.holes ? HOLE_CHUNKS : 1);
      await copyHole(libc, Math.min(holeEnd, offset + most), zeros, sink, state);
    } else {
      await copyWindow(libc, reader.window(offset), sink, state);
    }
    sink.settle(state.offset);
    settled();
    job.update(state.offset);
    await job.breathe();
  }
}

/** Where the last whole chunk ends of the hole that `offset` lies in; `offset` where there is none. */
function wholeChunks(holes: SourceHoles, size: number, offset: number, chunkSize: number): number {
  const end = holes.end(offset);
  return end >= size ? size : Math.max(offset, Math.floor(end / chunkSize) * chunkSize);
}

async function copyHole(
  libc: Libc,
  end: number,
  zeros: ZeroChunk,
  sink: Sink,
  state: CopyState,
): Promise<void> {
  const { offset } = state;
  await sink.zeros(end - offset, offset);
  state.zeroPages += Math.floor((end - offset) / libc.pageSize);
  while (state.offset < end) {
    const length = Math.min(state.chunkSize, end - state.offset);
    state.add(state.digesting ? zeros.digest(length) : undefined, zeros.bytes(length));
  }
}

async function copyWindow(libc: Libc, window: Window, sink: Sink, state: CopyState): Promise<void> {
  const { chunkSize } = state;
  try {
    const bytes = window.bytes();
    for (let attempt = 1; ; attempt++) {
      const digests = state.digesting ? digestChunks(bytes, chunkSize) : touch(libc, window);
      const unreadable = window.unreadable().length;
      // A stream takes zeros as it takes anything: nobody looks for them.
      const scan = sink.rewritable ? scanZeros(libc, window) : { runs: [], zeroPages: 0 };
      const last = attempt === MOST_ATTEMPTS || !sink.rewritable;
      // Where a part was written before, its zeros must be written too.
      const written = await writeWindow(sink, window, scan.runs, attempt > 1, last);
      if (!written || (!last && window.unreadable().length > unreadable)) continue;
      // Only now: a write that fails leaves the state at the window's start.
      state.zeroPages += scan.zeroPages;
      for (const extent of window.unreadable()) state.addUnreadable(extent);
      for (let at = 0; at < bytes.length; at += chunkSize) {
        state.add(digests[at / chunkSize], bytes.subarray(at, at + chunkSize));
      }
      return;
    }
  } finally {
    window.release();
  }
}

function digestChunks(bytes: Uint8Array, chunkSize: number): bigint[] {
  const digests: bigint[] = [];
  for (let at = 0; at < bytes.length; at += chunkSize) {
    digests.push(xxh3(bytes.subarray(at, at + chunkSize)));
  }
  return digests;
}

/** Makes pages that cannot be read known, and zeros, before the kernel meets them. @returns no digests */
function touch(libc: Libc, window: Window): bigint[] {
  if (!window.mapped) return [];
  for (let at = 0; at < window.length; at += libc.pageSize) libc.backend.peek(window.address + at);
  return [];
}

/** @returns false where the kernel met a page that cannot be read any more; the next look at it makes it zeros */
async function writeWindow(
  sink: Sink,
  window: Window,
  runs: readonly { start: number; end: number; zero: boolean }[],
  whole: boolean,
  last: boolean,
): Promise<boolean> {
  try {
    if (!sink.holes || whole) {
      await sink.data(window.address, window.length, window.offset);
      return true;
    }
    for (const { start, end, zero } of runs) {
      if (zero) await sink.zeros(end - start, window.offset + start);
      else await sink.data(window.address + start, end - start, window.offset + start);
    }
    return true;
  } catch (error) {
    if (last || !(error instanceof LibcError) || error.errno !== EFAULT) throw error;
    return false;
  }
}
