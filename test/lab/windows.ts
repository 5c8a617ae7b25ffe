// The program that looks at /proc/vmcore's mappings in a capture kernel (windows/), and the kernel version it is run on.

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { VERSIONS, type Version } from "../../kernel/build.ts";
import { run } from "./run.ts";

const SOURCES = join(import.meta.dir, "windows");

/** 6.12, or what VMCOPY_LAB_VERSION says. */
export const testedVersion: Version = versionOf(process.env.VMCOPY_LAB_VERSION ?? "6.12");

/** Compiles it into a directory, once, and gives its path. */
export async function compileWindows(directory: string): Promise<string> {
  const path = join(directory, "windows");
  if (existsSync(path)) return path;
  const sources = readdirSync(SOURCES).filter((name) => name.endsWith(".c"));
  await run("compile windows", [
    ...["gcc", "-O2", "-static", "-Wall", "-Wextra", "-Werror", "-o", path],
    ...sources.map((name) => join(SOURCES, name)),
  ]);
  return path;
}

function versionOf(name: string): Version {
  const found = VERSIONS.find((known) => known === name);
  if (!found) throw new Error(`VMCOPY_LAB_VERSION is none of ${VERSIONS.join(", ")} (${name})`);
  return found;
}
