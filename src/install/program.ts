/** The program that is installed: this one, or a file that is named. */
import { readFileSync } from "node:fs";
import { VmcopyError } from "../errors.ts";

/** Where a compiled program's modules lie. */
const COMPILED = "/$bunfs/";
const ELF_MAGIC = "\x7fELF";

/** @param path undefined: this program itself @throws VmcopyError E_USAGE where it is none */
export function programBytes(path: string | undefined): Uint8Array {
  if (path === undefined && !import.meta.url.includes(COMPILED)) {
    throw new VmcopyError(
      "E_USAGE",
      "Cannot install this program: it runs from its sources; name the one that was built (--program dist/vmcopy)",
    );
  }
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path ?? "/proc/self/exe");
  } catch (error) {
    throw new VmcopyError("E_USAGE", `Cannot read the program to install: ${(error as Error).message}`);
  }
  if (Buffer.from(bytes.subarray(0, 4)).toString("latin1") !== ELF_MAGIC) {
    throw new VmcopyError("E_USAGE", `Cannot install ${path}: it is no program (no ELF file)`);
  }
  return bytes;
}
