/**
 * Where the members lie of the C structures that cross to the kernel: byte offsets on x86_64 and aarch64, the
 * same in glibc and musl. Members have their C names; test/ffi/structs.test.ts holds them against the compiler.
 */

/** struct statx (linux/stat.h) */
export const STATX = {
  stx_blksize: 4,
  stx_mode: 28,
  stx_ino: 32,
  stx_size: 40,
  stx_blocks: 48,
  stx_dev_major: 136,
  stx_dev_minor: 140,
} as const;

/** struct statfs (sys/vfs.h) */
export const STATFS = { f_type: 0, f_bsize: 8, f_bfree: 24, f_bavail: 32 } as const;

/** struct pollfd (poll.h) */
export const POLLFD = { fd: 0, events: 4 } as const;

/** libc's struct sigaction (signal.h), not the kernel's */
export const SIGACTION = { sa_sigaction: 0, sa_mask: 8, sa_flags: 136 } as const;
export const SIGACTION_SIZE = 152;

/** struct aiocb (aio.h), its sigevent's member included */
export const AIOCB = {
  aio_fildes: 0,
  aio_buf: 16,
  aio_nbytes: 24,
  "aio_sigevent.sigev_notify": 44,
  aio_offset: 128,
} as const;
export const AIOCB_SIZE = 168;

/** struct sigevent (signal.h) */
export const SIGEVENT = { sigev_value: 0, sigev_notify: 12, sigev_notify_function: 16 } as const;
export const SIGEVENT_SIZE = 64;

/** struct itimerspec (time.h) */
export const ITIMERSPEC = { "it_interval.tv_sec": 0, "it_value.tv_sec": 16 } as const;
export const ITIMERSPEC_SIZE = 32;

/** siginfo_t (signal.h) */
export const SIGINFO = { si_addr: 16 } as const;
