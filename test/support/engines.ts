/** The engines, called as the commands call them, with a job that only remembers. */
import { createHash } from "node:crypto";
import { closeSync, openSync, readFileSync, readSync, writeSync } from "node:fs";
import type { Libc } from "../../ffi/libc.ts";
import { type CopyOptions, type CopyReport, copyRaw } from "../../src/copy/raw.ts";
import type { Job } from "../../src/job.ts";
import { type VerifyOptions, type VerifyReport, verifyDump } from "../../src/verify/verify.ts";
import { libc } from "./files.ts";

/** A job that keeps what it is told. @param breathe called where signals are let in, with the bytes done */
export function testJob(
  breathe: (done: number) => void = () => {},
): Job & { told: string[]; warnings: string[] } {
  let done = 0;
  const told: string[] = [];
  const warnings: string[] = [];
  return {
    told,
    warnings,
    start: () => {},
    update: (bytes) => {
      done = bytes;
    },
    end: () => {},
    inform: (line) => told.push(line),
    warn: (line) => warnings.push(line),
    breathe: async () => breathe(done),
  };
}

const DEFAULTS = {
  sparse: true,
  direct: false,
  force: false,
  resume: false,
  manifest: true,
  sha256: false,
};

/** Copies with default options, through any libc. */
export async function copy(
  options: Pick<CopyOptions, "source" | "dest"> & Partial<CopyOptions>,
  through: Libc = libc,
  job: Job = testJob(),
): Promise<CopyReport> {
  return await copyRaw(through, job, { ...DEFAULTS, ...options });
}

export async function verify(
  dump: string,
  options: Partial<VerifyOptions> = {},
  through: Libc = libc,
): Promise<VerifyReport> {
  return await verifyDump(through, testJob(), { members: [], ...options, dump });
}

/** What a call fails with. @throws Error where it does not fail */
export async function failure(call: Promise<unknown>): Promise<Error & { code: string; exitCode?: number }> {
  const result = await call.then(
    () => undefined,
    (error) => error,
  );
  if (result === undefined) throw new Error("It did not fail");
  return result;
}

export function sha256(path: string): string {
  const hash = createHash("sha256");
  const fd = openSync(path, "r");
  const buffer = new Uint8Array(1 << 20);
  for (;;) {
    const count = readSync(fd, buffer, 0, buffer.length, null);
    if (count === 0) break;
    hash.update(buffer.subarray(0, count));
  }
  closeSync(fd);
  return hash.digest("hex");
}

export function same(one: string, other: string): boolean {
  return readFileSync(one).equals(readFileSync(other));
}

/** Changes a byte of a file, each bit of `mask` flipped. */
export function flip(path: string, offset: number, mask = 1): void {
  const fd = openSync(path, "r+");
  const byte = new Uint8Array(1);
  readSync(fd, byte, 0, 1, offset);
  writeSync(fd, Uint8Array.of((byte[0] as number) ^ mask), 0, 1, offset);
  closeSync(fd);
}
