// `npm run lab`: crashes a kernel and gives a person a shell in its capture kernel, or runs a command there.
//
//   npm run lab -- --mem 2048 --crashkernel 256M --shell
//   npm run lab -- --run "vmcopy info"

import { cpSync, existsSync, mkdirSync } from "node:fs";
import { resolve } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { createRun, removeRun } from "./cache.ts";
import { readDisk } from "./disks.ts";
import { qemuCommand } from "./guest.ts";
import { type Crash, crashAndCapture, prepare } from "./lab.ts";
import { debianKernel, defaultKernel, type Kernel, labProblems } from "./packages.ts";

interface Options {
  mem: number;
  crashkernel: string;
  kernel: string;
  fromDisk?: boolean;
  shell?: boolean;
  run?: string;
  results?: string;
}

// cttyhack gives the shell a terminal with job control: Ctrl-C ends a command, not the shell.
const shellScript = `
dmesg -n 1
cat <<'END'

This is the capture kernel; what is left of the crashed one is /proc/vmcore. Try
  vmcopy info     vmcopy copy dump     vmcopy verify dump     vmcopy bench --bytes 128M
/out (here) is an ext4 disk. To leave: poweroff -f, or Ctrl-A X.

END
export PS1='capture:\\w# '
exec setsid cttyhack sh
`;

const program = new Command("npm run lab --")
  .description("Boots a Debian kernel under qemu, crashes it, and works in the capture kernel.")
  .option("--mem <MiB>", "memory of the machine", memory, 1024)
  .option("--crashkernel <size>", "memory kept for the capture kernel", crashkernel, "256M")
  .option(
    "--kernel <name>",
    "Debian kernel package, or an image with all drivers built in (a path)",
    defaultKernel,
  )
  .option("--from-disk", "run vmcopy from a disk, for a crash kernel too small to unpack it")
  .option("--shell", "a shell in the capture kernel on this terminal (the default)")
  .option("--run <command>", "run a command in the capture kernel instead, print the console, power off")
  .option("--results <directory>", "copy what was left in /out there")
  .showHelpAfterError("(--help lists the options)")
  .action(main);
await program.parseAsync();

async function main(options: Options): Promise<void> {
  const directory = createRun();
  try {
    const problems = labProblems();
    if (problems.length > 0) throw new Error(`Cannot start the lab: ${problems.join("; ")}`);
    if (options.results && existsSync(options.results)) {
      throw new Error(`Cannot write the results: the directory exists (${options.results})`);
    }
    const crash: Crash = {
      memMiB: options.mem,
      crashkernel: options.crashkernel,
      programOn: options.fromDisk ? "disk" : "initramfs",
      kernel: await findKernel(options.kernel),
      captureScript: options.run ?? shellScript,
    };
    if (options.run === undefined) await shell(crash, directory, options.results);
    else await command(crash, options.results);
  } catch (error) {
    console.error(process.env.VMCOPY_DEBUG === "1" ? error : (error as Error).message);
    process.exitCode = 2;
  } finally {
    removeRun(directory);
  }
}

/** The guest's console is this terminal. */
async function shell(crash: Crash, directory: string, results?: string): Promise<void> {
  const { machine, outDisk } = await prepare(crash, directory);
  const child = Bun.spawn(qemuCommand(machine, "mon:stdio"), { stdio: ["inherit", "inherit", "inherit"] });
  for (const signal of ["SIGTERM", "SIGHUP"] as const) process.once(signal, () => child.kill());
  await child.exited;
  if (results) await readDisk(outDisk, resolve(results));
}

async function command(crash: Crash, results?: string): Promise<void> {
  const capture = await crashAndCapture({ ...crash, timeoutSeconds: 3600 });
  const from = capture.console.findIndex((line) => line.includes("LAB: init2"));
  console.log(capture.console.slice(from).join("\n"));
  if (results) {
    mkdirSync(results, { recursive: true });
    cpSync(capture.results, results, { recursive: true });
  }
  capture.dispose();
}

async function findKernel(name: string): Promise<Kernel> {
  if (!name.includes("/")) return await debianKernel(name);
  if (!existsSync(name)) throw new Error(`Cannot start the lab: no such kernel image (${name})`);
  return { name, image: resolve(name), modules: null, symbols: async () => null };
}

function memory(text: string): number {
  const MiB = Number(text);
  if (!Number.isInteger(MiB) || MiB < 256 || MiB > 65536) {
    throw new InvalidArgumentError("a whole number of MiB from 256 to 65536 is expected");
  }
  return MiB;
}

function crashkernel(text: string): string {
  if (!/^\d+[KMG](,(high|low))?$/.test(text))
    throw new InvalidArgumentError("a size such as 256M is expected");
  return text;
}
