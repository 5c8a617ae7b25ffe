/**
 * What differs between machines when a program is made static: the ELF machine number, where Debian keeps the
 * libraries, the page size, and the start stub's machine code. Another architecture is one more file like
 * x86_64.ts and one more line in the table of static.ts.
 */

/**
 * The record of one embedded library, in memory that the stub may write: five 64-bit words. The stub reads the
 * first four and keeps the descriptor in the fifth.
 */
export const LIBRARY_RECORD = {
  /** Address of the library's file, byte by byte. */
  bytes: 0,
  /** Its length in bytes. */
  length: 8,
  /** Address of its soname, zero-terminated: the memory file is called that, as /proc/self/maps shows. */
  name: 16,
  /** Address just past the place where the descriptor's decimal digits go, in the path the loader will open. */
  digitsEnd: 24,
  /** The memory file's descriptor. */
  descriptor: 32,
  size: 40,
} as const;

/** All the numbers the stub needs. Addresses are virtual and absolute: the program is not relocatable. */
export interface StubLayout {
  /** What the program calls itself in error lines. */
  programName: string;
  /** Address of `libraryCount` records (LIBRARY_RECORD). */
  records: number;
  libraryCount: number;
  /** Bytes of memory the libraries take, for the error line that says it is not there. */
  libraryBytes: number;
  /** What AT_PHDR, AT_PHNUM and AT_BASE have to say to the loader. */
  programHeaders: number;
  programHeaderCount: number;
  loaderBase: number;
  /** Where the loader starts, and where the program did before it was made static. */
  loaderEntry: number;
  programEntry: number;
}

/** The assembled stub. Its size does not depend on any address in the layout. */
export interface Stub {
  code: Uint8Array;
  /** Offset in `code` where the kernel enters. */
  start: number;
  /** Offset in `code` where the loader enters once everything is linked: what AT_ENTRY says. */
  loaded: number;
}

/** One machine. */
export interface Architecture {
  name: string;
  /** e_machine */
  machine: number;
  /** Debian's multiarch triplet, the folder of /lib and /usr/lib that holds this machine's libraries. */
  multiarch: string;
  /** The largest page a kernel of this machine may use, in bytes: what segments are aligned to. */
  pageSize: number;
  /** Assembles the stub. It may run at any address. */
  assembleStub(layout: StubLayout): Stub;
}
