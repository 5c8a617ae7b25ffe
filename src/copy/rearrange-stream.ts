/**
 * A flattened stream made a file as it arrives, from a pipe as well: `makedumpfile -R`. What cannot be read twice
 * cannot be checked beforehand: a stream that ends too early leaves what came of it, marked incomplete.
 */
import { File } from "../../ffi/file.ts";
import type { Libc } from "../../ffi/libc.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { DumpFile } from "../dump/dump-file.ts";
import { decodeRecord, FLAT_HEADER, FLAT_RECORD, isFlattened } from "../dump/flattened-file.ts";
import { markIncomplete } from "../dump/incomplete-mark.ts";
import { EXIT_DATA, VmcopyError } from "../errors.ts";
import type { Job } from "../job.ts";
import { FileSink } from "../sink/file.ts";
import { openSink, sinkKind } from "./destination.ts";
import { commitDump, failed } from "./ending.ts";

export interface StreamOptions {
  readonly dest: string;
  readonly force: boolean;
}

const SOURCE = "standard input";
const BUFFER = 1 << 20;
/** Milliseconds in which a signal may wait. */
const PATIENCE = 50;

/**
 * Writes each record's bytes where they belong.
 *
 * @returns bytes of the dump
 * @throws VmcopyError E_NOT_VMCORE, exit code 1, where the stream is none, was cut off or is damaged; LibcError;
 *   Interrupted
 */
export async function rearrangeStream(libc: Libc, job: Job, { dest, force }: StreamOptions): Promise<number> {
  const kind = sinkKind(libc, dest);
  if (kind === "stream")
    throw new VmcopyError("E_USAGE", `Cannot rearrange into ${dest}: it is no file; name a file`);
  using stream = new Incoming(libc, job);
  if (!isFlattened(await stream.take(FLAT_HEADER)))
    throw damaged("it does not begin as a flattened dump does (makedumpfile -F)");
  const sink = openSink({
    ...{ libc, kind, size: 0, resumedAt: 0, warn: (line) => job.warn(line) },
    options: { dest, force, sparse: true, direct: false, resume: false },
    need: () => ({ least: 0, likely: 0, basis: "nothing is known of it" }),
    breathe: () => job.breathe(),
    beginAnew: () => {},
  });
  using file = new DumpFile(libc, sink, BUFFER, false);
  try {
    job.start("rearrange", 0);
    try {
      const size = await writeRecords(stream, file);
      await file.finish(size);
      if (sink instanceof FileSink) commitDump(libc, sink, undefined);
      return size;
    } catch (error) {
      // A full disk takes four bytes of what is there already.
      await file.sync().catch(() => {});
      await markIncomplete(libc, sink).catch(() => {});
      const done = { done: stream.taken, size: stream.taken, partial: undefined, resumable: false };
      throw failed({ libc, error, source: SOURCE, dest, kind, ...done });
    } finally {
      job.end();
    }
  } finally {
    sink.close();
  }
}

async function writeRecords(stream: Incoming, file: DumpFile): Promise<number> {
  let size = 0;
  for (;;) {
    const head = await stream.take(FLAT_RECORD);
    if (head.length < FLAT_RECORD) throw damaged(`it has no end record, it was cut off`);
    const record = decodeRecord(head);
    if (record === undefined) throw damaged(`what lies ${FLAT_RECORD} bytes before is no record`);
    if (record.offset < 0) return size;
    for (let done = 0; done < record.size; ) {
      const { address, length } = await stream.some(record.size - done);
      if (length === 0) throw damaged("it ends within a record, it was cut off");
      await file.write(address, length, record.offset + done);
      done += length;
    }
    size = Math.max(size, record.offset + record.size);
  }
}

function damaged(reason: string): VmcopyError {
  return new VmcopyError("E_NOT_VMCORE", `Cannot rearrange ${SOURCE}: ${reason}`, EXIT_DATA);
}

/** Standard input, in pieces; signals are let in while it has nothing. */
class Incoming implements Disposable {
  readonly #file: File;
  readonly #buffer: Mapping;
  readonly #job: Job;
  #start = 0;
  #end = 0;
  /** bytes so far */
  taken = 0;

  constructor(libc: Libc, job: Job) {
    this.#file = new File(libc, 0, SOURCE);
    this.#buffer = Mapping.buffer(libc, BUFFER);
    this.#job = job;
  }

  /** The next `length` bytes, fewer where the stream ends. @param length at most a buffer's */
  async take(length: number): Promise<Uint8Array> {
    if (this.#start + length > BUFFER) {
      this.#buffer.bytes(0, BUFFER).copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    while (this.#end - this.#start < length) if (!(await this.#fill())) break;
    const count = Math.min(length, this.#end - this.#start);
    const bytes = this.#buffer.bytes(this.#start, count).slice();
    this.#start += count;
    this.taken += count;
    return bytes;
  }

  /** Some of the next bytes, where they lie; good until the next call. @returns length 0 at the stream's end */
  async some(most: number): Promise<{ address: number; length: number }> {
    if (this.#start === this.#end) {
      this.#start = 0;
      this.#end = 0;
      await this.#fill();
    }
    const length = Math.min(most, this.#end - this.#start);
    const address = this.#buffer.address + this.#start;
    this.#start += length;
    this.taken += length;
    return { address, length };
  }

  async #fill(): Promise<boolean> {
    do await this.#job.breathe();
    while (!this.#file.waitUntilReadable(PATIENCE));
    const count = this.#file.read(this.#buffer.address + this.#end, BUFFER - this.#end);
    this.#end += count;
    return count > 0;
  }

  [Symbol.dispose](): void {
    this.#buffer.unmap();
  }
}
