/** The promise of patch 13, mmap_vmcore(): old memory can be mapped, for reading only, and no farther than it goes. */
import { MAP_PRIVATE, MAP_SHARED, O_RDWR, PROT_EXEC, PROT_READ, PROT_WRITE } from "../../ffi/constants.ts";
import { LibcError } from "../../ffi/errno.ts";
import { File } from "../../ffi/file.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { type Finding, fail, notApplicable, type PromiseResult, pass } from "./row.ts";
import { counted, type Subject, spread } from "./subject.ts";

/** PT_LOADs that are looked at, and bytes of each window. */
const MOST = 128;
const WINDOW = 64 << 10;

/** Patch 13. */
export function mapping(subject: Subject): Finding<PromiseResult> {
  if (!subject.live) return notApplicable("a file: its file system maps it, not mmap_vmcore()");
  const error = subject.unmappable;
  if (error !== undefined) {
    const elf32 = subject.vmcore.headers.elfClass === 32;
    if (elf32) return notApplicable(`mmap fails (${error.code}); the series maps ELF64 vmcores only`);
    return fail(`mmap fails (${error.code})`);
  }
  const windows = windowsAgree(subject);
  if (windows.wrong !== undefined) return fail(windows.wrong);
  const refusals = [...writing(subject), ...pastTheEnd(subject)];
  const wrong = refusals.filter(({ got, want }) => !want.includes(got));
  if (wrong.length > 0) {
    return fail(wrong.map(({ what, got, want }) => `${what}: ${got}, not ${want.join(" or ")}`).join("; "));
  }
  return pass([windows.seen, ...refusals.map(({ what, got }) => `${what}: ${got}`)].join("; "));
}

function windowsAgree(subject: Subject): { wrong: string | undefined; seen: string } {
  const { loads } = subject;
  const looked = spread(loads, MOST);
  let windows = 0;
  for (const { offset, length } of looked) {
    const size = Math.min(WINDOW, length);
    const middle = offset + subject.roundDown((length - size) / 2);
    for (const place of new Set([offset, middle, offset + length - size])) {
      const wrong = subject.disagreement(place, size);
      if (wrong !== undefined) return { wrong, seen: "" };
      windows++;
    }
  }
  const where = `start, middle and end of ${counted(looked.length, loads.length, "PT_LOAD")}`;
  return { wrong: undefined, seen: `${windows} windows at ${where} agree with read` };
}

/** A mapping that was asked for, what came of it, and what should have. */
interface Refusal {
  readonly what: string;
  /** errno by name, or "granted" */
  readonly got: string;
  readonly want: readonly string[];
}

function writing(subject: Subject): Refusal[] {
  const { libc, vmcore } = subject;
  const offset = subject.loads[0]?.offset ?? 0;
  const ask = (file: File, protection: number, flags: number) =>
    codeOf(Mapping.refusal(libc, file, offset, libc.pageSize, protection, flags));
  const refusals: Refusal[] = [
    { what: "PROT_WRITE", got: ask(vmcore.file, PROT_READ | PROT_WRITE, MAP_PRIVATE), want: ["EPERM"] },
    { what: "PROT_EXEC", got: ask(vmcore.file, PROT_READ | PROT_EXEC, MAP_PRIVATE), want: ["EPERM"] },
  ];
  // Of a file that is open for reading only, the kernel refuses shared writing by itself, before it asks the vmcore.
  const writable = openForWriting(subject);
  if (writable !== undefined) {
    using file = writable;
    refusals.push({
      what: "PROT_WRITE shared",
      got: ask(file, PROT_READ | PROT_WRITE, MAP_SHARED),
      want: ["EPERM"],
    });
  }
  using window = Mapping.ofFile(libc, vmcore.file, offset, libc.pageSize);
  const { calls } = libc.backend;
  const result = calls.mprotect(window.address, window.length, PROT_READ | PROT_WRITE);
  const got = codeOf(result === -1 ? new LibcError("mprotect", "", libc.backend.errno()) : undefined);
  refusals.push({ what: "mprotect to PROT_WRITE", got, want: ["EACCES"] });
  return refusals;
}

function pastTheEnd(subject: Subject): Refusal[] {
  const { vmcore, libc } = subject;
  const end = Math.ceil(vmcore.size / libc.pageSize) * libc.pageSize;
  const across = subject.refusal(end - libc.pageSize, 2 * libc.pageSize);
  const behind = subject.refusal(end, libc.pageSize);
  return [
    { what: "across the end", got: codeOf(across), want: ["EINVAL"] },
    { what: "behind the end", got: codeOf(behind), want: ["EINVAL"] },
  ];
}

function openForWriting({ libc, vmcore }: Subject): File | undefined {
  try {
    return File.open(libc, vmcore.path, O_RDWR);
  } catch (error) {
    if (error instanceof LibcError) return undefined;
    throw error;
  }
}

function codeOf(error: LibcError | undefined): string {
  return error?.code ?? "granted";
}
