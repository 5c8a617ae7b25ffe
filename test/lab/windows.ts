// The program that looks at /proc/vmcore's mappings in a capture kernel (windows.c), and the kernel version it is run on.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { VERSIONS, type Version } from "../../kernel/build.ts";
import { run } from "./run.ts";

/** 6.12, or what VMCOPY_LAB_VERSION says. */
export const testedVersion: Version = versionOf(process.env.VMCOPY_LAB_VERSION ?? "6.12");

/** Compiles windows.c into a directory, once, and gives its path. */
export async function compileWindows(directory: string): Promise<string> {
  const path = join(directory, "windows");
  const source = join(import.meta.dir, "windows.c");
  if (!existsSync(path)) {
    await run("compile windows.c", ["gcc", "-O2", "-static", "-Wall", "-Werror", "-o", path, source]);
  }
  return path;
}

function versionOf(name: string): Version {
  const found = VERSIONS.find((known) => known === name);
  if (!found) throw new Error(`VMCOPY_LAB_VERSION is none of ${VERSIONS.join(", ")} (${name})`);
  return found;
}
