/** Faults that only a clock shows: old memory mapped uncached, and read() that maps and unmaps each page. */
import { Mapping } from "../../ffi/mapping.ts";
import { formatDuration } from "../units.ts";
import { borderOf } from "./faults.ts";
import { absent, type FaultResult, type Finding, notApplicable, present } from "./row.ts";
import { PIECE, type Subject } from "./subject.ts";

type Fault = Finding<FaultResult>;

/** The best of so many rounds counts: what is slower was disturbed. */
const ROUNDS = 5;
/** Uncached memory is some fifty times slower than cached; what is below this is noise. */
const UNCACHED = 4;
/** read() in one large piece costs this share of single pages or more: nothing is saved between the pages. */
const NOTHING_SAVED = 0.5;
/** read() costs so many times what mapping and copying does. */
const SLOW = 2;

/** Copying out of a window across a border, against one inside the PT_LOAD. */
export function spanningSpeed(subject: Subject): Fault {
  const { libc } = subject;
  const least = 16;
  const border = borderOf(subject, least);
  if (border === undefined) return notApplicable(`no PT_LOAD of ${least} pages follows another object`);
  const pages = Math.min(PIECE, border.length) / libc.pageSize;
  const error = subject.refusal(border.offset - libc.pageSize, (pages + 1) * libc.pageSize);
  if (error !== undefined) return notApplicable(`a window across a border cannot be mapped (${error.code})`);
  const inside = copyTime(subject, border.offset, 0, pages);
  const across = copyTime(subject, border.offset - libc.pageSize, libc.pageSize, pages);
  const seen = `copying a page out of a window across a border takes ${per(across)}, inside one PT_LOAD ${per(inside)}`;
  if (across >= UNCACHED * inside) return present(`${seen}: it is mapped uncached`);
  return absent(`${seen} (emulators and some hypervisors do not show uncached memory)`);
}

/** read() by single pages, and by 1 MiB, against mapping and copying 1 MiB. */
export function readSpeed(subject: Subject): Fault {
  const { vmcore, libc, buffer } = subject;
  const { pageSize } = libc;
  const [first, ...others] = subject.loads;
  if (first === undefined) return notApplicable("there is no old memory");
  const largest = others.reduce((a, b) => (b.length > a.length ? b : a), first);
  const pages = Math.min(PIECE, largest.length) / pageSize;
  const bytes = pages * pageSize;
  const { offset } = largest;
  const single = best(subject, () => {
    for (let at = 0; at < bytes; at += pageSize) vmcore.file.pread(buffer.address, pageSize, offset + at);
  });
  const large = best(subject, () => vmcore.file.pread(buffer.address, bytes, offset));
  const mapped =
    subject.unmappable === undefined
      ? best(subject, () => {
          using window = Mapping.ofFile(libc, vmcore.file, offset, bytes);
          guardedCopy(subject, window, 0, bytes);
        })
      : undefined;
  const figures = `a page takes ${per(single / pages)} in reads of one page, ${per(large / pages)} in one read of ${pages}`;
  if (mapped === undefined)
    return notApplicable(`${figures}; mmap fails, so there is nothing to hold it against`);
  const seen = `${figures}, ${per(mapped / pages)} mapped and copied`;
  return large >= SLOW * mapped && large >= NOTHING_SAVED * single ? present(seen) : absent(seen);
}

/** Milliseconds a page for copying `pages` pages out of a window, from `skip` bytes behind its begin. */
function copyTime(subject: Subject, offset: number, skip: number, pages: number): number {
  const { libc, vmcore } = subject;
  const bytes = pages * libc.pageSize;
  using window = Mapping.ofFile(libc, vmcore.file, offset, skip + bytes);
  return best(subject, () => guardedCopy(subject, window, skip, bytes)) / pages;
}

function guardedCopy({ libc, guard, buffer }: Subject, window: Mapping, skip: number, bytes: number): void {
  guard.watch(window);
  libc.backend.calls.memcpy(buffer.address, window.address + skip, bytes);
  guard.unwatch();
}

/** Milliseconds that the work takes when nothing disturbs it. */
function best(subject: Subject, work: () => void): number {
  let least = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    const start = subject.now();
    work();
    least = Math.min(least, subject.now() - start);
  }
  return least;
}

function per(milliseconds: number): string {
  return formatDuration(milliseconds / 1000);
}
