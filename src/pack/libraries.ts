/**
 * The shared libraries a program needs, found on the build machine as the dynamic loader would find them:
 * DT_NEEDED by DT_NEEDED, in the directories it searches by default. Nothing here is run (no ldd), so the
 * program may be another machine's: give its root file system as `root`.
 */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DT_SONAME, dynamicString, dynamicValue, neededLibraries, readDynamic } from "./dynamic.ts";
import { type Elf64, PackError, PT_INTERP, readElf64, stringAt } from "./elf64.ts";

/** A library to embed. */
export interface Library {
  /** What DT_NEEDED calls it, and what a later dlopen finds it by. */
  soname: string;
  /** Where it was found. */
  path: string;
  elf: Elf64;
}

/** What a program needs to run. */
export interface Libraries {
  /** The dynamic loader, from PT_INTERP. */
  loader: Library;
  /** All others, in the order the loader would load them, without the loader itself. */
  libraries: Library[];
}

/**
 * Finds the loader and every library of a program.
 *
 * @param multiarch Debian's triplet for the program's machine, e.g. "x86_64-linux-gnu"
 * @param root the root of the file system to search
 * @throws PackError if the program has no PT_INTERP, if one of them is nowhere, or if one is needed only by
 *   another library (static.ts rewrites the program's names, not the libraries')
 */
export function findLibraries(program: Elf64, multiarch: string, root = "/"): Libraries {
  const interpreter = program.programHeaders.find((header) => header.type === PT_INTERP);
  if (!interpreter) {
    throw new PackError(`Cannot make ${program.name} static: it asks for no dynamic loader (no PT_INTERP)`);
  }
  const loader = readLibrary(join(root, stringAt(program, interpreter.offset)), program);
  const directories = [
    `/lib/${multiarch}`,
    `/usr/lib/${multiarch}`,
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
  ];

  const libraries: Library[] = [];
  const wanted = neededLibraries(program);
  for (const soname of wanted) {
    if (soname !== loader.soname) libraries.push(findLibrary(soname, program, directories, root));
  }
  for (const library of [loader, ...libraries]) {
    for (const soname of neededLibraries(library.elf)) {
      if (soname === loader.soname || wanted.includes(soname)) continue;
      throw new PackError(
        `Cannot make ${program.name} static: ${library.soname} needs a library the program does not name (${soname})`,
      );
    }
  }
  return { loader, libraries };
}

function findLibrary(soname: string, program: Elf64, directories: string[], root: string): Library {
  for (const directory of directories) {
    const path = join(root, directory, soname);
    if (!existsSync(path)) continue;
    const library = readLibrary(path, program);
    // A directory may hold another machine's library of the same name: the loader goes on, and so do we.
    if (library.elf.machine === program.machine) return library;
  }
  throw new PackError(
    `Cannot make ${program.name} static: a library is nowhere in ${directories.join(", ")} (${soname})`,
  );
}

function readLibrary(path: string, program: Elf64): Library {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new PackError(`Cannot make ${program.name} static: a library cannot be read, ${reason} (${path})`);
  }
  const elf = readElf64(bytes, path);
  const dynamic = readDynamic(elf);
  const name = dynamicValue(dynamic, DT_SONAME);
  if (name === undefined)
    throw new PackError(`Cannot embed ${path}: it has no name of its own (no DT_SONAME)`);
  return { soname: dynamicString(elf, dynamic, name), path, elf };
}
