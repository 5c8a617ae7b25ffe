/** The promises about reading (patches 7, 9 and 12): across borders, the merged notes, and pages at ragged ends. */
import { type Finding, fail, notApplicable, type PromiseResult, pass } from "./row.ts";
import { counted, PIECE, type Subject, spread } from "./subject.ts";

type Promised = Finding<PromiseResult>;

/** Borders and ends that are looked at; a vmcore seldom has more than a few dozen. */
const MOST = 64;
/** Of the notes so much is held against read; device dumps can make them very long. */
const MOST_NOTES = 16 << 20;

/** Patch 7: one read may cross from one object into the next, and ends where the file ends. */
export function reading(subject: Subject): Promised {
  if (!subject.live) return notApplicable("a file: its file system reads it, not read_vmcore()");
  const borders = subject.objects.slice(1).map(({ offset }) => offset);
  const looked = spread(borders, MOST);
  for (const border of looked) {
    const wrong = crossing(subject, border);
    if (wrong !== undefined) return fail(wrong);
  }
  const { file, size } = subject.vmcore;
  const { address } = subject.buffer;
  const last = file.pread(address, subject.pageSize, size - 1);
  const beyond = file.pread(address, subject.pageSize, size);
  const end = `at its end ${last} byte, behind it ${beyond}`;
  if (last !== 1 || beyond !== 0) return fail(`${end} (expected 1 and 0)`);
  return pass(
    `reads across ${counted(looked.length, borders.length, "border")} agree with reads beside them; ${end}`,
  );
}

/** Half a page on both sides at once, then each by itself, then seven bytes across. @returns what is wrong */
function crossing({ vmcore, libc, buffer, pageSize }: Subject, border: number): string | undefined {
  const half = pageSize / 2;
  const whole = buffer.address;
  const parts = buffer.address + PIECE;
  const { file } = vmcore;
  const differ = (a: number, b: number, length: number) => libc.backend.calls.memcmp(a, b, length) !== 0;
  if (file.pread(whole, pageSize, border - half) < pageSize) return `a read across offset ${border} is short`;
  file.pread(parts, half, border - half);
  file.pread(parts + half, half, border);
  if (differ(whole, parts, pageSize))
    return `a read across offset ${border} differs from two reads beside it`;
  file.pread(parts, 7, border - 3);
  if (differ(whole + half - 3, parts, 7)) return `7 bytes across offset ${border} differ from a longer read`;
  return undefined;
}

/** Patch 9: one PT_NOTE in pages of its own, zeros behind it, which can be mapped. */
export function notes(subject: Subject): Promised {
  const { vmcore, live } = subject;
  const [note, ...others] = vmcore.headers.notes;
  if (note === undefined || others.length > 0) {
    return fail(`${vmcore.headers.notes.length} PT_NOTEs, one is expected`);
  }
  if (note.offset % subject.pageSize !== 0)
    return fail(`PT_NOTE begins inside a page, at offset ${note.offset}`);
  if (vmcore.notes.length === 0) return fail(`PT_NOTE at offset ${note.offset} holds no note`);
  const end = note.offset + note.fileSize;
  const padding = Math.min(vmcore.size, subject.roundUp(end)) - end;
  if (!subject.isZero(end, padding)) return fail(`the ${padding} bytes behind the notes are not all zeros`);
  const seen = `${counted(vmcore.notes.length, vmcore.notes.length, "note")} in one PT_NOTE of ${note.fileSize} bytes, ${padding} zeros behind it`;
  if (!live) return pass(`${seen}; a file, so whether the kernel lets it be mapped cannot be seen`);
  const error = subject.unmappable;
  if (error !== undefined) return pass(`${seen}; mmap fails (${error.code})`);
  const length = Math.min(MOST_NOTES, subject.roundUp(note.fileSize));
  const wrong = subject.disagreement(note.offset, length);
  return wrong === undefined ? pass(`${seen}; ${length} bytes map, and agree with read`) : fail(wrong);
}

/** Patch 12: where a PT_LOAD begins or ends inside a page, that page is there, whole. */
export function raggedEnds(subject: Subject): Promised {
  const { vmcore, pageSize, live } = subject;
  const pages = subject.loads.flatMap(({ load, offset, length }) => {
    if (load === undefined) return [];
    const head = load.offset % pageSize === 0 ? [] : [offset];
    const tail = (load.offset + load.fileSize) % pageSize === 0 ? [] : [offset + length - pageSize];
    return [...head, ...tail];
  });
  if (pages.length === 0) return notApplicable("every PT_LOAD begins and ends at a page");
  const mapped = live && subject.unmappable === undefined;
  const looked = spread(pages, MOST);
  for (const page of looked) {
    const count = vmcore.file.pread(subject.buffer.address, pageSize, page);
    if (count < pageSize) return fail(`the page at offset ${page} has ${count} of ${pageSize} bytes`);
    const wrong = mapped ? subject.disagreement(page, pageSize) : undefined;
    if (wrong !== undefined) return fail(wrong);
  }
  const how = mapped ? "are read whole, and mapped alike" : "are read whole";
  return pass(`${counted(looked.length, pages.length, "page")} at ragged heads and tails ${how}`);
}
