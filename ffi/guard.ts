/**
 * A SIGBUS handler, so that a bad page does not end the program.
 *
 * Touching a mapped page can raise SIGBUS: the memory has an uncorrectable error (BUS_MCEERR_AR), the disk
 * under a file mapping fails, or the file became shorter. JavaScript cannot catch that, so the handler is a few
 * machine instructions in executable memory: where the address lies in the watched mapping, it notes the page,
 * maps a page of zeros over it and returns, and the interrupted instruction goes on with zeros. Any other
 * SIGBUS goes to the handler that was there before.
 *
 * One mapping is watched at a time, on the thread that touches it.
 */
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_EXEC, PROT_READ } from "./constants.ts";
import type { Libc } from "./libc.ts";
import { Mapping } from "./mapping.ts";
import { SIGACTION, SIGACTION_SIZE, SIGINFO } from "./structs.ts";

const SIGBUS = 7;
/** SA_SIGINFO | SA_ONSTACK | SA_NODEFER */
const FLAGS = 0x4 | 0x0800_0000 | 0x4000_0000;
const CODE_LENGTH = 4096;

/** The table that handler and program share, 64-bit words: see the offsets. */
const TABLE = { low: 0, high: 8, count: 16, capacity: 24, previous: 32, reset: 40, entries: 192 };
/**
 * Pages noted in one watch; with more, the previous handler decides. So many are 4 GiB, more than any window
 * is large; the table takes memory only where it is written to.
 */
const CAPACITY = 1 << 20;

export class FaultGuard implements Disposable {
  readonly #libc: Libc;
  readonly #table: Mapping | undefined;
  readonly #code: Mapping | undefined;
  readonly #words: DataView | undefined;
  #previous: Uint8Array | undefined;
  #watched: Mapping | undefined;

  /** Installs the handler. On an architecture without one, pages are not guarded: {@link FaultGuard.active}. */
  constructor(libc: Libc) {
    this.#libc = libc;
    if (process.arch !== "x64") return;
    this.#table = Mapping.buffer(libc, TABLE.entries + CAPACITY * 8);
    this.#words = new DataView(this.#table.buffer);
    this.#words.setBigUint64(TABLE.capacity, BigInt(CAPACITY), true);
    this.#code = Mapping.buffer(libc, CODE_LENGTH);
    this.#code.bytes().set(handlerX64(this.#table.address));
    const { calls } = libc.backend;
    libc.check("mprotect", "", calls.mprotect(this.#code.address, CODE_LENGTH, PROT_READ | PROT_EXEC));

    const at = libc.structure();
    libc.check("sigaction", "SIGBUS", calls.sigaction(SIGBUS, 0, at));
    const view = libc.structureView;
    this.#previous = new Uint8Array(view.buffer, view.byteOffset, SIGACTION_SIZE).slice();
    this.#words.setBigUint64(TABLE.previous, view.getBigUint64(SIGACTION.sa_sigaction, true), true);
    libc.structure();
    view.setBigUint64(SIGACTION.sa_sigaction, BigInt(this.#code.address), true);
    view.setInt32(SIGACTION.sa_flags, FLAGS, true);
    libc.check("sigaction", "SIGBUS", calls.sigaction(SIGBUS, at, 0));
  }

  /** Whether this architecture has a handler. */
  get active(): boolean {
    return this.#words !== undefined;
  }

  /** The mapping that is watched. */
  get watched(): Mapping | undefined {
    return this.#watched;
  }

  /** From now on, bad pages of this mapping become zeros. */
  watch(mapping: Mapping): void {
    this.#watched = mapping;
    this.#words?.setBigUint64(TABLE.count, 0n, true);
    this.#words?.setBigUint64(TABLE.high, BigInt(mapping.address + mapping.length), true);
    this.#words?.setBigUint64(TABLE.low, BigInt(mapping.address), true);
  }

  /** Ends the watch and forgets the faults. */
  unwatch(): void {
    this.#watched = undefined;
    this.#words?.setBigUint64(TABLE.high, 0n, true);
    this.#words?.setBigUint64(TABLE.count, 0n, true);
  }

  /** Addresses of the pages that became zeros since {@link FaultGuard.watch}, ascending. */
  faults(): number[] {
    const words = this.#words;
    if (words === undefined) return [];
    const count = Number(words.getBigUint64(TABLE.count, true));
    if (count === 0) return [];
    const pages = new Set<number>();
    for (let i = 0; i < count; i++) pages.add(Number(words.getBigUint64(TABLE.entries + i * 8, true)));
    return [...pages].sort((a, b) => a - b);
  }

  /** Puts the previous handler back. */
  [Symbol.dispose](): void {
    if (this.#previous === undefined) return;
    const at = this.#libc.structure();
    const view = this.#libc.structureView;
    new Uint8Array(view.buffer, view.byteOffset, SIGACTION_SIZE).set(this.#previous);
    this.#libc.check("sigaction", "SIGBUS", this.#libc.backend.calls.sigaction(SIGBUS, at, 0));
    this.#previous = undefined;
    this.#code?.unmap();
    this.#table?.unmap();
  }
}

/** `void handler(int signal, siginfo_t *info, void *context)`: edi, rsi, rdx. rcx, rax and r8 to r11 are free. */
function handlerX64(table: number): Uint8Array {
  const chain = [
    [0x48, 0x83, 0x78, TABLE.previous, 0x00], //       cmp  qword [rax+previous], 0   SIG_DFL?
    [0x74, 0x03], //                                   je   default
    [0xff, 0x60, TABLE.previous], //                   jmp  [rax+previous]
    // default: rt_sigaction(SIGBUS, zeros, NULL, 8): the instruction faults again, and the process dies of it
    [0x48, 0x8d, 0x70, TABLE.reset], //                lea  rsi, [rax+reset]
    [0x31, 0xd2], //                                   xor  edx, edx
    [0x41, 0xba, 0x08, 0x00, 0x00, 0x00], //           mov  r10d, 8
    [0xb8, 0x0d, 0x00, 0x00, 0x00], //                 mov  eax, 13 (rt_sigaction)
    [0x0f, 0x05], //                                   syscall
    [0xc3], //                                         ret
  ].flat();
  const mapZeros = [
    [0x48, 0x81, 0xe1, 0x00, 0xf0, 0xff, 0xff], //     and  rcx, -4096
    [0x4a, 0x89, 0x8c, 0xc0, TABLE.entries, 0, 0, 0], // mov [rax+r8*8+entries], rcx
    [0x48, 0xff, 0x40, TABLE.count], //                inc  qword [rax+count]
    // mmap(page, 4096, PROT_READ, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)
    [0x48, 0x89, 0xcf], //                             mov  rdi, rcx
    [0xbe, 0x00, 0x10, 0x00, 0x00], //                 mov  esi, 4096
    [0xba, PROT_READ, 0x00, 0x00, 0x00], //            mov  edx, PROT_READ
    [0x41, 0xba, MAP_PRIVATE | MAP_ANONYMOUS | 0x10, 0x00, 0x00, 0x00], // mov r10d, flags
    [0x49, 0xc7, 0xc0, 0xff, 0xff, 0xff, 0xff], //     mov  r8, -1
    [0x45, 0x31, 0xc9], //                             xor  r9d, r9d
    [0xb8, 0x09, 0x00, 0x00, 0x00], //                 mov  eax, 9 (mmap)
    [0x0f, 0x05], //                                   syscall
    [0xc3], //                                         ret
  ].flat();
  // Each test jumps over the tests after it and over mapZeros, to chain.
  const full = [
    [0x4c, 0x8b, 0x40, TABLE.count], //                mov  r8, [rax+count]
    [0x4c, 0x3b, 0x40, TABLE.capacity], //             cmp  r8, [rax+capacity]
    [0x73, mapZeros.length], //                        jae  chain
  ].flat();
  const above = [
    [0x48, 0x3b, 0x48, TABLE.high], //                 cmp  rcx, [rax+high]
    [0x73, full.length + mapZeros.length], //          jae  chain
  ].flat();
  const below = [
    [0x48, 0x3b, 0x48, TABLE.low], //                  cmp  rcx, [rax+low]
    [0x72, above.length + full.length + mapZeros.length], // jb chain
  ].flat();
  const address = new Uint8Array(new BigUint64Array([BigInt(table)]).buffer);
  return Uint8Array.from([
    ...[0x48, 0xb8, ...address], //                    mov  rax, table
    ...[0x48, 0x8b, 0x4e, SIGINFO.si_addr], //         mov  rcx, [rsi+si_addr]
    ...below,
    ...above,
    ...full,
    ...mapZeros,
    ...chain,
  ]);
}
