/** kexec_file_load(2) for a crash kernel, and what its errors mean (kernel/kexec_file.c, arch/x86/kernel/kexec-bzimage64.c). */
import {
  KEXEC_FILE_NO_INITRAMFS,
  KEXEC_FILE_ON_CRASH,
  KEXEC_FILE_UNLOAD,
  SYS_kexec_file_load,
} from "../../ffi/constants.ts";
import { LibcError } from "../../ffi/errno.ts";
import { File } from "../../ffi/file.ts";
import type { Libc } from "../../ffi/libc.ts";
import { type ErrorCode, VmcopyError } from "../errors.ts";
import { formatSize } from "../units.ts";
import type { Machine } from "./machine.ts";

export interface Images {
  readonly kernel: string;
  readonly initrd: string | undefined;
  readonly commandLine: string;
}

/**
 * Loads a crash kernel in the place of any that is loaded: the kernel drops that one first, even where it then fails.
 *
 * @throws LibcError with the call's errno; {@link explain} says what it means
 */
export function loadCrashKernel(libc: Libc, { kernel, initrd, commandLine }: Images): void {
  using image = File.open(libc, kernel);
  using initramfs = initrd === undefined ? undefined : File.open(libc, initrd);
  const flags = KEXEC_FILE_ON_CRASH | (initramfs === undefined ? KEXEC_FILE_NO_INITRAMFS : 0);
  const length = new TextEncoder().encode(commandLine).length + 1;
  const text = libc.path(commandLine);
  const { calls } = libc.backend;
  libc.check(
    "load",
    `${kernel} as crash kernel`,
    calls.syscall(SYS_kexec_file_load, image.fd, initramfs?.fd ?? -1, length, text, flags, 0),
  );
}

/** Takes a loaded crash kernel away; where none is, nothing happens. @throws LibcError */
export function unloadCrashKernel(libc: Libc): void {
  const flags = KEXEC_FILE_ON_CRASH | KEXEC_FILE_UNLOAD;
  const { calls } = libc.backend;
  libc.check("unload", "the crash kernel", calls.syscall(SYS_kexec_file_load, -1, -1, 0, 0, flags, 0));
}

/** What a failed call was about. */
export interface Circumstances {
  readonly machine: Machine;
  readonly isRoot: boolean;
  /** bytes that the kernel and the initramfs's file have to be given in one piece each; undefined where none is loaded */
  readonly wanted?: number;
}

/** The error in words: why, and what to do. Errors that are not of this call are given back as they are. */
export function explain(error: unknown, circumstances: Circumstances): unknown {
  if (!(error instanceof LibcError)) return error;
  const found = MEANINGS[error.code]?.(circumstances);
  if (found === undefined) return error;
  const [code, why] = found;
  return new VmcopyError(code, `Cannot ${error.call} ${error.path}: ${why} (${error.code})`, undefined, {
    cause: error,
  });
}

const unsigned: Meaning = ({ machine: { lockdown } }) => [
  "E_IMAGE",
  `this kernel takes only a signed one${lockdown === undefined || lockdown === "none" ? "" : ` (lockdown: ${lockdown})`}, and it does not ` +
    "trust this one's signature, or finds none: load the distribution's own kernel, or sign it with a key that this one knows",
];
const tooSmall: Meaning = ({ machine: { reserved = 0 }, wanted = 0 }) => [
  "E_CRASHKERNEL",
  `${formatSize(reserved)} are reserved, and kernel and initramfs alone take ${formatSize(wanted)} there: raise crashkernel= and restart`,
];
const notLoadable: Meaning = () => [
  "E_IMAGE",
  "this kernel cannot load it (its log tells why): a whole bzImage (x86_64) or Image (aarch64) that can run at any address is needed",
];

type Meaning = (circumstances: Circumstances) => [code: ErrorCode, why: string];

const MEANINGS: Record<string, Meaning | undefined> = {
  EPERM: ({ machine, isRoot }) => {
    if (!isRoot) return ["E_IO", "only root may (CAP_SYS_BOOT)"];
    if (machine.isLoadingDisabled)
      return ["E_IO", "the sysctl kernel.kexec_load_disabled is 1, and stays so until the machine restarts"];
    return unsigned({ machine, isRoot });
  },
  EKEYREJECTED: unsigned,
  ENODATA: unsigned,
  ENOPKG: unsigned,
  ENOKEY: unsigned,
  EBADMSG: unsigned,
  ENOEXEC: notLoadable,
  EINVAL: notLoadable,
  EBUSY: () => ["E_IO", "another program is loading a kernel right now: try again"],
  ETXTBSY: () => ["E_IO", "somebody has the file open for writing: wait until it is written"],
  EFBIG: () => ["E_IMAGE", "the file is too large for this kernel to load"],
  EACCES: () => ["E_IO", "a security policy of this kernel forbids it (IMA, SELinux): see its log"],
  ENOMEM: tooSmall,
  EADDRNOTAVAIL: tooSmall,
  ENOSYS: () => [
    "E_UNSUPPORTED",
    "this kernel has no kexec_file_load (CONFIG_KEXEC_FILE): kexec-tools may do without it (kexec -c)",
  ],
};
