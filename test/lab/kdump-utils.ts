// Crashes kernels and lets kdump-utils' own capture script, kdump.sh, save the dumps: with vmcopy as its core_collector, and
// with vmcopy in the place of its makedumpfile and vmcore-dmesg.
//
//   npm run lab:kdump-utils -- --scripts DIR
//
// DIR is a checkout of kdump-utils (Fedora's and RHEL's; Debian has no package of it). Its scripts go into the capture
// kernel's initramfs as they are. This is no part of `npm test` (nor of CI): there is nothing to get them from on every
// machine, and they are no part of this project. Beside them are programs of this machine and dracut's own dracut-lib.sh, of
// Debian's dracut-core. The report tells what stands in for Fedora's userland, and which functions ran, by the trace that
// dracut's rd.debug makes.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { Command } from "commander";
import { download, latest } from "./apt.ts";
import { cached, createRun, removeRun } from "./cache.ts";
import { emptyDisk, rawDisk, readDisk } from "./disks.ts";
import { type FileSource, withLibraries } from "./initramfs.ts";
import { crashAndCapture } from "./lab.ts";
import { labProblems, vmcopyPath } from "./packages.ts";
import { run } from "./run.ts";

const MiB = 1024 * 1024;
const memMiB = 1024;
const PANIC = "Kernel panic - not syncing: sysrq triggered crash";
const OWN = join(import.meta.dir, "kdump-utils");

/** kdump-utils' scripts: where they are in a checkout, older ones last, and where its dracut module puts them. */
const SCRIPTS: Record<string, string[]> = {
  "bin/kdump.sh": ["dracut/99kdumpbase/kdump.sh", "dracut-kdump.sh"],
  "lib/kdump-lib-initramfs.sh": ["kdump-lib-initramfs.sh"],
  "lib/kdump-logger.sh": ["kdump-logger.sh"],
  "kdumpscripts/monitor_dd_progress.sh": [
    "dracut/99kdumpbase/monitor_dd_progress.sh",
    "dracut-monitor_dd_progress",
  ],
};
/** What that module takes from the system, and dracut's base module with it. */
const PROGRAMS =
  "bash awk cat chmod cp cut date dd df dirname dmesg findmnt grep head ip logger mkdir mount mv nproc printf rm sed stat sync tail tr umount";
/** In the place of what only Fedora's userland has. */
const STAND_INS: Record<string, string> = {
  "init.sh": "systemd with kdump-capture.service and emergency.service; its journal is busybox's syslogd",
  systemctl: "systemctl poweroff -f",
  "ssh, scp": "the command is run here, the file copied here",
  "/etc/fstab": "the line that dracut's --mount writes",
  "/etc/kdump.conf": "as the dracut module installs it",
};
const NOT_HERE =
  "kdumpctl, mkdumprd and the dracut module (they want Fedora's system), the units, a network and nfs, " +
  "dump_to_rootfs (systemd mounts it), the emergency shell, fadump, opal, fence_kdump";

interface Case {
  /** Lines of kdump.conf, beside those that all have. */
  conf: string[];
  /** What the script writes to, as fstab has it; /dev/vdb comes back as the results. */
  mount?: "/dev/vdb" | "/dev/vdc";
  /** Makes /dev/vdc. */
  disk?: (path: string) => Promise<void>;
  /** More for the capture kernel's command line. */
  commandLine?: string;
  /** Checks what is left. @returns the dump, or null where there has to be none */
  dump: (left: Left) => Promise<string | null>;
}

/** What is left of a capture. */
interface Left {
  /** The directory with all of /dev/vdb. */
  results: string;
  /** The image that was /dev/vdc. */
  disk: string;
  scratch: string;
}

const VMCOPY = "core_collector vmcopy copy -d 31 -c zstd";
const MAKEDUMPFILE = "core_collector makedumpfile -l --message-level 7 -d 31";
const CASES: Record<string, Case> = {
  "ext4, vmcopy": {
    conf: ["ext4 /dev/vdb", VMCOPY],
    mount: "/dev/vdb",
    dump: async ({ results }) => savedIn(results, "vmcore"),
  },
  "ext4, makedumpfile": {
    conf: ["ext4 /dev/vdb", MAKEDUMPFILE],
    mount: "/dev/vdb",
    dump: async ({ results }) => savedIn(results, "vmcore"),
  },
  "raw, vmcopy": {
    conf: ["raw /dev/vdc", VMCOPY],
    disk: async (path) => rawDisk(path, 256 * MiB),
    dump: async (left) => fromRaw(left),
  },
  "raw, makedumpfile": {
    conf: ["raw /dev/vdc", MAKEDUMPFILE],
    disk: async (path) => rawDisk(path, 256 * MiB),
    dump: async (left) => fromRaw(left),
  },
  "ssh, vmcopy": {
    conf: ["ssh kdump@127.0.0.1", "path /target/var/crash", VMCOPY],
    commandLine: "kdump_remote_ip=127.0.0.1",
    dump: async ({ results }) => savedIn(results, "vmcore.flat"),
  },
  "ssh, makedumpfile": {
    conf: ["ssh kdump@127.0.0.1", "path /target/var/crash", MAKEDUMPFILE],
    commandLine: "kdump_remote_ip=127.0.0.1",
    dump: async ({ results }) => savedIn(results, "vmcore.flat"),
  },
  "full disk, vmcopy": full(VMCOPY),
  "full disk, makedumpfile": full(MAKEDUMPFILE),
};

const program = new Command("npm run lab:kdump-utils --")
  .description("Crashes kernels and lets kdump-utils' own scripts save the dumps with vmcopy.")
  .requiredOption("--scripts <directory>", "a checkout of kdump-utils")
  .option("--only <text>", "only the cases with this in their name")
  .showHelpAfterError("(--help lists the options)")
  .action(main);
await program.parseAsync();

async function main(options: { scripts: string; only?: string }): Promise<void> {
  try {
    const problems = labProblems();
    if (problems.length > 0) throw new Error(`Cannot start the lab: ${problems.join("; ")}`);
    const scripts = scriptsOf(resolve(options.scripts));
    const traced = new Set<string>();
    const chosen = Object.entries(CASES).filter(([name]) => name.includes(options.only ?? ""));
    if (chosen.length === 0)
      throw new Error(`Cannot run a case: none has this in its name (${options.only})`);
    for (const [name, one] of chosen) {
      try {
        console.log(`${name}: ${await runCase(one, scripts, traced)}`);
      } catch (error) {
        console.log(`${name}: FAILED: ${(error as Error).message}`);
        process.exitCode = 1;
      }
    }
    report(scripts, traced);
  } catch (error) {
    console.error(process.env.VMCOPY_DEBUG === "1" ? error : (error as Error).message);
    process.exitCode = 2;
  }
}

/** The scripts by their place in the initramfs. @throws Error where one is missing */
function scriptsOf(directory: string): Record<string, FileSource & { from: string }> {
  return Object.fromEntries(
    Object.entries(SCRIPTS).map(([place, candidates]) => {
      const found = candidates.find((name) => existsSync(join(directory, name)));
      if (!found)
        throw new Error(`Cannot use the scripts: there is no ${candidates.join(" or ")} (${directory})`);
      return [place, { from: join(directory, found) }];
    }),
  );
}

/** dracut's library, which kdump.sh sources: from Debian's package of dracut, unpacked into the cache. */
async function dracutLibrary(): Promise<Record<string, FileSource>> {
  const { name, version } = await latest("dracut-core");
  const directory = await cached("dracut", `${name}_${version}`, async (path) => {
    const archive = await download(name, version, `${path}.deb`);
    await run(`unpack ${name}`, ["dpkg-deb", "-x", archive, path]);
    await Bun.file(archive).delete();
  });
  const from = (path: string) => ({ from: join(directory, "usr/lib/dracut", path) });
  return {
    "lib/dracut-lib.sh": from("modules.d/99base/dracut-lib.sh"),
    "lib/dracut-dev-lib.sh": from("modules.d/99base/dracut-dev-lib.sh"),
    // Their reader of the kernel's command line is one program by several names.
    "bin/dracut-getarg": from("dracut-util"),
    "bin/dracut-getargs": from("dracut-util"),
  };
}

/** Programs of this machine with their libraries, in the place of busybox's. */
async function programs(): Promise<Record<string, FileSource>> {
  const files: Record<string, FileSource> = {};
  for (const name of PROGRAMS.split(" ")) {
    for (const entry of await withLibraries(name, `bin/${name}`))
      if ("data" in entry) files[entry.path] = entry.data;
  }
  return files;
}

/** @returns what came of it, in one line */
async function runCase(one: Case, scripts: Record<string, FileSource>, traced: Set<string>): Promise<string> {
  const scratch = createRun();
  const disk = join(scratch, "vdc.img");
  await (one.disk ?? (async (path: string) => rawDisk(path, MiB)))(disk);
  const text = (lines: string[]) => new TextEncoder().encode(`${lines.join("\n")}\n`);
  const capture = await crashAndCapture({
    memMiB,
    // vmcopy, and those programs, are held packed and unpacked for a moment.
    crashkernel: "384M",
    captureScript: "",
    captureInit: readFileSync(join(OWN, "init.sh"), "utf8"),
    captureArguments: `rd.debug ${one.commandLine ?? ""}`,
    files: {
      ...(await programs()),
      ...scripts,
      ...(await dracutLibrary()),
      ...Object.fromEntries(["systemctl", "ssh", "scp"].map((n) => [`bin/${n}`, { from: join(OWN, n) }])),
      "usr/lib/initrd-release": text(["ID=lab"]),
      "etc/fstab": text(one.mount ? [`${one.mount} /target ext4 defaults 0 2`] : []),
      "etc/kdump.conf": text([...one.conf, "final_action poweroff", "failure_action poweroff"]),
    },
    disks: [{ path: disk }],
  });
  try {
    const left = { results: capture.results, disk, scratch };
    const file = (which: string) => {
      const path = join(capture.results, "report", which);
      return existsSync(path) ? readFileSync(path, "utf8") : "";
    };
    for (const [, script, of] of file("trace").matchAll(/^\/*(\/\S+?)@\d+\((\w*)\): /gm)) {
      traced.add(`${(script as string).slice(1)} ${of}`);
    }
    const ending = file("ending").trim() || "kdump.sh: its final action";
    const dump = await one.dump(left);
    if (dump === null) {
      if (!/exit code [1-9]/.test(ending)) throw new Error(`the script reported no failure (${ending})`);
      return `${ending}, no dump by a finished one's name`;
    }
    if (file("ending") !== "") throw new Error(`${ending}: ${file("messages").slice(-500)}`);
    const report = JSON.parse(await run("verify the dump", [vmcopyPath, "verify", "--json", dump]));
    const log = await run("take the log", [vmcopyPath, "dmesg", dump]);
    if (!log.includes(PANIC)) throw new Error(`the dump's log has no panic (${dump})`);
    const size = Math.round(Bun.file(dump).size / MiB);
    return `${ending}; ${dump.split("/").at(-1)}, ${size} MiB, is whole, by ${report.method}`;
  } finally {
    capture.dispose();
    removeRun(scratch);
  }
}

/** The one dump below var/crash, with the log beside it as the script leaves it. @throws Error */
function savedIn(results: string, name: string): string {
  const parent = join(results, "var/crash");
  const [day = "", ...others] = existsSync(parent) ? readdirSync(parent) : [];
  const files = day === "" ? [] : readdirSync(join(parent, day)).sort();
  if (others.length > 0 || !/^127\.0\.0\.1-\d{4}-/.test(day)) throw new Error(`no one directory: ${day}`);
  for (const expected of ["kexec-dmesg.log", "vmcore-dmesg.txt", name])
    if (!files.includes(expected)) throw new Error(`${expected} is missing: ${files.join(" ")}`);
  const log = readFileSync(join(parent, day, "vmcore-dmesg.txt"), "utf8");
  if (!log.includes(PANIC)) throw new Error("vmcore-dmesg.txt has no panic");
  return join(parent, day, name);
}

/** The dump that a flattened stream on a raw device makes, by makedumpfile's own rearranging. */
async function fromRaw({ disk, scratch }: Left): Promise<string> {
  const dump = join(scratch, "rearranged");
  await run("rearrange the dump", ["bash", "-c", 'makedumpfile -R "$2" < "$1"', "-", disk, dump]);
  return dump;
}

/** A disk too small for the dump. */
function full(collector: string): Case {
  return {
    conf: ["ext4 /dev/vdc", collector],
    mount: "/dev/vdc",
    disk: (path) => emptyDisk(path, 8 * MiB),
    async dump({ disk, scratch }) {
      await readDisk(disk, join(scratch, "full"));
      const files = readdirSync(join(scratch, "full"), { recursive: true, encoding: "utf8" });
      const finished = files.filter((path) => /\/vmcore$/.test(path));
      if (finished.length > 0) throw new Error(`the script named a dump as if whole: ${finished.join(" ")}`);
      if (!files.some((path) => path.endsWith("/vmcore-dmesg.txt"))) throw new Error("the log is not there");
      return null;
    },
  };
}

/** Tells which of the scripts' functions ran, and what was not theirs. */
function report(scripts: Record<string, { from: string }>, traced: Set<string>): void {
  console.log(
    "\nFunctions of the scripts that the trace shows (it ends at their own set +x and 2> /dev/null):",
  );
  for (const [place, { from }] of Object.entries(scripts)) {
    const names = [...readFileSync(from, "utf8").matchAll(/^\s*(\w+)\(\)/gm)].map(
      ([, name]) => name as string,
    );
    const defined = [...new Set(names)];
    if (defined.length === 0) continue;
    const ran = defined.filter((name) => traced.has(`${place} ${name}`));
    console.log(`  ${place}: ${ran.length} of ${defined.length}: ${ran.join(" ")}`);
    console.log(`    not seen: ${defined.filter((name) => !ran.includes(name)).join(" ")}`);
  }
  console.log("\nIn the place of Fedora's userland:");
  for (const [file, what] of Object.entries(STAND_INS)) console.log(`  ${file}: ${what}`);
  console.log("Debian's: dracut's library and reader of the command line, and this machine's programs.");
  console.log(`Not run here: ${NOT_HERE}.`);
}
