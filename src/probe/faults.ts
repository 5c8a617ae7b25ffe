/**
 * The known faults of today's kernels, on x86: a window that crosses from one object into the next covers each only
 * in part, and the kernel then looks the memory type of old memory up page by page instead of reserving it
 * (track_pfn_remap() in arch/x86/mm/pat/memtype.c). vmcopy never makes such windows; programs that do can meet
 * all of these.
 */
import { MAP_FAILED, MAP_PRIVATE, PROT_READ } from "../../ffi/constants.ts";
import { EAGAIN, LibcError } from "../../ffi/errno.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { absent, type FaultResult, type Finding, notApplicable, present } from "./row.ts";
import type { Subject, VmcoreObject } from "./subject.ts";

type Fault = Finding<FaultResult>;

/** Pages of old memory behind the border that a spanning window covers. */
const SPAN = 6;

/** A PT_LOAD that follows another object at once. */
export function borderOf(subject: Subject, pages = SPAN): VmcoreObject | undefined {
  return subject.objects.find(({ load, offset, length }, index) => {
    const before = subject.objects[index - 1];
    return (
      load !== undefined &&
      before !== undefined &&
      before.offset + before.length === offset &&
      length >= pages * subject.libc.pageSize
    );
  });
}

/** With a window held inside a PT_LOAD, a window across its border over the same pages fails. */
export function overlap(subject: Subject): Fault {
  const border = borderOf(subject);
  if (border === undefined) return notApplicable(`no PT_LOAD of ${SPAN} pages follows another object`);
  const { libc, vmcore } = subject;
  const { pageSize } = libc;
  const where = `across the border at offset ${border.offset}`;
  const alone = spanning(subject, border);
  if (alone !== undefined) {
    return notApplicable(
      `a window ${where} fails even alone (${alone.code}): was a reservation lost before?`,
    );
  }
  using held = Mapping.ofFile(libc, vmcore.file, border.offset + pageSize, pageSize);
  const error = spanning(subject, border);
  const beside = `with ${held.length} bytes held behind the border, a window ${where}`;
  return error === undefined ? absent(`${beside} maps`) : present(`${beside} fails: ${error.code}`);
}

/**
 * Unmapping the middle of a window loses the kernel's reservation of its memory type: from then on, every window
 * across a border over those pages fails, for every program, until the machine restarts. To be run last.
 */
export function split(subject: Subject): Fault {
  const border = borderOf(subject);
  if (border === undefined) return notApplicable(`no PT_LOAD of ${SPAN} pages follows another object`);
  const where = `a window across the border at offset ${border.offset}`;
  const before = spanning(subject, border);
  if (before?.errno === EAGAIN) return present(`${where} fails already: ${before.code}`);
  if (before !== undefined) return notApplicable(`${where} fails: ${before.code}`);
  splitWindow(subject, border.offset + subject.libc.pageSize);
  const after = spanning(subject, border);
  if (after === undefined) return absent(`${where} still maps after the middle of another was unmapped`);
  return present(`${where} mapped, and fails since the middle of another was unmapped: ${after.code}`);
}

/** Maps from the page before the border to SPAN pages behind it. */
function spanning({ libc, vmcore }: Subject, { offset }: VmcoreObject): LibcError | undefined {
  const { pageSize } = libc;
  const length = (SPAN + 1) * pageSize;
  return Mapping.refusal(libc, vmcore.file, offset - pageSize, length, PROT_READ, MAP_PRIVATE);
}

/**
 * Maps three pages and unmaps the middle one first. The one place in the program where a window is not unmapped
 * whole: {@link Mapping} cannot do that, so mmap and munmap are called here directly.
 */
function splitWindow({ libc, vmcore }: Subject, offset: number): void {
  const { pageSize } = libc;
  const { calls, errno } = libc.backend;
  const address = calls.mmap(0, 3 * pageSize, PROT_READ, MAP_PRIVATE, vmcore.file.fd, offset);
  if (address === MAP_FAILED) throw new LibcError("mmap", vmcore.path, errno());
  for (const page of [1, 0, 2]) {
    libc.check("munmap", vmcore.path, calls.munmap(address + page * pageSize, pageSize));
  }
}
