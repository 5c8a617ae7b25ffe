/** `vmcopy arm`: loads the crash kernel in the kernel that may crash. */
import { arm as armMachine, disarm, notReserved, type Readiness, readiness } from "../arm/arm.ts";
import type { KernelImage } from "../arm/kernel-image.ts";
import { EXIT_DATA, EXIT_FAILED, EXIT_OK, VmcopyError } from "../errors.ts";
import { formatSize, sizeArgument } from "../units.ts";
import type { Outcome, Verb } from "./command.ts";

export const arm: Verb = {
  describe(command) {
    command
      .summary("load the crash kernel, to be started at a panic; needs no kexec-tools")
      .description(
        "Loads a kernel and its initramfs into the memory that crashkernel= reserved, by kexec_file_load(2): at a panic " +
          "that kernel starts, and captures the dead one's memory. Tells how much memory it needs there, from the files " +
          "themselves: the initramfs is held packed and unpacked at once.",
      )
      .usage("--kernel <file> [options]\n       vmcopy arm --crashkernel-check | --unload")
      .option("--kernel <file>", "the kernel to start at a panic: a bzImage or Image, such as /boot/vmlinuz")
      .option("--initrd <file>", "its initramfs, such as one that holds vmcopy")
      .option("--append <text>", "more for its command line, behind the rest: 'vmcopy.to=/dev/vdb:/crash'")
      .option("--command-line <text>", "its whole command line, in place of what is made below")
      .option("--reuse-command-line", "the running kernel's, with what kdump needs")
      .option(
        "--crashkernel-check",
        "tell what is reserved, what is needed and whether it fits; load only where it does",
      )
      .option("--dry-run", "look at everything, load nothing")
      .option("--unload", "take the loaded crash kernel away")
      .addHelpText("after", HELP);
  },

  async run({ libc, terminal }, paths, options) {
    const wishes = wishesOf(paths, options);
    if (wishes.unload) {
      disarm(libc);
      return { exitCode: EXIT_OK, json: { loaded: false }, text: "disarmed: no crash kernel is loaded\n" };
    }
    const ready = await readiness(libc, wishes.request);
    for (const problem of ready.initramfs?.problems ?? []) terminal.warn(problem);
    const impossible = notReserved(ready);
    if (impossible !== undefined) {
      terminal.fail(`arm: ${impossible.message}`);
      const { code, message } = impossible;
      return outcome(ready, EXIT_FAILED, { error: { code, message } }, needText(ready));
    }
    const isTooSmall = ready.fits === false;
    if (isTooSmall) terminal.warn(tooSmall(ready));
    const isUnknown = wishes.check && ready.fits === undefined;
    if (isUnknown) terminal.fail(`arm: ${unknown(ready)}`);
    const { kernel } = ready;
    if (kernel === undefined || wishes.dryRun || (wishes.check && ready.fits !== true)) {
      const exitCode = isUnknown ? EXIT_FAILED : wishes.check && isTooSmall ? EXIT_DATA : EXIT_OK;
      const error = isUnknown ? { error: { code: "E_UNSUPPORTED", message: unknown(ready) } } : {};
      return outcome(ready, exitCode, error, `nothing was loaded\n${needText(ready)}`);
    }
    armMachine(libc, { ...ready, kernel });
    return outcome(ready, EXIT_OK, { loaded: true }, armedText(ready, kernel));
  },
};

const HELP = `
Without --command-line the crash kernel's is: the running kernel's console= parameters, what kdump needs (irqpoll nr_cpus=1
reset_devices panic=10 cgroup_disable=memory ... rootfstype=ramfs), and --append. The kernel adds elfcorehdr= itself. The
settings of vmcopy capture get there as vmcopy.NAME=VALUE:

  vmcopy arm --kernel /boot/vmlinuz --initrd /boot/vmcopy.cpio.zst --append 'vmcopy.to=/dev/vda2 vmcopy.final=reboot'

What is needed is an estimate for x86_64, at most some 32 MiB too large. Memory is reserved when a kernel starts, by
crashkernel= on its command line, never later.

Exit codes: 0 done, or it fits; 1 with --crashkernel-check: too little is reserved; 2 it could not be done: nothing is
reserved, or the kernel refuses.`;

function wishesOf(paths: string[], options: Record<string, unknown>) {
  const text = (name: string) => options[name] as string | undefined;
  const is = (name: string) => options[name] === true;
  const usage = (message: string) => new VmcopyError("E_USAGE", `${message}; see vmcopy arm --help`);
  if (paths.length > 0) throw usage(`too many arguments (${paths[0]})`);
  const kernel = text("kernel");
  const [unload, check, dryRun] = [is("unload"), is("crashkernelCheck"), is("dryRun")];
  const others = [
    "kernel",
    "initrd",
    "append",
    "commandLine",
    "reuseCommandLine",
    "crashkernelCheck",
    "dryRun",
  ];
  if (unload && others.some((name) => options[name] !== undefined))
    throw usage("--unload goes with no other option");
  if (kernel === undefined && !unload && !check) throw usage("--kernel is missing");
  const reuse = is("reuseCommandLine");
  if (reuse && text("commandLine") !== undefined)
    throw usage("--command-line and --reuse-command-line exclude each other");
  const commandLine = { text: text("commandLine"), reuse, append: text("append") };
  return { unload, check, dryRun, request: { kernel, initrd: text("initrd"), commandLine } };
}

function outcome(ready: Readiness, exitCode: number, more: object, text: string): Outcome {
  const { machine, kernel, initramfs, commandLine, rootfs, needed, fits } = ready;
  const json = {
    reservedBytes: machine.reserved ?? null,
    neededBytes: needed ?? null,
    crashkernel: needed === undefined ? null : sizeArgument(needed),
    fits: fits ?? null,
    loaded: machine.isLoaded,
    kernel:
      kernel === undefined ? null : { path: kernel.path, bytes: kernel.bytes, memoryBytes: kernel.memory },
    initramfs:
      initramfs === undefined
        ? null
        : {
            path: initramfs.path,
            bytes: initramfs.bytes,
            unpackedBytes: initramfs.unpacked,
            parts: initramfs.parts.map(({ format, bytes, unpacked }) => ({
              format,
              bytes,
              unpackedBytes: unpacked ?? null,
            })),
            problems: initramfs.problems,
          },
    rootfs,
    commandLine,
    ...more,
  };
  return { exitCode, json, text };
}

function armedText(ready: Readiness, kernel: KernelImage): string {
  const initrd = ready.initramfs === undefined ? "" : ` with ${ready.initramfs.path}`;
  return `armed: ${kernel.path}${initrd} starts at the next panic\n${needText(ready)}  command line: ${ready.commandLine}\n`;
}

function tooSmall({ machine, needed = 0, rootfs }: Readiness): string {
  const why = rootfs === "tmpfs" ? " (less with rootfstype=ramfs on the crash kernel's command line)" : "";
  return (
    `${formatSize(machine.reserved ?? 0)} are reserved for the crash kernel, and it needs about ${formatSize(needed)}${why}: ` +
    `put crashkernel=${sizeArgument(needed)} on this kernel's command line and restart`
  );
}

/** Why it cannot be told whether it fits. */
function unknown({ needed }: Readiness): string {
  const why =
    needed === undefined
      ? "nobody but root may know the size of the running kernel: name the --kernel"
      : "not all of the initramfs tells what it becomes: pack it with zstd, xz, gzip or lz4";
  return `Cannot tell how much memory a crash kernel needs: ${why}`;
}

/** What is reserved and what is needed, and of what that is made. */
function needText({ machine, kernel, initramfs, rootfs, needed, fits }: Readiness): string {
  const { reserved } = machine;
  const has = reserved === undefined ? "nothing can be reserved" : `${formatSize(reserved)} reserved`;
  if (needed === undefined) return `  ${has}; how much is needed is not known\n`;
  const verdict = !reserved ? "" : fits === undefined ? " and more" : fits ? ": it fits" : ": TOO LITTLE";
  const own = kernel?.memory ?? machine.kernelMemory ?? 0;
  const whose = kernel === undefined ? "the running kernel" : "kernel";
  const formats = [...new Set(initramfs?.parts.map(({ format }) => format))].join(", ");
  const files =
    initramfs === undefined
      ? "no initramfs"
      : `initramfs ${formatSize(initramfs.bytes)} (${formats}) and unpacked ${formatSize(initramfs.unpacked)} (${rootfs})`;
  return `  ${has}, ${formatSize(needed)} needed (crashkernel=${sizeArgument(needed)})${verdict}\n  ${whose} ${formatSize(own)}, ${files}\n`;
}
