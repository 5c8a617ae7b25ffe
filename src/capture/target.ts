/**
 * Where captures go, `--to DIR`, `--to DEVICE:DIR` or `--to DEVICE`: a directory, on a device that is mounted for it by
 * mount(2), or the device itself, a raw partition. No udev and no mount program is needed.
 */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { setTimeout } from "node:timers";
import {
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  RAMFS_MAGIC,
  S_IFBLK,
  S_IFDIR,
  S_IFMT,
  TMPFS_MAGIC,
} from "../../ffi/constants.ts";
import { LibcError } from "../../ffi/errno.ts";
import { File } from "../../ffi/file.ts";
import type { Libc } from "../../ffi/libc.ts";
import { VmcopyError } from "../errors.ts";
import type { Job } from "../job.ts";
import { findTagged, isTag } from "./devices.ts";
import { makingAdvice } from "./directory.ts";

export interface Place {
  /**
   * a block device to mount, by path or by what is on it (devices.ts); undefined: the directory is of what is mounted
   * already, or is a raw partition
   */
  readonly device: string | undefined;
  /** on the device, from its root */
  readonly directory: string;
}

/** Reads `--to`. @throws RangeError */
export function parsePlace(text: string): Place {
  const match = /^(\/[^:]+|[A-Z]+=[^:/]+):(\/.*)?$/.exec(text);
  if (match !== null) {
    const [, device = "", directory = "/"] = match;
    if (!device.startsWith("/") && !isTag(device))
      throw new RangeError("of devices, a path or UUID=, LABEL= or PARTLABEL= is expected");
    return { device, directory };
  }
  if (text === "" || text.startsWith(":")) throw new RangeError("DIR, DEVICE:DIR or DEVICE is expected");
  return { device: undefined, directory: text };
}

export function formatPlace({ device, directory }: Place): string {
  return device === undefined ? directory : `${device}:${directory}`;
}

/** Looked for so often while it is waited for, in milliseconds. */
const POLL = 100;
/** Where a mount point can be made: the first that is there. */
const MOUNT_PARENTS = ["/run", "/tmp", "/"];
/** Tried before others that could mount the same disk and see less of it. */
const FIRST_TYPE = "ext4";

export class Target {
  private constructor(
    readonly libc: Libc,
    readonly place: Place,
    /** of the directory in this system, or of the raw partition */
    readonly path: string,
    readonly mountPoint: string | undefined,
    /** of what was mounted */
    readonly fileSystemType: string | undefined,
    /** it is a device without a file system */
    readonly isRaw: boolean,
  ) {}

  /**
   * Mounts the device, where there is one, and makes the directory. Devices of a kernel that has just started may
   * need a while to appear.
   *
   * @param wait seconds @throws VmcopyError, LibcError; Interrupted
   */
  static async open(libc: Libc, job: Job, place: Place, wait: number): Promise<Target> {
    const { directory } = place;
    if (place.device === undefined) {
      const raw = await rawDevice(libc, job, directory, wait);
      if (raw !== undefined) return new Target(libc, place, raw, undefined, undefined, true);
      refuseOther(libc, directory);
      makeDirectories(libc, directory);
      return new Target(libc, place, directory, undefined, undefined, false);
    }
    const device = await waitForDevice(libc, job, place.device, wait, "mount");
    const found = { device, directory };
    const mountPoint = makeMountPoint(libc);
    let mounted = false;
    try {
      const type = mountAny(libc, device, mountPoint);
      mounted = true;
      const path = join(mountPoint, directory);
      makeDirectories(libc, path);
      return new Target(libc, found, path, mountPoint, type, false);
    } catch (error) {
      if (mounted) libc.unmount(mountPoint);
      libc.removeDirectory(mountPoint);
      if (error instanceof LibcError)
        error.message = shownOn(found, mountPoint, error.message + makingAdvice(error, mountPoint));
      throw error;
    }
  }

  /** A path or a line as people know it: the device's name for the mount point. */
  shown(text: string): string {
    return this.mountPoint === undefined ? text : shownOn(this.place, this.mountPoint, text);
  }

  /** It is gone when the machine restarts: the initramfs itself, as a rule. */
  get isInMemory(): boolean {
    // A device's node lies in memory, /dev.
    if (this.isRaw) return false;
    using directory = File.open(this.libc, this.path);
    return [TMPFS_MAGIC, RAMFS_MAGIC].includes(directory.fileSystem().type);
  }

  /** Makes everything durable; unmounts what was mounted. @throws LibcError */
  close(): void {
    if (this.mountPoint === undefined) {
      using directory = File.open(this.libc, this.path);
      if (this.isRaw) {
        directory.sync();
        return;
      }
      this.libc.retry("sync", this.path, () => this.libc.backend.calls.syncfs(directory.fd));
      return;
    }
    this.libc.unmount(this.mountPoint);
    this.libc.removeDirectory(this.mountPoint);
  }
}

function shownOn({ device = "" }: Place, mountPoint: string, text: string): string {
  return text.replaceAll(`${mountPoint}/`, `${device}:/`).replaceAll(mountPoint, device);
}

/** The device that a place is, where it is no directory; one under /dev that is not there yet is waited for. */
async function rawDevice(libc: Libc, job: Job, place: string, wait: number): Promise<string | undefined> {
  const status = libc.status(place);
  if (status !== undefined) return (status.mode & S_IFMT) === S_IFBLK ? place : undefined;
  // /dev/shm is memory for files.
  const isUnderDev = place.startsWith("/dev/") && !place.startsWith("/dev/shm/");
  return isUnderDev || isTag(place) ? await waitForDevice(libc, job, place, wait, "write to") : undefined;
}

function refuseOther(libc: Libc, path: string): void {
  const status = libc.status(path);
  if (status === undefined || (status.mode & S_IFMT) === S_IFDIR) return;
  throw new VmcopyError(
    "E_USAGE",
    `Cannot write to ${path}: it is neither a directory nor a block device; name a directory, one on a device (DEVICE:DIR), or a device`,
  );
}

/** @returns its path @throws VmcopyError E_IO where it does not come */
async function waitForDevice(
  libc: Libc,
  job: Job,
  device: string,
  wait: number,
  purpose: "mount" | "write to",
): Promise<string> {
  const end = performance.now() + wait * 1000;
  for (;;) {
    const path = isTag(device) ? findTagged(libc, device) : device;
    const status = path === undefined ? undefined : libc.status(path);
    if (path !== undefined && status !== undefined) {
      if ((status.mode & S_IFMT) === S_IFBLK) return path;
      throw new VmcopyError(
        "E_IO",
        `Cannot ${purpose} ${device}: it is no block device; name one (--to DEVICE:DIR)`,
      );
    }
    if (performance.now() >= end) {
      const waited = wait === 0 ? "" : ` after ${wait} s`;
      const reason = `there is no such device${waited}; is its driver loaded, and /dev a devtmpfs?`;
      throw new VmcopyError("E_IO", `Cannot ${purpose} ${device}: ${reason}`);
    }
    await job.breathe();
    await new Promise((resolve) => setTimeout(resolve, POLL));
  }
}

function makeMountPoint(libc: Libc): string {
  const parent = MOUNT_PARENTS.find((path) => existsSync(path)) ?? "/";
  const path = join(parent, `vmcopy.${process.pid}`);
  try {
    libc.makeDirectory(path, 0o700);
  } catch (error) {
    // One that a killed capture left; something may still be mounted there, under which ours would be hidden.
    if (!(error instanceof LibcError) || error.code !== "EEXIST") throw error;
    libc.removeDirectory(path);
    libc.makeDirectory(path, 0o700);
  }
  return path;
}

/** Types that this kernel can mount a disk as. */
export function diskTypes(procFilesystems: string): string[] {
  const types = procFilesystems.split("\n").flatMap((line) => /^\t(\S+)$/.exec(line)?.[1] ?? []);
  return [...types].sort((a, b) => Number(b === FIRST_TYPE) - Number(a === FIRST_TYPE));
}

/** @returns the type it was mounted as @throws VmcopyError E_IO with the most telling of the reasons */
function mountAny(libc: Libc, device: string, mountPoint: string): string {
  const types = diskTypes(readFileSync("/proc/filesystems", "utf8"));
  let telling: LibcError | undefined;
  for (const type of types) {
    try {
      libc.mount(device, mountPoint, type, MS_NOSUID | MS_NODEV | MS_NOEXEC);
      return type;
    } catch (error) {
      if (!(error instanceof LibcError)) throw error;
      // EINVAL: it is none of this type.
      if (error.code !== "EINVAL") telling ??= error;
    }
  }
  const reason = telling === undefined ? "it holds no file system that this kernel knows" : telling.text;
  const code = telling === undefined ? "" : ` (${telling.code})`;
  const advice = telling === undefined ? undefined : MOUNT_ADVICE[telling.code];
  throw new VmcopyError(
    "E_IO",
    `Cannot mount ${device}: ${reason}${code}; ${advice ?? `tried: ${types.join(", ")}`}`,
    undefined,
    {
      cause: telling,
    },
  );
}

const MOUNT_ADVICE: Record<string, string> = {
  EPERM: "only root may mount",
  EACCES: "the device is read-only: name one that can be written",
  EROFS: "the device is read-only: name one that can be written",
  EBUSY: "it is mounted in another way: name its directory instead",
  EUCLEAN: "its file system is damaged: repair it (fsck)",
};

/** Makes a directory and those above it, each durable. @throws LibcError */
function makeDirectories(libc: Libc, path: string): void {
  const status = libc.status(path);
  if (status !== undefined) {
    if ((status.mode & S_IFMT) !== S_IFDIR) libc.makeDirectory(path, 0o700);
    return;
  }
  const parent = dirname(path);
  if (parent !== path) makeDirectories(libc, parent);
  libc.makeDirectory(path, 0o700);
  File.syncDirectory(libc, parent);
}
