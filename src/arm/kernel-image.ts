/**
 * The header of a kernel that kexec_file_load(2) can load: what it is, and how much memory it takes where it runs.
 *
 * x86_64: a bzImage (Documentation/x86/boot.rst). aarch64: an Image (Documentation/arm64/booting.rst).
 */
import { File } from "../../ffi/file.ts";
import type { Libc } from "../../ffi/libc.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { VmcopyError } from "../errors.ts";

export interface KernelImage {
  readonly path: string;
  /** bytes of the file */
  readonly bytes: number;
  /** bytes that it takes in memory from its start on: unpacked, with its bss */
  readonly memory: number;
  /** bytes of command line that it takes, the NUL at its end not counted */
  readonly commandLine: number;
}

const HEADER = 4096;
/** COMMAND_LINE_SIZE of arm64 */
const ARM64_COMMAND_LINE = 2047;

/** @throws LibcError where the file cannot be read @throws VmcopyError E_IMAGE where it is no kernel for this machine */
export function readKernelImage(libc: Libc, path: string, architecture: string): KernelImage {
  using file = File.open(libc, path);
  using memory = Mapping.buffer(libc, HEADER);
  const bytes = file.size();
  if (file.pread(memory.address, HEADER, 0) < HEADER) throw notKernel(path, "it is too short");
  const view = new DataView(memory.buffer);
  const text = (offset: number, length: number) =>
    Buffer.from(memory.buffer, offset, length).toString("latin1");
  const isX86 = text(0x202, 4) === "HdrS" && view.getUint16(0x1fe, true) === 0xaa55;
  const isArm64 = text(56, 4) === "ARM\x64";
  if (!isX86 && !isArm64) throw notKernel(path, othersName(text(0, 4), view.getUint16(0, false)));
  const [itsOwn, wanted] = isX86 ? ["x86_64", "x64"] : ["aarch64", "arm64"];
  if (wanted !== architecture) throw notKernel(path, `it is a kernel for ${itsOwn}`);
  if (isArm64) {
    const size = Number(view.getBigUint64(16, true));
    return { path, bytes, memory: size, commandLine: ARM64_COMMAND_LINE };
  }
  // From protocol 2.12 on it can be told where to run: older ones, and zImages, kexec_file_load does not take.
  if (view.getUint16(0x206, true) < 0x20c) throw notKernel(path, "its boot protocol is older than 2.12");
  // The kernel that loads it would not see this: it looks at the header alone.
  const setup = ((view.getUint8(0x1f1) || 4) + 1) * 512;
  if (setup + view.getUint32(0x248, true) + view.getUint32(0x24c, true) > bytes)
    throw notKernel(path, "it is cut off");
  return { path, bytes, memory: view.getUint32(0x260, true), commandLine: view.getUint32(0x238, true) };
}

/** What lies where a kernel should, where that can be seen. */
function othersName(start: string, firstTwo: number): string {
  if (start === "\x7fELF") return "it is an ELF file, such as vmlinux";
  if (firstTwo === 0x1f8b) return "it is compressed with gzip: gunzip it";
  return "it has no header of one";
}

function notKernel(path: string, why: string): VmcopyError {
  return new VmcopyError(
    "E_IMAGE",
    `Cannot load ${path} as crash kernel: ${why}; it has to be a bzImage (x86_64) or an Image (aarch64), as in /boot/vmlinuz`,
  );
}
