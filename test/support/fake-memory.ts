/** A crashed machine's memory made by hand: pages by PFN, a VMCOREINFO, nothing else. */
import type { Libc } from "../../ffi/libc.ts";
import type { Architecture, CrashMemory, PageReader, PfnRun } from "../../src/vmcore/memory.ts";
import { clipRuns, countRuns, joinRuns, runsHold } from "../../src/vmcore/pfn-runs.ts";
import { Vmcoreinfo } from "../../src/vmcore/vmcoreinfo.ts";

export class FakeMemory implements CrashMemory {
  readonly path = "fake";
  readonly format = "raw";
  readonly flattened = false;
  readonly noteBytes = new Uint8Array(0);
  readonly cpus = 1;
  readonly dumpLevel = 0;
  readonly incomplete = false;
  readonly info: Vmcoreinfo;
  readonly ram: readonly PfnRun[];
  readonly #pages = new Map<number, Uint8Array>();
  /** PFNs that cannot be read */
  readonly bad = new Set<number>();

  constructor(
    readonly libc: Libc,
    readonly architecture: Architecture,
    readonly pageSize: number,
    ram: readonly PfnRun[],
    vmcoreinfo: Record<string, string | number | bigint>,
  ) {
    this.ram = joinRuns(ram);
    const entries = Object.entries({ OSRELEASE: "fake", PAGESIZE: pageSize, ...vmcoreinfo });
    this.info = new Vmcoreinfo(entries.map(([key, value]) => `${key}=${value}\n`).join(""));
  }

  get endPfn(): number {
    return this.ram.at(-1)?.end ?? 0;
  }

  /** Physical memory to write to; anywhere in a page. */
  view(physical: bigint | number): DataView {
    const [pfn, inside] = [
      Number(physical) / this.pageSize,
      Number(BigInt(physical) % BigInt(this.pageSize)),
    ];
    const page = this.#pages.get(Math.floor(pfn)) ?? new Uint8Array(this.pageSize);
    this.#pages.set(Math.floor(pfn), page);
    return new DataView(page.buffer, inside);
  }

  put(physical: bigint | number, value: bigint): void {
    this.view(physical).setBigUint64(0, BigInt.asUintN(64, value), true);
  }

  /** Bytes of any length, over page borders too. */
  putBytes(physical: number, bytes: Uint8Array): void {
    for (const [index, byte] of bytes.entries()) this.view(physical + index).setUint8(0, byte);
  }

  holds(pfn: number): boolean {
    return runsHold(this.ram, pfn);
  }

  stored(start: number, end: number): Iterable<PfnRun> {
    return clipRuns(this.ram, start, end);
  }

  get pageCount(): number {
    return countRuns(this.ram);
  }

  pages(): PageReader {
    return {
      read: (pfn, count, address) => {
        const unreadable: number[] = [];
        for (let index = 0; index < count; index++) {
          const out = new Uint8Array(this.libc.backend.view(address + index * this.pageSize, this.pageSize));
          const isBad = this.bad.has(pfn + index);
          out.set((isBad ? undefined : this.#pages.get(pfn + index)) ?? new Uint8Array(this.pageSize));
          if (isBad) unreadable.push(pfn + index);
        }
        return unreadable;
      },
      [Symbol.dispose]() {},
    };
  }

  [Symbol.dispose](): void {}
}
