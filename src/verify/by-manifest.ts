/** A dump against its manifest: every chunk is read back and digested. Nothing else is needed, on any machine. */
import { createHash } from "node:crypto";
import { isMediumError } from "../../ffi/errno.ts";
import type { File } from "../../ffi/file.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { LARGEST_CHUNK, type Manifest } from "../dump/manifest.ts";
import { ZeroChunk } from "../dump/zero-chunk.ts";
import type { Job } from "../job.ts";
import { xxh3 } from "../kernels/xxh3.ts";
import { SourceHoles } from "../vmcore/holes.ts";
import { PhysicalMap } from "../vmcore/layout.ts";
import { Findings } from "./findings.ts";

/** Chunks of holes between two signs of life. */
const HOLE_CHUNKS = 256;

/**
 * Reads all of the dump that the manifest covers.
 *
 * @param dump an open file of `dumpSize` bytes
 * @returns what was found, and the bytes that were compared
 * @throws LibcError; Interrupted
 */
export async function verifyByManifest(job: Job, dump: File, dumpSize: number, manifest: Manifest) {
  // Only in a raw dump the source's segments say where its bytes belong.
  const segments = manifest.dump.format === "raw" ? manifest.source.segments : [];
  const findings = new Findings(
    new PhysicalMap(
      segments.map(({ offset, fileSize, physicalAddress }) => ({
        offset,
        fileSize,
        physicalAddress: physicalAddress === null ? undefined : BigInt(physicalAddress),
      })),
    ),
  );
  const { chunkSize, digests } = manifest;
  if (chunkSize > LARGEST_CHUNK) {
    findings.problem(`its manifest has chunks of ${chunkSize} bytes, more than ${LARGEST_CHUNK}`);
    return { findings, bytesCompared: 0 };
  }
  const holes = new SourceHoles(dump, dumpSize);
  using buffer = Mapping.buffer(dump.libc, chunkSize);
  using zeros = new ZeroChunk(dump.libc, chunkSize);
  // Of a whole dump that was copied with --sha256.
  const sha256 = manifest.complete && manifest.sha256 !== null ? createHash("sha256") : undefined;
  const covered = Math.min(manifest.dump.size, digests.length * chunkSize);
  let bytesCompared = 0;
  job.start("verify", covered);
  try {
    for (let index = 0; index < digests.length; index++) {
      const offset = index * chunkSize;
      const length = Math.min(chunkSize, manifest.dump.size - offset, dumpSize - offset);
      if (length <= 0) break;
      let digest: bigint | undefined;
      const isHole = holes.end(offset) >= offset + length;
      if (isHole) {
        digest = zeros.digest(length);
        sha256?.update(zeros.bytes(length));
      } else {
        try {
          const bytes = buffer.bytes(0, dump.pread(buffer.address, length, offset));
          digest = xxh3(bytes);
          sha256?.update(bytes);
        } catch (error) {
          if (!isMediumError(error)) throw error;
          findings.problem(
            `${length} bytes at offset ${offset} cannot be read back: ${error.text} (${error.code})`,
          );
        }
      }
      if (digest !== digests.at(index)) findings.mismatch(offset, length);
      bytesCompared += length;
      // A hole takes no time: a million of its chunks would only make garbage.
      if (isHole && index % HOLE_CHUNKS !== 0) continue;
      job.update(bytesCompared);
      await job.breathe();
    }
  } finally {
    job.end();
  }
  if (sha256 !== undefined && sha256.digest("hex") !== manifest.sha256) {
    findings.problem("its SHA-256 is not the one in its manifest");
  }
  findings.sizes(dumpSize, manifest.dump.size, "its manifest says");
  if (!manifest.complete) {
    findings.problem(
      `it is incomplete: its manifest covers ${covered} of ${manifest.dump.size} bytes, the copy did not end`,
    );
  }
  for (const { offset, length, physicalAddress } of manifest.unreadable) {
    if (length === 0 && physicalAddress !== null) {
      findings.problem(
        `the page at physical address 0x${physicalAddress.toString(16)} could not be read when it was copied, and is lost`,
      );
      continue;
    }
    findings.problem(
      `${length} bytes at offset ${offset} could not be read when it was copied, and are zeros`,
    );
  }
  return { findings, bytesCompared };
}
