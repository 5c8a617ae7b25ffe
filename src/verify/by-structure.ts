/**
 * A dump of pages by itself: its headers agree with each other, every page can be decoded, and what it says of the
 * crashed kernel is what its memory holds. zlib and zstd pages have checksums, so a flipped bit in them is found;
 * LZO, snappy and plain pages have none: those only the manifest or the source can prove.
 */
import type { Libc } from "../../ffi/libc.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { kdumpLayout } from "../dump/kdump-header.ts";
import { BLOCK_PFNS, type KdumpMember } from "../dump/kdump-member.ts";
import type { KdumpPageReader } from "../dump/kdump-page-reader.ts";
import { KdumpMemory } from "../dump/kdump-reader.ts";
import { VmcopyError } from "../errors.ts";
import type { Job } from "../job.ts";
import { AddressSpace } from "../vmcore/address-space.ts";
import { PhysicalMap } from "../vmcore/layout.ts";
import type { CrashMemory } from "../vmcore/memory.ts";
import { findNote } from "../vmcore/notes.ts";
import { decodeUtsname, readUtsnameBytes } from "../vmcore/utsname.ts";
import { Findings } from "./findings.ts";

/** Pages that are read at once. */
const BATCH = 256;

/**
 * Checks a dump that nobody wrote a manifest for.
 *
 * @param truncated a flattened stream that has no end
 * @returns what was found, and the bytes of memory that were decoded @throws LibcError; Interrupted
 */
export async function verifyByStructure(libc: Libc, job: Job, memory: CrashMemory) {
  const findings = new Findings(new PhysicalMap([]));
  if (memory.incomplete) findings.problem("it is incomplete: it is marked so, or the stream was cut off");
  if (memory instanceof KdumpMemory)
    for (const member of memory.members) checkHeaders(findings, memory, member);
  checkVmcoreinfo(findings, memory);
  const bytesCompared = await decodePages(libc, job, memory, findings);
  checkNames(libc, findings, memory);
  return { findings, bytesCompared };
}

function checkHeaders(findings: Findings, memory: KdumpMemory, member: KdumpMember): void {
  const { main, sub } = member;
  const wanted = kdumpLayout(member.pageSize, member.noteBytes.length, member.endPfn);
  const check = (name: string, value: bigint, right: bigint) => {
    if (value !== right) findings.problem(`${member.file.path}: its ${name} is ${value}, not ${right}`);
  };
  if (main.header_version >= 4n) check("sub_hdr_size", main.sub_hdr_size, BigInt(wanted.subBlocks));
  check("bitmap_blocks", main.bitmap_blocks, BigInt(wanted.bitmapBlocks));
  if (main.nr_cpus < 1n) findings.problem(`${member.file.path}: its nr_cpus is ${main.nr_cpus}`);
  // A dump that QEMU made from outside tells neither time nor release: what is not said cannot be wrong.
  if (main["timestamp.tv_sec"] <= 0n && memory.info.crashTime !== undefined)
    findings.problem(`${member.file.path}: it does not say when the kernel crashed`);
  if (memory.architecture === "other") {
    const { machine } = decodeUtsname(main.utsname);
    findings.problem(`${member.file.path}: its utsname says machine ${JSON.stringify(machine)}`);
  }
  const at = Number(sub.offset_vmcoreinfo);
  const [notesAt, notesEnd] = [Number(sub.offset_note), Number(sub.offset_note + sub.size_note)];
  if (at !== 0 && (at < notesAt || at + Number(sub.size_vmcoreinfo) > notesEnd)) {
    findings.problem(`${member.file.path}: its offset_vmcoreinfo ${at} is not in its notes`);
  }
  for (let block = 0; block * BLOCK_PFNS < member.endPfn; block++) {
    const ram = member.bits(1, block).slice();
    const kept = member.bits(2, block);
    const stray = kept.findIndex((byte, index) => (byte & ~(ram[index] as number)) !== 0);
    if (stray < 0) continue;
    findings.problem(
      `${member.file.path}: page ${block * BLOCK_PFNS + stray * 8} and those around it have data and are no RAM`,
    );
    break;
  }
  const end = member.descriptorAt(member.pages);
  if (end > member.size) {
    findings.problem(
      `${member.file.path}: it ends at ${member.size}, before its page descriptors do (${end}): it is cut off`,
    );
  }
}

function checkVmcoreinfo(findings: Findings, memory: CrashMemory): void {
  const text = findNote(memory.noteBytes, "VMCOREINFO");
  if (text === undefined) findings.problem("it has no VMCOREINFO: readers need it");
  else if (memory.info.release === undefined) findings.problem("its VMCOREINFO has no OSRELEASE");
}

/** Reads every page that is there. @returns bytes of memory */
async function decodePages(libc: Libc, job: Job, memory: CrashMemory, findings: Findings): Promise<number> {
  const { pageSize, endPfn } = memory;
  using buffer = Mapping.buffer(libc, BATCH * pageSize);
  using reader = memory.pages();
  const decode = "visit" in reader ? (reader as KdumpPageReader) : undefined;
  let pages = 0;
  job.start("verify", endPfn * pageSize);
  try {
    for (const { start, end } of memory.stored(0, endPfn)) {
      for (let pfn = start; pfn < end; pfn += BATCH) {
        const count = Math.min(BATCH, end - pfn);
        const bad = (at: number, reason: string) => {
          findings.page(at, pageSize);
          findings.problem(`page ${at} (physical address 0x${(at * pageSize).toString(16)}) ${reason}`);
        };
        if (decode !== undefined)
          decode.visit(pfn, count, buffer.address, (fault) => bad(fault.pfn, fault.reason));
        else for (const at of reader.read(pfn, count, buffer.address)) bad(at, "cannot be read back");
        pages += count;
        job.update(pfn * pageSize);
        await job.breathe();
      }
    }
  } finally {
    job.end();
  }
  return pages * pageSize;
}

/** Goes through the dump's own page tables to the kernel's names, and holds them against what the dump says. */
function checkNames(libc: Libc, findings: Findings, memory: CrashMemory): void {
  if (memory.architecture === "other" || memory.info.release === undefined) return;
  try {
    using space = AddressSpace.of(libc, memory);
    const bytes = readUtsnameBytes(space);
    if (bytes === undefined) {
      findings.problem("the crashed kernel's names (init_uts_ns) cannot be found in its memory");
      return;
    }
    const names = decodeUtsname(bytes);
    if (names.release !== memory.info.release) {
      findings.problem(`its memory says release ${names.release}, its VMCOREINFO ${memory.info.release}`);
    }
    if (!(memory instanceof KdumpMemory)) return;
    for (const { main, file } of memory.members) {
      const said = decodeUtsname(main.utsname);
      const isRight = said.release === names.release || said.release === "";
      if (isRight && said.machine === names.machine) continue;
      findings.problem(
        `${file.path}: its header says ${said.release} on ${said.machine}, its memory ${names.release}`,
      );
    }
  } catch (error) {
    if (!(error instanceof VmcopyError)) throw error;
    findings.problem(error.message);
  }
}
