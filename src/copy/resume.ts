/**
 * Going on with an incomplete dump: what its partial manifest says is there is read back and checked first.
 */
import { File } from "../../ffi/file.ts";
import type { Libc } from "../../ffi/libc.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { manifestPath } from "../dump/manifest.ts";
import { readManifest } from "../dump/manifest-file.ts";
import { VmcopyError } from "../errors.ts";
import type { Job } from "../job.ts";
import { xxh3 } from "../kernels/xxh3.ts";
import { incompletePath } from "../sink/file.ts";
import type { Vmcore } from "../vmcore/vmcore.ts";
import { CHUNK } from "../vmcore/window.ts";
import { sourceIdentity } from "./identity.ts";
import type { CopyState } from "./state.ts";
import { scanZeros } from "./zeros.ts";

/**
 * Brings `state` to the end of what is there and right.
 *
 * @returns what was found, in a line for the user
 * @throws VmcopyError E_RESUME where the incomplete dump is of another crash; E_MANIFEST where its manifest is
 *   damaged
 */
export async function resumeState(libc: Libc, job: Job, vmcore: Vmcore, dest: string, state: CopyState) {
  const path = incompletePath(dest);
  if (libc.status(path) === undefined) return `there is no ${path} to go on with: starting at the beginning`;
  const manifest = readManifest(libc, manifestPath(path));
  if (manifest === undefined)
    return `${path} has no manifest, so none of it can be trusted: starting at the beginning`;
  if (manifest.source.size !== vmcore.size || manifest.source.identity !== sourceIdentity(vmcore)) {
    throw new VmcopyError(
      "E_RESUME",
      `Cannot go on with ${path}: it is of another crash (kernel ${manifest.source.kernelRelease ?? "unknown"}, ${manifest.source.size} bytes) than ${vmcore.path}; replace it by --force`,
    );
  }
  if (manifest.chunkSize !== CHUNK) {
    throw new VmcopyError(
      "E_RESUME",
      `Cannot go on with ${path}: its chunks have ${manifest.chunkSize} bytes, this vmcopy's ${CHUNK}; replace it by --force`,
    );
  }
  using file = File.open(libc, path);
  using buffer = Mapping.buffer(libc, CHUNK);
  const { length } = manifest.digests;
  job.start("check", Math.min(length * CHUNK, vmcore.size));
  try {
    for (let index = 0; index < length; index++) {
      const wanted = Math.min(CHUNK, vmcore.size - index * CHUNK);
      const bytes = buffer.bytes(0, file.pread(buffer.address, wanted, index * CHUNK));
      if (bytes.length < wanted || xxh3(bytes) !== manifest.digests.at(index)) break;
      const memory = { address: buffer.address, length: wanted, bytes: () => bytes };
      state.zeroPages += scanZeros(libc, memory).zeroPages;
      state.add(manifest.digests.at(index), bytes);
      job.update(state.offset);
      await job.breathe();
    }
  } finally {
    job.end();
  }
  for (const { offset, length: bytes } of manifest.unreadable) {
    if (offset < state.offset) state.unreadable.push({ offset, length: bytes });
  }
  return `${state.offset} of ${vmcore.size} bytes are there and right: going on behind them`;
}
