/** A raw dump against its source, byte by byte. */
import { isMediumError } from "../../ffi/errno.ts";
import type { File } from "../../ffi/file.ts";
import type { Libc } from "../../ffi/libc.ts";
import { Mapping } from "../../ffi/mapping.ts";
import type { Job } from "../job.ts";
import { SourceHoles } from "../vmcore/holes.ts";
import { joinExtents, type WindowReader } from "../vmcore/window.ts";
import { Findings } from "./findings.ts";

/**
 * Compares all of the source with the dump. The source is read through its windows; the dump, a file, by pread:
 * on page cache that is measured faster than mapping it.
 *
 * @param dumpMayBeLonger the dump is on a block device, which has a size of its own
 * @returns what was found, and the bytes that were compared
 * @throws LibcError; Interrupted
 */
export async function verifyBySource(
  job: Job,
  dump: File,
  dumpSize: number,
  reader: WindowReader,
  dumpMayBeLonger: boolean,
) {
  const { vmcore, chunkSize } = reader;
  const { libc } = dump;
  const findings = new Findings(vmcore.physical);
  const dumpHoles = new SourceHoles(dump, dumpMayBeLonger ? 0 : dumpSize);
  const sourceHoles = new SourceHoles(vmcore.file, vmcore.backing === "procfs" ? 0 : vmcore.size);
  using buffer = Mapping.buffer(libc, chunkSize);
  const end = Math.min(vmcore.size, dumpSize);
  let offset = 0;
  job.start("verify", end);
  try {
    while (offset < end) {
      const bothHoles = Math.min(dumpHoles.end(offset), sourceHoles.end(offset), end);
      const skip = bothHoles >= end ? end : Math.floor(bothHoles / chunkSize) * chunkSize;
      if (skip > offset) {
        offset = skip;
      } else {
        const window = reader.window(offset, end - offset);
        try {
          for (let at = 0; at < window.length; at += chunkSize) {
            const length = Math.min(chunkSize, window.length - at);
            compare(libc, dump, buffer, window.address + at, offset + at, length, findings);
          }
          for (const bad of joinExtents(window.unreadable())) {
            findings.problem(`${bad.length} bytes at offset ${bad.offset} of ${vmcore.path} cannot be read`);
          }
          offset += window.length;
        } finally {
          window.release();
        }
      }
      job.update(offset);
      await job.breathe();
    }
  } finally {
    job.end();
  }
  if (!dumpMayBeLonger || dumpSize < vmcore.size) findings.sizes(dumpSize, vmcore.size, "its source has");
  return { findings, bytesCompared: end };
}

/** Compares one chunk; where it differs, says which bytes of which pages. */
function compare(
  libc: Libc,
  dump: File,
  buffer: Mapping,
  source: number,
  offset: number,
  length: number,
  findings: Findings,
): void {
  const { memcmp } = libc.backend.calls;
  try {
    const count = dump.pread(buffer.address, length, offset);
    if (count < length) buffer.bytes(count, length - count).fill(0);
  } catch (error) {
    if (!isMediumError(error)) throw error;
    findings.problem(
      `${length} bytes at offset ${offset} cannot be read back: ${error.text} (${error.code})`,
    );
    findings.mismatch(offset, length);
    return;
  }
  if (memcmp(buffer.address, source, length) === 0) return;
  for (let at = 0; at < length; at += libc.pageSize) {
    const page = Math.min(libc.pageSize, length - at);
    if (memcmp(buffer.address + at, source + at, page) === 0) continue;
    let first = 0;
    while (memcmp(buffer.address + at, source + at, first + 1) === 0) first++;
    let last = page;
    while (memcmp(buffer.address + at + last - 1, source + at + last - 1, page - last + 1) === 0) last--;
    findings.mismatch(offset + at + first, last - first);
  }
}
