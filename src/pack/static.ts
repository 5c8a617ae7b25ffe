/**
 * The post-link step: turns a dynamically linked, fixed-address ELF program into one that needs no file but
 * itself. No compiler, no linker: the program stays at its addresses, a few fields change, and two segments are
 * added above it, for a start stub, the libraries and the dynamic loader.
 *
 * In memory afterwards, each part page aligned:
 *
 *     the program as it was       with e_entry at the stub, a shorter program header table, and the names in
 *                                 DT_NEEDED and DT_VERNEED at new strings
 *     read, execute               start stub; the original program headers, for the loader to read;
 *                                 the libraries' names; the libraries, byte by byte;
 *                                 the dynamic loader's image, its read-only part
 *     read, write                 the loader's image, its data and (as zeros) its bss;
 *                                 the stub's library records; the paths the loader will open
 *
 * The kernel maps all of it as one plain static program and enters the stub (see x86_64.ts). The loader finds
 * itself laid out as the kernel would have done, and each library at a path like /proc/self/fd//////////7: the
 * stub overwrites the last slashes with the descriptor. DT_SONAME is untouched, so a later dlopen("libc.so.6")
 * meets the library that is loaded already.
 *
 * The file holds what is mapped and nothing else (trim.ts).
 */

import { type Architecture, LIBRARY_RECORD, type StubLayout } from "./architecture.ts";
import { Area } from "./area.ts";
import {
  DT_NEEDED,
  DT_STRTAB,
  dynamicString,
  dynamicValue,
  readDynamic,
  readVersionNeeds,
} from "./dynamic.ts";
import {
  alignUp,
  E_ENTRY,
  type Elf64,
  ET_EXEC,
  loadSegments,
  PackError,
  PF_R,
  PF_W,
  PF_X,
  PHDR_SIZE,
  type ProgramHeader,
  PT_GNU_PROPERTY,
  PT_GNU_STACK,
  PT_LOAD,
  PT_PHDR,
  readElf64,
  writeProgramHeader,
} from "./elf64.ts";
import { findLibraries, type Libraries } from "./libraries.ts";
import { loaderImage } from "./loader.ts";
import { trim } from "./trim.ts";
import { x86_64 } from "./x86_64.ts";

const architectures: Architecture[] = [x86_64];

/** The program headers the kernel acts on (fs/binfmt_elf.c), besides PT_INTERP. */
const KERNEL_READS = new Set([PT_LOAD, PT_GNU_STACK, PT_GNU_PROPERTY]);

/** The new segments begin at the next multiple of this above the program: its own data can be seen apart. */
const ADDRESS_UNIT = 0x1000_0000;

/** A path for a descriptor of up to ten digits. Slashes the stub does not overwrite mean nothing to the kernel. */
const LIBRARY_PATH = `/proc/self/fd${"/".repeat(11)}`;

/** What `makeStatic` may be told. */
export interface StaticOptions {
  /** What the program is called in errors, here and in the lines of its start stub. */
  programName: string;
  /** Where to look for the libraries; the build machine's own root unless told. */
  root?: string;
}

/** The program, self-contained, and what went into it. */
export interface StaticProgram {
  bytes: Uint8Array;
  /** The sonames embedded, the loader's first. */
  embedded: string[];
}

/**
 * Makes a program static.
 *
 * @param bytes a little-endian ELF64 executable (ET_EXEC) with a dynamic loader; it is not changed
 * @throws PackError if it is anything else, or if a library it needs cannot be found
 */
export function makeStatic(bytes: Uint8Array, options: StaticOptions): StaticProgram {
  const program = readElf64(bytes, options.programName);
  const architecture = architectureOf(program);
  if (program.type !== ET_EXEC) {
    throw new PackError(
      `Cannot make ${program.name} static: only programs with a fixed address can be (e_type ${program.type})`,
    );
  }
  const libraries = findLibraries(program, architecture.multiarch, options.root);
  const layout = layOut(program, libraries, architecture, options.programName);

  const output = new Uint8Array(layout.writable.offset + layout.writable.fileSize);
  output.set(program.bytes);
  output.set(layout.executableBytes, layout.executable.offset);
  output.set(layout.writableBytes, layout.writable.offset);
  const result = readElf64(output, options.programName);
  renameLibraries(result, libraries, layout.paths);
  result.view.setBigUint64(E_ENTRY, BigInt(layout.entry), true);
  return {
    bytes: trim(result, kernelHeaders(program, layout.executable, layout.writable), architecture.pageSize),
    embedded: [libraries.loader, ...libraries.libraries].map((library) => library.soname),
  };
}

function architectureOf(program: Elf64): Architecture {
  const found = architectures.find((architecture) => architecture.machine === program.machine);
  if (found) return found;
  const known = architectures.map((architecture) => architecture.name).join(", ");
  throw new PackError(
    `Cannot make ${program.name} static: there is a start stub for ${known} only (e_machine ${program.machine})`,
  );
}

interface Layout {
  executable: ProgramHeader;
  executableBytes: Uint8Array;
  writable: ProgramHeader;
  writableBytes: Uint8Array;
  entry: number;
  /** The address of each library's path. */
  paths: number[];
}

/** Builds the two new segments' contents and says where they go. */
function layOut(program: Elf64, all: Libraries, architecture: Architecture, programName: string): Layout {
  const { loader, libraries } = all;
  const page = architecture.pageSize;
  const image = loaderImage(loader.elf, page);
  const ends = loadSegments(program).map((header) => header.address + header.memorySize);
  const base = alignUp(Math.max(...ends), ADDRESS_UNIT);

  // Sizes first: the stub's does not depend on any address, so a stub full of zeros has the right one.
  const stubLayout: StubLayout = {
    programName,
    records: 0,
    libraryCount: libraries.length,
    libraryBytes: libraries.reduce((sum, library) => sum + library.elf.bytes.length, 0),
    programHeaders: 0,
    programHeaderCount: program.programHeaders.length,
    loaderBase: 0,
    loaderEntry: 0,
    programEntry: program.entry,
  };
  const executable = new Area(base);
  const stubAddress = executable.reserve(architecture.assembleStub(stubLayout).code.length);
  stubLayout.programHeaders = executable.reserve(program.programHeaders.length * PHDR_SIZE);
  const names = libraries.map((library) => executable.addString(library.soname));
  const contents = libraries.map((library) => executable.add(library.elf.bytes));
  executable.align(page);
  stubLayout.loaderBase = executable.add(image.readOnly);
  stubLayout.loaderEntry = stubLayout.loaderBase + image.entry;

  const writable = new Area(stubLayout.loaderBase + image.writableOffset);
  writable.add(image.writable);
  stubLayout.records = writable.reserve(libraries.length * LIBRARY_RECORD.size);
  const paths = libraries.map(() => writable.addString(LIBRARY_PATH));

  const stub = architecture.assembleStub(stubLayout);
  const executableBytes = executable.finish();
  executableBytes.set(stub.code, stubAddress - base);
  const view = new DataView(executableBytes.buffer);
  program.programHeaders.forEach((header, i) => {
    // The loader takes the difference between where it finds PT_PHDR and p_vaddr for the load bias: none here.
    const address = header.type === PT_PHDR ? stubLayout.programHeaders : header.address;
    writeProgramHeader(view, stubLayout.programHeaders - base + i * PHDR_SIZE, { ...header, address });
  });

  const writableBytes = writable.finish();
  const records = new DataView(writableBytes.buffer, stubLayout.records - writable.base);
  libraries.forEach((library, i) => {
    const set = (field: number, value: number | undefined) =>
      records.setBigUint64(i * LIBRARY_RECORD.size + field, BigInt(value ?? 0), true);
    set(LIBRARY_RECORD.bytes, contents[i]);
    set(LIBRARY_RECORD.length, library.elf.bytes.length);
    set(LIBRARY_RECORD.name, names[i]);
    set(LIBRARY_RECORD.digitsEnd, (paths[i] ?? 0) + LIBRARY_PATH.length);
  });

  const executableOffset = alignUp(program.bytes.length, page);
  const writableOffset = alignUp(executableOffset + executableBytes.length, page);
  return {
    executable: executable.header(executableOffset, PF_R | PF_X, page),
    executableBytes,
    writable: writable.header(writableOffset, PF_R | PF_W, page),
    writableBytes,
    entry: stubAddress + stub.start,
    paths,
  };
}

/**
 * Points each name of an embedded library at its path. A name is an offset from DT_STRTAB, and nothing says it
 * must lie in that table. The names in DT_VERNEED have to follow: the loader looks them up among those loaded.
 */
function renameLibraries(program: Elf64, { libraries }: Libraries, paths: number[]): void {
  const dynamic = readDynamic(program);
  const strings = dynamicValue(dynamic, DT_STRTAB);
  const pathOf = (soname: string): number | undefined => {
    const path = paths[libraries.findIndex((library) => library.soname === soname)];
    if (path === undefined) return undefined; // the loader keeps its name: it is known by it
    const offset = path - (strings ?? 0);
    if (offset >= 0 && offset < 2 ** 32) return offset;
    throw new PackError(
      `Cannot make ${program.name} static: its names lie too far from the new ones (${offset})`,
    );
  };
  const needs = readVersionNeeds(program, dynamic);
  for (const entry of dynamic) {
    if (entry.tag !== DT_NEEDED) continue;
    const offset = pathOf(dynamicString(program, dynamic, entry.value));
    if (offset !== undefined) program.view.setBigUint64(entry.fileOffset + 8, BigInt(offset), true);
  }
  for (const need of needs) {
    const offset = pathOf(need.library);
    if (offset !== undefined) program.view.setUint32(need.fileOffset, offset, true);
  }
}

/**
 * The table the kernel gets: what it acts on, and the two new segments. The loader has the original one. Without
 * PT_INTERP and PT_DYNAMIC the program also looks static to ldd, so that dracut and mkinitramfs, which ask ldd,
 * look for no libraries.
 */
function kernelHeaders(program: Elf64, ...segments: ProgramHeader[]): ProgramHeader[] {
  const kept = program.programHeaders.filter((header) => KERNEL_READS.has(header.type));
  // PT_LOADs have to be in ascending order of address: the new ones are the highest.
  kept.splice(kept.findLastIndex((header) => header.type === PT_LOAD) + 1, 0, ...segments);
  return kept;
}
