/** Numbers of the Linux ABI that are the same on x86_64 and aarch64, and the few that are not. */

const isArm = process.arch === "arm64";

export const AT_FDCWD = -100;
export const AT_EMPTY_PATH = 0x1000;
export const STATX_BASIC_STATS = 0x7ff;

export const O_RDONLY = 0;
export const O_WRONLY = 1;
export const O_RDWR = 2;
export const O_CREAT = 0o100;
export const O_EXCL = 0o200;
export const O_TRUNC = 0o1000;
export const O_NONBLOCK = 0o4000;
export const O_CLOEXEC = 0o2000000;
export const O_DIRECT = isArm ? 0o200000 : 0o40000;
export const O_DIRECTORY = isArm ? 0o40000 : 0o200000;

export const S_IFMT = 0o170000;
export const S_IFIFO = 0o010000;
export const S_IFDIR = 0o040000;
export const S_IFBLK = 0o060000;
export const S_IFREG = 0o100000;

export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const PROT_EXEC = 4;
export const MAP_SHARED = 1;
export const MAP_PRIVATE = 2;
export const MAP_ANONYMOUS = 0x20;
export const MAP_FAILED = -1;

export const SEEK_DATA = 3;
export const SEEK_HOLE = 4;

export const POSIX_FADV_DONTNEED = 4;
export const SYNC_FILE_RANGE_WAIT_BEFORE = 1;
export const SYNC_FILE_RANGE_WRITE = 2;
export const SYNC_FILE_RANGE_WAIT_AFTER = 4;

export const POLLIN = 1;
export const POLLOUT = 4;
export const LOCK_EX = 2;
export const LOCK_NB = 4;
/** _IOR(0x12, 114, size_t): the size of a block device in bytes */
export const BLKGETSIZE64 = 0x80081272;
/** _IOR('W', 7, int): after how many seconds a watchdog resets the machine */
export const WDIOC_GETTIMEOUT = 0x80045707;
export const SIGEV_NONE = 1;
export const SIGEV_THREAD = 2;
export const CLOCK_MONOTONIC = 1;
/** with 1: waits until a terminal has sent all that was written to it (tcdrain(3)) */
export const TCSBRK = 0x5409;
export const SC_PAGESIZE = 30;

export const MS_NOSUID = 2;
export const MS_NODEV = 4;
export const MS_NOEXEC = 8;
export const SYS_finit_module = isArm ? 273 : 313;
/** Linux 5.17: the kernel decompresses the module itself */
export const MODULE_INIT_COMPRESSED_FILE = 4;
export const RB_AUTOBOOT = 0x01234567;
export const RB_HALT_SYSTEM = 0xcdef0123;
export const RB_POWER_OFF = 0x4321fedc;

/** arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h of Linux; libc has no function for it */
export const SYS_kexec_file_load = isArm ? 294 : 320;
export const KEXEC_FILE_UNLOAD = 1;
export const KEXEC_FILE_ON_CRASH = 2;
export const KEXEC_FILE_NO_INITRAMFS = 4;

export const PROC_SUPER_MAGIC = 0x9fa0;
export const TMPFS_MAGIC = 0x01021994;
export const RAMFS_MAGIC = 0x858458f6;
