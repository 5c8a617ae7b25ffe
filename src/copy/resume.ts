/**
 * Going on with an incomplete dump: what its partial manifest says is there is read back and checked first.
 */
import { POSIX_FADV_DONTNEED } from "../../ffi/constants.ts";
import { isMediumError } from "../../ffi/errno.ts";
import { File } from "../../ffi/file.ts";
import type { Libc } from "../../ffi/libc.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { type Manifest, manifestPath } from "../dump/manifest.ts";
import { readManifest } from "../dump/manifest-file.ts";
import { ZeroChunk } from "../dump/zero-chunk.ts";
import { VmcopyError } from "../errors.ts";
import type { Job } from "../job.ts";
import { xxh3 } from "../kernels/xxh3.ts";
import { checkDestination, incompletePath } from "../sink/file.ts";
import { SourceHoles } from "../vmcore/holes.ts";
import type { Vmcore } from "../vmcore/vmcore.ts";
import { chunkSizeFor } from "../vmcore/window.ts";
import { sourceIdentity } from "./identity.ts";
import { CopyState } from "./state.ts";
import { scanZeros } from "./zeros.ts";

/**
 * Brings `state` to the end of what is there and right.
 *
 * @param force whether an existing dump may be replaced
 * @returns what was found, in a line for the user
 * @throws VmcopyError E_RESUME where the incomplete dump is of another crash; E_MANIFEST where its manifest is
 *   damaged; E_EXISTS
 */
export async function resumeState(
  libc: Libc,
  job: Job,
  vmcore: Vmcore,
  dest: string,
  force: boolean,
  state: CopyState,
): Promise<string> {
  const path = incompletePath(dest);
  if (libc.status(path) === undefined && !(await takeBack(libc, job, vmcore, dest))) {
    checkDestination(libc, dest, force);
    return `there is no ${path} to go on with: starting at the beginning`;
  }
  checkDestination(libc, dest, force);
  const manifest = partialManifest(libc, path);
  if (manifest === undefined) {
    return `${path} has no manifest, so none of it can be trusted: starting at the beginning`;
  }
  if (!isOf(manifest, vmcore)) {
    throw new VmcopyError(
      "E_RESUME",
      `Cannot go on with ${path}: it is of another crash (kernel ${manifest.source.kernelRelease ?? "unknown"}, ${manifest.source.size} bytes) than ${vmcore.path}; keep it by naming another file, or replace it by --force`,
    );
  }
  if (manifest.chunkSize !== state.chunkSize) {
    throw new VmcopyError(
      "E_RESUME",
      `Cannot go on with ${path}: its chunks have ${manifest.chunkSize} bytes, this vmcopy's ${state.chunkSize}; replace it by --force`,
    );
  }
  await checkChunks(libc, job, path, manifest, state);
  for (const { offset, length } of manifest.unreadable) {
    const before = Math.min(length, state.offset - offset);
    if (before > 0) state.addUnreadable({ offset, length: before });
  }
  return `${state.offset} of ${vmcore.size} bytes are there and right: going on behind them`;
}

/**
 * A copy that ended between the renaming of the dump and of its manifest left a whole dump that nothing proves.
 * Its name is taken back, so that it goes the common way.
 */
async function takeBack(libc: Libc, job: Job, vmcore: Vmcore, dest: string): Promise<boolean> {
  const path = incompletePath(dest);
  const there = libc.status(dest);
  if (there === undefined || there.size !== vmcore.size) return false;
  let manifest: Manifest | undefined;
  try {
    manifest = readManifest(libc, manifestPath(path));
  } catch {
    return false;
  }
  const state = new CopyState(chunkSizeFor(vmcore.size), true, false);
  if (!manifest?.complete || !isOf(manifest, vmcore) || manifest.chunkSize !== state.chunkSize) return false;
  await checkChunks(libc, job, dest, manifest, state);
  if (state.offset < vmcore.size) return false;
  libc.rename(dest, path);
  return true;
}

function partialManifest(libc: Libc, path: string): Manifest | undefined {
  try {
    return readManifest(libc, manifestPath(path));
  } catch (error) {
    if (error instanceof VmcopyError) {
      error.message += "; go on without it: replace the incomplete dump by --force";
    }
    throw error;
  }
}

function isOf(manifest: Manifest, vmcore: Vmcore): boolean {
  return manifest.source.size === vmcore.size && manifest.source.identity === sourceIdentity(vmcore);
}

/** Reads chunks back, up to the first that is not what the manifest says. */
async function checkChunks(libc: Libc, job: Job, path: string, manifest: Manifest, state: CopyState) {
  const { size } = manifest.source;
  using file = File.open(libc, path);
  // After a failed write the page cache may hold what the disk does not; clean pages are read from the disk again.
  libc.backend.calls.posix_fadvise(file.fd, 0, 0, POSIX_FADV_DONTNEED);
  const holes = new SourceHoles(file, file.size());
  const { chunkSize } = state;
  using buffer = Mapping.buffer(libc, chunkSize);
  using zeros = new ZeroChunk(libc, chunkSize);
  const { length } = manifest.digests;
  job.start("check", Math.min(length * chunkSize, size));
  try {
    for (let index = 0; index < length; index++) {
      const offset = index * chunkSize;
      const wanted = Math.min(chunkSize, size - offset);
      // Zeros at the end of a sparse dump are not there yet: what is missing counts as zeros.
      if (offset >= file.size() || holes.end(offset) >= offset + wanted) {
        if (zeros.digest(wanted) !== manifest.digests.at(index)) break;
        state.zeroPages += Math.floor(wanted / libc.pageSize);
        state.add(manifest.digests.at(index), zeros.bytes(wanted));
      } else {
        const bytes = buffer.bytes(0, wanted);
        if (!readChunk(file, buffer, bytes, offset) || xxh3(bytes) !== manifest.digests.at(index)) break;
        const memory = { address: buffer.address, length: wanted, bytes: () => bytes };
        state.zeroPages += scanZeros(libc, memory).zeroPages;
        state.add(manifest.digests.at(index), bytes);
      }
      job.update(state.offset);
      await job.breathe();
    }
  } finally {
    job.end();
  }
}

/** @returns false where the disk cannot give it back: it is to be copied once more */
function readChunk(file: File, buffer: Mapping, bytes: Uint8Array, offset: number): boolean {
  try {
    bytes.fill(0, file.pread(buffer.address, bytes.length, offset));
    return true;
  } catch (error) {
    if (!isMediumError(error)) throw error;
    return false;
  }
}
