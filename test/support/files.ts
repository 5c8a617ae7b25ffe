/** What file tests share: libc, a folder of their own that goes away, and running this program's parts. */
import { afterAll } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadBackend } from "../../ffi/backend.ts";
import { Libc } from "../../ffi/libc.ts";
import { inject, type Rules } from "./inject.ts";

export const backend = await loadBackend();
export const libc = new Libc(backend);

/** libc with some calls going through rules. */
export function injected(rules: Rules): Libc {
  return new Libc(inject(backend, rules));
}

/** A folder for the tests of one file; removed after them. @param within where it is made @returns paths in it by name */
export function temporaryFolder(within = tmpdir()): (name: string) => string {
  const folder = mkdtempSync(join(within, "vmcopy-test-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return (name) => join(folder, name);
}

/** The project's folder. */
export const ROOT = join(import.meta.dir, "../..");
export const BUN = join(ROOT, "node_modules/.bin/bun");
export const DENO = join(ROOT, "node_modules/.bin/deno");
