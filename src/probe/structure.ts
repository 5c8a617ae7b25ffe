/**
 * The promises about the file's shape (patches 1 to 3, 5, 10 and 11): where objects lie, what fills the space
 * between them, how long the file is. They hold on a byte-for-byte copy as well.
 */
import { S_IFBLK, S_IFMT } from "../../ffi/constants.ts";
import { type Finding, fail, notApplicable, type PromiseResult, pass } from "./row.ts";
import { counted, type Subject } from "./subject.ts";

type Promised = Finding<PromiseResult>;

/** Patch 1: a page-aligned buffer can be mapped. */
export function headerBuffer(subject: Subject): Promised {
  if (!subject.live) return notApplicable("a file: its pages are aligned whatever the kernel did");
  const error = subject.unmappable;
  if (error !== undefined) return notApplicable(`only mmap could show it, and that fails (${error.code})`);
  const length = subject.roundUp(subject.vmcore.headers.headersEnd);
  const wrong = subject.disagreement(0, length);
  return wrong === undefined ? pass(`${length} bytes at offset 0 map, and agree with read`) : fail(wrong);
}

/** Patch 2: the notes begin at the first page after the headers. */
export function headerSize(subject: Subject): Promised {
  const { headersEnd, notes } = subject.vmcore.headers;
  const [note] = notes;
  if (note === undefined) return notApplicable("no PT_NOTE follows the headers");
  const seen = `headers of ${headersEnd} bytes, PT_NOTE at offset ${note.offset}`;
  return note.offset === subject.roundUp(headersEnd) ? pass(seen) : fail(seen);
}

/** Patch 3: from the headers' end to the page's end there is nothing but zeros. */
export function headerPadding(subject: Subject): Promised {
  const { headersEnd } = subject.vmcore.headers;
  const unused = subject.roundUp(headersEnd) - headersEnd;
  if (unused === 0) return notApplicable("the headers fill their pages");
  const place = `${unused} unused bytes from offset ${headersEnd}`;
  return subject.isZero(headersEnd, unused) ? pass(`${place}, all zeros`) : fail(`${place}, not all zeros`);
}

/** Patch 5: a 32-bit vmcore has the same shape. */
export function elf32(subject: Subject): Promised {
  if (subject.vmcore.headers.elfClass !== 32) return notApplicable("this vmcore is ELF64");
  const rules = [headerSize, objectOffsets, fileSize].map((rule) => rule(subject));
  const broken = rules.find(({ result }) => result === "fail");
  return broken === undefined
    ? pass("ELF32: header size, offsets and file size are rounded")
    : fail(broken.seen);
}

/** Patch 10: every object begins at a page; p_offset is as far into its page as p_paddr is. */
export function objectOffsets(subject: Subject): Promised {
  const { vmcore, pageSize } = subject;
  const { notes, loads } = vmcore.headers;
  const known = loads.filter(({ physicalAddress }) => physicalAddress !== undefined);
  const off =
    notes.find(({ offset }) => offset % pageSize !== 0) ??
    known.find(
      ({ offset, physicalAddress }) =>
        offset % pageSize !== Number((physicalAddress ?? 0n) % BigInt(pageSize)),
    );
  if (off !== undefined) {
    const address = off.physicalAddress?.toString(16) ?? "unknown";
    return fail(
      `program header ${off.index} has p_offset 0x${off.offset.toString(16)}, p_paddr 0x${address}`,
    );
  }
  const objects = `${counted(notes.length, notes.length, "PT_NOTE")} and ${counted(known.length, loads.length, "PT_LOAD")}`;
  return pass(`${objects} begin at whole pages of ${pageSize} bytes`);
}

/** Patch 11: the file is as long as its objects, each rounded up, and has nothing between them. */
export function fileSize(subject: Subject): Promised {
  const { vmcore, objects } = subject;
  let end = 0;
  for (const { name, offset, length } of objects) {
    if (offset !== end)
      return fail(`${name} begins at offset ${offset}, the object before it ends at ${end}`);
    end = offset + length;
  }
  const seen = `${objects.length} objects end at ${end}, the file has ${vmcore.size} bytes`;
  const isDevice = (vmcore.file.status().mode & S_IFMT) === S_IFBLK;
  if (isDevice && vmcore.size > end) return notApplicable(`${seen}: a block device is as large as it is`);
  return vmcore.size === end ? pass(seen) : fail(seen);
}
