/** The dump held against its manifest as the disk has it, not as the page cache does. */
import { POSIX_FADV_DONTNEED } from "../../ffi/constants.ts";
import { File } from "../../ffi/file.ts";
import type { Libc } from "../../ffi/libc.ts";
import type { Job } from "../job.ts";
import { type VerifyReport, verifyDump } from "../verify/verify.ts";

/** @param dump its path, or that of the raw partition it is on @throws VmcopyError, LibcError; Interrupted */
export async function readBack(libc: Libc, job: Job, dump: string): Promise<VerifyReport> {
  dropCache(libc, dump);
  return await verifyDump(libc, job, { dump, members: [], unfinished: true });
}

/** Takes a file or a device out of the page cache: what is read next comes from the device. @throws LibcError */
export function dropCache(libc: Libc, path: string): void {
  using file = File.open(libc, path);
  const { calls } = libc.backend;
  // Dirty pages stay: there are none once they are written.
  libc.retry("sync", path, () => calls.fdatasync(file.fd));
  calls.posix_fadvise(file.fd, 0, 0, POSIX_FADV_DONTNEED);
}
