/** errno by name and in words, and the one error that a failed libc call throws. */

/** Number, name and text; Linux's asm-generic numbers, the same on x86_64 and aarch64. */
const ERRNO: Record<number, readonly [name: string, text: string]> = {
  1: ["EPERM", "operation not permitted"],
  2: ["ENOENT", "no such file or directory"],
  3: ["ESRCH", "no such process"],
  4: ["EINTR", "interrupted system call"],
  5: ["EIO", "input/output error"],
  6: ["ENXIO", "no such device or address"],
  8: ["ENOEXEC", "exec format error"],
  9: ["EBADF", "bad file descriptor"],
  11: ["EAGAIN", "resource temporarily unavailable"],
  12: ["ENOMEM", "cannot allocate memory"],
  13: ["EACCES", "permission denied"],
  14: ["EFAULT", "bad address"],
  15: ["ENOTBLK", "block device required"],
  16: ["EBUSY", "device or resource busy"],
  17: ["EEXIST", "file exists"],
  18: ["EXDEV", "invalid cross-device link"],
  19: ["ENODEV", "no such device"],
  20: ["ENOTDIR", "not a directory"],
  21: ["EISDIR", "is a directory"],
  22: ["EINVAL", "invalid argument"],
  23: ["ENFILE", "too many open files in system"],
  24: ["EMFILE", "too many open files"],
  25: ["ENOTTY", "inappropriate ioctl for device"],
  26: ["ETXTBSY", "text file busy"],
  27: ["EFBIG", "file too large"],
  28: ["ENOSPC", "no space left on device"],
  29: ["ESPIPE", "illegal seek"],
  30: ["EROFS", "read-only file system"],
  32: ["EPIPE", "broken pipe"],
  36: ["ENAMETOOLONG", "file name too long"],
  38: ["ENOSYS", "function not implemented"],
  39: ["ENOTEMPTY", "directory not empty"],
  40: ["ELOOP", "too many levels of symbolic links"],
  61: ["ENODATA", "no data available"],
  65: ["ENOPKG", "package not installed"],
  74: ["EBADMSG", "bad message"],
  75: ["EOVERFLOW", "value too large for defined data type"],
  95: ["EOPNOTSUPP", "operation not supported"],
  99: ["EADDRNOTAVAIL", "cannot assign requested address"],
  110: ["ETIMEDOUT", "connection timed out"],
  116: ["ESTALE", "stale file handle"],
  117: ["EUCLEAN", "structure needs cleaning"],
  121: ["EREMOTEIO", "remote I/O error"],
  122: ["EDQUOT", "disk quota exceeded"],
  126: ["ENOKEY", "required key not available"],
  129: ["EKEYREJECTED", "key was rejected by service"],
  133: ["EHWPOISON", "memory page has hardware error"],
};

/** errno numbers that the program decides by. */
export const EINTR = 4;
export const EIO = 5;
export const ENXIO = 6;
export const EAGAIN = 11;
export const ENOMEM = 12;
export const EFAULT = 14;
export const ENODEV = 19;
export const EINVAL = 22;
export const ENOSPC = 28;
export const EPIPE = 32;
export const ENOSYS = 38;
export const EOPNOTSUPP = 95;
export const EINPROGRESS = 115;

/** The number of an errno name, for example 28 for "ENOSPC". @throws RangeError for a name not in the table */
export function errnoNumber(name: string): number {
  for (const [number, entry] of Object.entries(ERRNO)) if (entry[0] === name) return Number(number);
  throw new RangeError(`Cannot tell the number of an errno: unknown name (${name})`);
}

/** A libc call that failed: which one, on what, and why. */
export class LibcError extends Error {
  /** errno by name, for example "EIO" */
  readonly code: string;
  readonly text: string;

  constructor(
    /** the function, for example "pwrite" */
    readonly call: string,
    /** the file it was about; empty where there is none */
    readonly path: string,
    readonly errno: number,
  ) {
    const [code, text] = ERRNO[errno] ?? [`E${errno}`, `error ${errno}`];
    super(`Cannot ${call}${path === "" ? "" : ` ${path}`}: ${text} (${code})`);
    this.name = "LibcError";
    this.code = code;
    this.text = text;
  }
}

/** ENODATA, EREMOTEIO and EHWPOISON are what block devices and poisoned page cache say beside EIO and EFAULT. */
const MEDIUM_ERRORS = new Set([EIO, EFAULT, 61, 121, 133]);

/** Whether an error says "this piece of the medium is bad", not "this call is wrong". */
export function isMediumError(error: unknown): error is LibcError {
  return error instanceof LibcError && MEDIUM_ERRORS.has(error.errno);
}
