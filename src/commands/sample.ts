/** `vmcopy sample`: a realistic vmcore to try everything on, where no kernel has crashed. */
import { O_CREAT, O_EXCL, O_TRUNC, O_WRONLY } from "../../ffi/constants.ts";
import { LibcError } from "../../ffi/errno.ts";
import { File } from "../../ffi/file.ts";
import type { Libc } from "../../ffi/libc.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { EXIT_OK, Interrupted, VmcopyError } from "../errors.ts";
import type { Job } from "../job.ts";
import type { SampleSegment } from "../sample/layout.ts";
import { planMachine, type SampleOptions } from "../sample/plan.ts";
import { type SampleSummary, sampleSteps } from "../sample/sample.ts";
import { formatCount, formatDuration, formatPercent, formatSize } from "../units.ts";
import { numberOption, sizeOption, type Verb } from "./command.ts";

/** Bytes handed to the kernel at once. */
const BUFFER = 1 << 20;

export const sample: Verb = {
  describe(command) {
    command
      .summary("write a realistic vmcore to try everything on")
      .description(
        "Writes the vmcore of a machine that never was: true headers, notes, VMCOREINFO and memory map; pages of " +
          "zeros, text, structures and random data in the shares of a busy machine. The same options give the same bytes.",
      )
      .usage("[options] <file>")
      .argument("<file>", "the file to write, sparse")
      .option("--size <size>", "memory that holds data", "256M")
      .option("--ram <size>", "memory of the machine; the rest of it is zeros (default: the same as --size)")
      .option("--seed <number>", "which of the possible machines", "1")
      .option("--cpus <number>", "CPUs of the machine", "4")
      .option("--force", "replace an existing file");
  },

  async run({ libc, terminal }, paths, options) {
    const path = paths[0] as string;
    const size = sizeOption(options.size, "--size");
    const ram = options.ram === undefined ? size : sizeOption(options.ram, "--ram");
    const seed = numberOption(options.seed, "--seed", 0, Number.MAX_SAFE_INTEGER);
    const cpus = numberOption(options.cpus, "--cpus", 1, 8192);
    const started = performance.now();
    const wanted = { size, ram, seed, cpus };
    checkOptions(wanted);
    using file = create(libc, path, options.force === true);
    using buffer = Mapping.buffer(libc, BUFFER);
    const output = {
      truncate: (bytes: number) => file.truncate(bytes),
      write: (offset: number, bytes: Uint8Array) => {
        for (let at = 0; at < bytes.length; at += BUFFER) {
          const piece = bytes.subarray(at, at + BUFFER);
          buffer.bytes(0, piece.length).set(piece);
          file.pwrite(buffer.address, piece.length, offset + at);
        }
      },
    };
    const summary = await writeAll(terminal, path, sampleSteps(output, wanted));
    const seconds = (performance.now() - started) / 1000;
    return {
      exitCode: EXIT_OK,
      json: { path, ram, seed, cpus, seconds, ...summary, segments: summary.segments.map(toJson) },
      text: toText(path, summary, seconds),
    };
  },
};

/** Refuses an option out of its range before anything is written. */
function checkOptions(options: SampleOptions): void {
  try {
    planMachine(options);
  } catch (error) {
    if (error instanceof RangeError) throw new VmcopyError("E_USAGE", error.message);
    throw error;
  }
}

function create(libc: Libc, path: string, force: boolean): File {
  try {
    return File.open(libc, path, O_WRONLY | O_CREAT | (force ? O_TRUNC : O_EXCL), 0o600);
  } catch (error) {
    if (!(error instanceof LibcError) || error.code !== "EEXIST") throw error;
    throw new VmcopyError("E_EXISTS", `Cannot write ${path}: it is there already; replace it by --force`);
  }
}

async function writeAll(
  job: Job,
  path: string,
  steps: ReturnType<typeof sampleSteps>,
): Promise<SampleSummary> {
  let started = false;
  try {
    for (;;) {
      const { value, done } = steps.next();
      if (done === true) return value;
      if (!started) job.start("sample", value.total);
      started = true;
      job.update(value.done);
      await job.breathe();
    }
  } catch (error) {
    if (error instanceof Interrupted) error.message = `${error.message}: ${path} is not whole, remove it`;
    throw error;
  } finally {
    job.end();
  }
}

/** Addresses as hexadecimal strings: they do not fit a JSON number. */
function toJson(segment: SampleSegment): object {
  const hexadecimal = (_key: string, value: unknown) =>
    typeof value === "bigint" ? `0x${value.toString(16)}` : value;
  return JSON.parse(JSON.stringify(segment, hexadecimal));
}

function toText(path: string, summary: SampleSummary, seconds: number): string {
  const { size, dataBytes, segments, pages } = summary;
  const total = Object.values(pages).reduce((a, b) => a + b, 0);
  const shares = Object.entries(pages).map(([kind, count]) => `${kind} ${formatPercent(count, total)}`);
  return [
    path,
    `  ${formatSize(size)} (${formatSize(dataBytes)} of data) in ${segments.length} PT_LOADs, written in ${formatDuration(seconds)}`,
    `  ${formatCount(total)} pages: ${shares.join(", ")}`,
    "",
  ].join("\n");
}
