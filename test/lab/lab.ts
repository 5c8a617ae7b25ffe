// The lab's one entry: boots a kernel, crashes it, runs a script in its capture kernel, brings the results back.
// What is surprising about the recipe stands beside the lines it shaped.

import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Entry } from "../../src/initramfs/cpio.ts";
import { cacheRoot, createRun, removeRun } from "./cache.ts";
import { diskOf, emptyDisk, readDisk } from "./disks.ts";
import { type Disk, type GuestRun, type Machine, type Milestone, runGuest, saveRun } from "./guest.ts";
import {
  baseEntries,
  type FileSource,
  fileEntries,
  moduleOrder,
  withLibraries,
  writeInitramfs,
} from "./initramfs.ts";
import { debianKernel, type Kernel, vmcopyPath } from "./packages.ts";

const MiB = 1024 * 1024;

/** What to crash and what to do then. */
export interface Crash {
  /** Memory of the guest in MiB. */
  memMiB: number;
  /** Size of the crash kernel's memory, as on the kernel's command line. */
  crashkernel?: string;
  /** busybox sh script for the capture kernel; it starts in the ext4 disk /out, which comes back as `results`. */
  captureScript?: string;
  /**
   * busybox sh script that is /init of the capture kernel, in place of the one that runs `captureScript`. It has to end
   * the machine by powering it off; all of the ext4 disk /dev/vdb comes back as `results`.
   */
  captureInit?: string;
  /**
   * All that the capture kernel's initramfs holds, in place of the lab's own, or the path of a finished one. Its /init
   * has to end the machine by reboot(2); all of /dev/vdb comes back as `results`.
   */
  captureInitramfs?: Entry[] | string;
  /**
   * busybox sh script that loads the capture kernel (/in/vmlinuz with /in/initrd) in the first kernel, in place of kexec.
   * The program under test is in PATH there.
   */
  armScript?: string;
  /** More for the capture kernel's command line. */
  captureArguments?: string;
  /** The program under test, /bin/vmcopy in the capture kernel; null for none. */
  program?: string | null;
  /** `disk` leaves the program on a disk (as /in/vmcopy, in PATH too): for crash kernels too small to unpack it. */
  programOn?: "initramfs" | "disk";
  /** More files for the capture kernel's initramfs, by path. */
  files?: Record<string, FileSource>;
  /** busybox sh script that runs in the first kernel before the crash. */
  workload?: string;
  /** More disks, for both kernels: /dev/vdc and on. */
  disks?: Disk[];
  /** Size of the disk for the results; room for two dumps unless told. */
  resultsMiB?: number;
  cpus?: number;
  kernel?: Kernel;
  /** More of the first kernel's command line. */
  commandLine?: string;
  /** Whether the capture kernel handles machine checks; kdump has mce=off. */
  machineChecks?: boolean;
  /** More arguments of qemu. */
  devices?: string[];
  /** Called as each step is seen; the guest goes on meanwhile. */
  onStep?: (step: Milestone) => Promise<void>;
  /** Called with each line of the console. */
  onLine?: (line: string) => void;
  /** Seconds for one boot, crash and capture. */
  timeoutSeconds?: number;
}

/** A finished capture. */
export interface Capture {
  console: string[];
  /** Seconds since qemu started. */
  milestones: Partial<Record<Milestone, number>>;
  /** Directory with what the capture script left in /out. */
  results: string;
  kernel: Kernel;
  /** Removes the results and the guest's disks; it happens at the latest when this process ends. */
  dispose: () => void;
}

/** A machine that is ready to be crashed, and the disk its results will be on. */
export interface Prepared {
  machine: Machine;
  outDisk: string;
  kernel: Kernel;
}

/**
 * Boots, crashes and captures; boots again (three times in all) where the crash kernel's memory was not reserved.
 * @throws Error naming the directory in which the console log and the milestones were kept
 */
export async function crashAndCapture(crash: Crash): Promise<Capture> {
  const directory = createRun();
  try {
    for (let boot = 1; ; boot++) {
      const { machine, outDisk, kernel } = await prepare(crash, directory, boot);
      const run = await runGuest(machine, crash.timeoutSeconds ?? 240, crash.onStep, crash.onLine);
      if (run.failure && /no memory was reserved/.test(run.failure) && boot < 3) continue;
      if (run.failure) throw keepFailure(run, run.failure);
      const results = join(directory, "results");
      await readDisk(outDisk, results);
      if (endsItself(crash)) return captured(run, results, kernel, directory);
      const code = (await Bun.file(join(results, "exit-code")).text()).trim();
      if (code !== "0") throw keepFailure(run, `the capture script ended with exit code ${code}`);
      return captured(run, results, kernel, directory);
    }
  } catch (error) {
    removeRun(directory);
    throw error;
  }
}

function captured(run: GuestRun, results: string, kernel: Kernel, directory: string): Capture {
  const { console, milestones } = run;
  return { console, milestones, results, kernel, dispose: () => removeRun(directory) };
}

/** Makes the images and disks in `directory`. `boot` counts from 1 and decides whether KASLR is off. */
export async function prepare(crash: Crash, directory: string, boot = 1): Promise<Prepared> {
  const kernel = crash.kernel ?? (await debianKernel());
  const program = crash.program === undefined ? vmcopyPath : crash.program;
  if (program && !existsSync(program)) throw new Error(`Cannot crash a guest: no such program (${program})`);
  const onDisk = program !== null && crash.programOn === "disk";
  const modules = moduleOrder(kernel.modules);
  const text = (value: string) => new TextEncoder().encode(value);

  const { captureInitramfs } = crash;
  const isFinished = typeof captureInitramfs === "string";
  const capture = isFinished ? captureInitramfs : join(directory, "capture.cpio.zst");
  if (!isFinished) {
    const captureEntries = captureInitramfs ?? [
      ...(await baseEntries(join(import.meta.dir, "init-capture.sh"), modules)),
      ...fileEntries({
        ...crash.files,
        ...(program && !onDisk ? { "bin/vmcopy": { from: program } } : {}),
        capture: text(crash.captureScript ?? ""),
        ...(crash.captureInit === undefined ? {} : { "bin/init": text(crash.captureInit) }),
      }),
    ];
    await writeInitramfs(capture, captureEntries);
  }
  const first = join(directory, "first.cpio.zst");
  await writeInitramfs(first, [
    ...(await baseEntries(join(import.meta.dir, "init-first.sh"), modules)),
    ...(await withLibraries("kexec", "bin/kexec")),
    ...fileEntries({
      "capture-command-line": text(captureCommandLineOf(crash)),
      ...(crash.workload ? { workload: text(crash.workload) } : {}),
      ...(crash.armScript ? { arm: text(crash.armScript) } : {}),
      ...(program && crash.armScript ? { "bin/vmcopy": { from: program } } : {}),
    }),
  ]);

  const inDisk = join(directory, "in.img");
  const outDisk = join(directory, "out.img");
  await diskOf(inDisk, {
    vmlinuz: { from: kernel.image },
    initrd: { from: capture },
    ...(program && onDisk ? { vmcopy: { from: program } } : {}),
  });
  await emptyDisk(outDisk, (crash.resultsMiB ?? crash.memMiB * 2 + 256) * MiB);
  const machine = {
    memMiB: crash.memMiB,
    cpus: crash.cpus ?? 2,
    kernel: kernel.image,
    initrd: first,
    commandLine:
      `${firstCommandLine(crash.crashkernel ?? "256M", boot)} ${crash.commandLine ?? ""}`.trimEnd(),
    disks: [{ path: inDisk, readOnly: true }, { path: outDisk }, ...(crash.disks ?? [])],
    devices: crash.devices,
    ...(endsItself(crash) ? { doneLine: /reboot: (Power down|Restarting system)/ } : {}),
  };
  return { machine, outDisk, kernel };
}

/** No init script of the lab runs in the capture kernel. */
function endsItself({ captureInit, captureInitramfs }: Crash): boolean {
  return captureInit !== undefined || captureInitramfs !== undefined;
}

// A panic in either kernel restarts, and qemu's -no-reboot turns that into its end.
const common = "console=ttyS0,115200 panic=1 random.trust_cpu=on no_timer_check";
// no_timer_check: on a busy host the emulated timer may come too late for the kernel's test of it.

function firstCommandLine(crashkernel: string, boot: number): string {
  // At a random address the kernel may sit where the reservation would have to go: first try without.
  const kaslr = boot === 1 ? " nokaslr" : "";
  return `${common} crashkernel=${crashkernel} sysrq_always_enabled rdinit=/init${kaslr}`;
}

// rootfstype=ramfs: as a tmpfs the initramfs may fill half the memory only, and vmcopy would be cut off.
const captureCommandLine =
  `${common} irqpoll nr_cpus=1 reset_devices cgroup_disable=memory numa=off acpi_no_memhotplug ` +
  "transparent_hugepage=never novmcoredd hest_disable rootfstype=ramfs";

function captureCommandLineOf({ captureInit, captureArguments = "", machineChecks = false }: Crash): string {
  const checks = machineChecks ? "" : "mce=off ";
  // bin/ is where files of the caller's are executable.
  return `${captureCommandLine} ${checks}rdinit=${captureInit === undefined ? "/init" : "/bin/init"} ${captureArguments}`;
}

/** Keeps what a person needs to find out why, of the last five failures. */
export function keepFailure(run: GuestRun, reason: string): Error {
  const parent = join(cacheRoot, "failed");
  const older = existsSync(parent) ? readdirSync(parent).sort().slice(0, -4) : [];
  for (const name of older) rmSync(join(parent, name), { recursive: true, force: true });
  const directory = join(parent, new Date().toISOString().replaceAll(":", "-"));
  saveRun({ ...run, failure: reason }, directory);
  return new Error(`Cannot capture a crash: ${reason} (console log and milestones: ${directory})`);
}
