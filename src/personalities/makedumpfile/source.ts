/** The vmcore before it is dumped: whether it is of the kernel that was named, and what is said of it when debugging. */
import { readFileSync } from "node:fs";
import type { Libc } from "../../../ffi/libc.ts";
import { openMemory } from "../../dump/open.ts";
import { VmcopyError } from "../../errors.ts";
import type { CrashMemory } from "../../vmcore/memory.ts";
import { Vmcoreinfo } from "../../vmcore/vmcoreinfo.ts";
import type { Messages } from "./messages.ts";
import type { Request } from "./options.ts";

/** makedumpfile's exit code where VMCOREINFO and vmcore are of two kernels. */
const EXIT_OTHER_KERNEL = 2;

/**
 * Looks at the files that -x and -i name. They are not needed, but a name that is wrong is a mistake to be told of.
 *
 * @returns the exit code where VMCOREINFO is of another kernel than the vmcore
 * @throws VmcopyError where one cannot be read
 */
export function checkKernel(libc: Libc, messages: Messages, request: Request): number | undefined {
  const { vmlinux, vmcoreinfo, sources } = request;
  if (vmlinux !== undefined && libc.status(vmlinux) === undefined) {
    throw new VmcopyError("E_IO", `Cannot open ${vmlinux} (-x): no such file or directory`);
  }
  if (vmcoreinfo === undefined) return undefined;
  const named = new Vmcoreinfo(textOf(vmcoreinfo)).entries.get("OSRELEASE");
  using memory = open(libc, sources);
  const { release } = memory.info;
  if (named === undefined || release === undefined || named === release) return undefined;
  messages.error(
    `makedumpfile: ${vmcoreinfo} (-i) is of kernel ${named}, ${memory.path} of ${release}: leave -i out, the vmcore has its own`,
  );
  return EXIT_OTHER_KERNEL;
}

/** Says what the vmcore tells of itself: VMCOREINFO, line by line, is what scripts read here. */
export function debugSource(libc: Libc, messages: Messages, { sources }: Request): void {
  using memory = open(libc, sources);
  const { info, ram, pageSize } = memory;
  messages.debug(
    "VMCOREINFO   :",
    ...[...info.entries].map(([key, value]) => `  ${key}=${value}`),
    `page_size    : ${pageSize}`,
    "",
    `max_mapnr    : ${memory.endPfn.toString(16)}`,
    `RAM          : ${ram.map(({ start, end }) => `${start.toString(16)}-${end.toString(16)}`).join(" ")}`,
    "",
  );
}

/** Headers and notes are read: a window need not be measured for that. */
function open(libc: Libc, sources: readonly string[]): CrashMemory {
  return openMemory(libc, sources, { mapSize: libc.pageSize });
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch (error) {
    throw new VmcopyError("E_IO", `Cannot read ${path} (-i): ${(error as Error).message}`);
  }
}
