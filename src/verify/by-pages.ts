/**
 * A dump of pages against its source, page by page: what it has is compared, and what it has not is proved to be
 * what its dump level leaves out.
 */
import type { Libc } from "../../ffi/libc.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { LEVEL_ZERO } from "../filter/classify.ts";
import { defaultBudget, filterPages } from "../filter/filter.ts";
import type { Job } from "../job.ts";
import { availableMemory } from "../memory-usage.ts";
import { PhysicalMap } from "../vmcore/layout.ts";
import type { CrashMemory, PageReader } from "../vmcore/memory.ts";
import { Findings } from "./findings.ts";

/** Pages that are compared at once. */
const BATCH = 64;

/**
 * @param level the dump's own, where it does not say: everything that a level can leave out may be missing
 * @returns what was found, and the bytes that were compared @throws LibcError; Interrupted
 */
export async function verifyByPages(
  libc: Libc,
  job: Job,
  dump: CrashMemory,
  source: CrashMemory,
  level: number,
) {
  const findings = new Findings(new PhysicalMap([]));
  if (dump.pageSize !== source.pageSize) {
    findings.problem(`its pages have ${dump.pageSize} bytes, its source's ${source.pageSize}`);
    return { findings, bytesCompared: 0 };
  }
  if (dump.incomplete) findings.problem("it is incomplete: it is marked so, or the stream was cut off");
  const { kept, problems } = await filterPages(libc, job, source, {
    level,
    budget: defaultBudget(availableMemory()),
  });
  for (const problem of problems) job.warn(problem);
  using pairs = new PagePairs(libc, dump, source, findings);
  job.start("verify", source.endPfn * source.pageSize);
  try {
    for (const { start, end } of dump.stored(0, dump.endPfn)) {
      for (let pfn = start; pfn < end; pfn += BATCH) {
        pairs.compare(pfn, Math.min(BATCH, end - pfn));
        job.update(pfn * source.pageSize);
        await job.breathe();
      }
    }
    for (const { start, end } of kept.runs(0, source.endPfn)) {
      let at = start;
      for (const there of dump.stored(start, end)) {
        pairs.missing(at, there.start, level);
        at = there.end;
      }
      pairs.missing(at, end, level);
      await job.breathe();
    }
  } finally {
    job.end();
  }
  return { findings, bytesCompared: pairs.compared * source.pageSize };
}

/** Reads the same pages of both. */
class PagePairs implements Disposable {
  /** pages */
  compared = 0;
  readonly #libc: Libc;
  readonly #findings: Findings;
  readonly #pageSize: number;
  readonly #dump: PageReader;
  readonly #source: PageReader;
  readonly #sourceMemory: CrashMemory;
  readonly #buffer: Mapping;

  constructor(libc: Libc, dump: CrashMemory, source: CrashMemory, findings: Findings) {
    this.#libc = libc;
    this.#findings = findings;
    this.#pageSize = source.pageSize;
    this.#dump = dump.pages();
    this.#source = source.pages();
    this.#sourceMemory = source;
    this.#buffer = Mapping.buffer(libc, 2 * BATCH * source.pageSize);
  }

  compare(pfn: number, count: number): void {
    const size = this.#pageSize;
    const [a, b] = [this.#buffer.address, this.#buffer.address + BATCH * size];
    for (const bad of this.#dump.read(pfn, count, a)) this.#fault(bad, "cannot be decoded");
    for (const bad of this.#source.read(pfn, count, b)) this.#fault(bad, "cannot be read from its source");
    this.compared += count;
    const { memcmp } = this.#libc.backend.calls;
    if (memcmp(a, b, count * size) === 0) return;
    for (let index = 0; index < count; index++) {
      if (memcmp(a + index * size, b + index * size, size) === 0) continue;
      const isThere = this.#sourceMemory.holds(pfn + index);
      if (isThere) this.#findings.page(pfn + index, size);
      else this.#fault(pfn + index, "is not in its source");
    }
  }

  /** Pages that the level keeps and the dump has not: only zero pages may be missing. */
  missing(start: number, end: number, level: number): void {
    const size = this.#pageSize;
    for (let pfn = start; pfn < end; pfn += BATCH) {
      const count = Math.min(BATCH, end - pfn);
      this.#source.read(pfn, count, this.#buffer.address);
      for (let index = 0; index < count; index++) {
        const at = this.#buffer.address + index * size;
        const isZero =
          this.#libc.backend.peek(at) === 0 && this.#libc.backend.calls.memcmp(at, at + 4, size - 4) === 0;
        if (isZero && (level & LEVEL_ZERO) !== 0) continue;
        this.#fault(pfn + index, `is missing, and dump level ${level} does not leave it out`);
      }
    }
  }

  [Symbol.dispose](): void {
    this.#dump[Symbol.dispose]();
    this.#source[Symbol.dispose]();
    this.#buffer.unmap();
  }

  #fault(pfn: number, reason: string): void {
    this.#findings.page(pfn, this.#pageSize);
    this.#findings.problem(
      `page ${pfn} (physical address 0x${(pfn * this.#pageSize).toString(16)}) ${reason}`,
    );
  }
}
