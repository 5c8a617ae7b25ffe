// kdump-tools as Debian's package installs it: its unit loads the capture kernel, a crash boots that with the same root
// file system, and its scripts, unchanged, save the dump with vmcopy as their makedumpfile.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { createRun, removeRun } from "./cache.ts";
import { type DebianRoot, debianRoot, rootDisk, rootProblems } from "./debian-root.ts";
import { emptyDisk, readDisk } from "./disks.ts";
import { type GuestRun, runGuest } from "./guest.ts";
import { keepFailure } from "./lab.ts";
import { labProblems, vmcopyPath } from "./packages.ts";
import { run } from "./run.ts";

const MiB = 1024 * 1024;
const minutes = 60_000;
const memMiB = 1024;
const PANIC = "Kernel panic - not syncing: sysrq triggered crash";
const problems = [...labProblems(), ...rootProblems()];
if (problems.length > 0) console.error(`LAB LEFT OUT: ${problems.join("; ")}`);
const lab = problems.length > 0 ? describe.skip : describe;

lab(`Debian's kdump-tools${problems.length > 0 ? ` (left out: ${problems.join("; ")})` : ""}`, () => {
  let scratch: string;
  let root: DebianRoot;
  let guest: GuestRun;
  /** Of the capture kernel's console. */
  let lines: string[];
  let dumps: string;
  let dump: string;
  let dmesg: string;
  const at = (name: string) => join(scratch, name);
  const left = (name: string) => readFileSync(join(at("root"), "var/lib/lab", name), "utf8");
  const verify = (path: string) => {
    const { exitCode, stdout } = Bun.spawnSync([vmcopyPath, "verify", "--json", path]);
    return { exitCode, report: JSON.parse(stdout.toString()) };
  };

  beforeAll(async () => {
    scratch = createRun();
    root = await debianRoot();
    await rootDisk(at("root.img"), root, (copy) => prepareRoot(root, copy), memMiB);
    await emptyDisk(at("small.img"), 8 * MiB);
    const machine = {
      memMiB,
      cpus: 2,
      kernel: root.image,
      initrd: root.initrd,
      // kdump-tools gives the capture kernel the same, and what it adds.
      commandLine:
        "root=/dev/vda rw console=ttyS0,115200 panic=1 random.trust_cpu=on no_timer_check crashkernel=256M nokaslr mitigations=off",
      disks: [{ path: at("root.img") }, { path: at("small.img") }],
      doneLine: /reboot: machine restart/,
    };
    guest = await runGuest(machine, 420);
    if (guest.failure) throw keepFailure(guest, guest.failure);
    await readDisk(at("root.img"), at("root"), ["/var/crash", "/var/lib/lab"]);
    await readDisk(at("small.img"), at("small"));
    // Nobody may have had the time to print the panic.
    lines = guest.console.slice(guest.console.findLastIndex((line) => line.includes("Linux version")));
    dumps = join(at("root"), "var/crash");
    const [day = ""] = readdirSync(dumps).filter((name) => /^\d{12}$/.test(name));
    dump = join(dumps, day, `dump.${day}`);
    dmesg = join(dumps, day, `dmesg.${day}`);
  }, 12 * minutes);

  afterAll(() => removeRun(scratch));

  test("its own unit loaded the capture kernel", () => {
    expect(left("show")).toMatch(/^current state: +ready to kdump$/m);
    expect(left("show")).toContain("/sbin/kexec -p --command-line=");
  });

  test("its makedumpfile was vmcopy, and to nobody else", async () => {
    expect(left("makedumpfile")).toContain("the program is vmcopy");
    const own = join(root.directory, "usr/bin/makedumpfile");
    await run("take makedumpfile", [
      "debugfs",
      "-R",
      `dump /usr/bin/makedumpfile ${at("own")}`,
      at("root.img"),
    ]);
    expect(readFileSync(at("own")).equals(readFileSync(own))).toBe(true);
  });

  test("it reported success and restarted the machine", () => {
    const said = lines.filter((line) => line.includes("kdump-tools: ")).join("\n");
    expect(said).toMatch(/saved dmesg content in \/var\/crash\/\d{12}/);
    expect(said).toMatch(/saved vmcore in \/var\/crash\/\d{12}/);
    expect(said).not.toContain("failed");
    expect(lines.at(-1)).toContain("reboot: machine restart");
  });

  test("dump and log lie where they always do, none of them unfinished", () => {
    const day = readdirSync(dumps).filter((name) => /^\d{12}$/.test(name));
    expect(day).toHaveLength(1);
    expect(readdirSync(join(dumps, day[0] as string)).sort()).toEqual([`dmesg.${day}`, `dump.${day}`]);
  });

  test("the dump is whole, page by page, and says what it is", async () => {
    expect(verify(dump)).toMatchObject({
      exitCode: 0,
      report: { ok: true, method: "structure", problems: [] },
    });
    const info = JSON.parse(await run("info", [vmcopyPath, "info", "--json", dump]));
    expect(info).toMatchObject({ format: "kdump", flattened: true, dumpLevel: 31, incomplete: false });
  });

  test("the log is what makedumpfile takes from the dump, and has the panic", async () => {
    await run("rearrange", ["bash", "-c", 'makedumpfile -R "$2" < "$1"', "-", dump, at("rearranged")]);
    await run("extract the log", ["makedumpfile", "--dump-dmesg", at("rearranged"), at("log")]);
    const log = readFileSync(dmesg, "utf8");
    expect(log).toContain(PANIC);
    expect(log).toBe(readFileSync(at("log"), "utf8"));
  });

  test(
    "crash opens it: the panic and its stack",
    async () => {
      await run("write crash's commands", [
        "bash",
        "-c",
        `printf 'sys\\nbt\\nquit\\n' > "$1"`,
        "-",
        at("in"),
      ]);
      const symbols = (await root.kernel.symbols()) ?? "";
      const { stdout } = Bun.spawnSync(["crash", "-s", "-i", at("in"), symbols, dump]);
      expect(stdout.toString()).toContain(`PANIC: "${PANIC}"`);
      expect(stdout.toString()).toMatch(/#\d+ .*sysrq_handle_crash/);
    },
    4 * minutes,
  );

  test("with a full disk it reports failure, and what is left is known as unfinished", () => {
    expect(left("full-disk.code").trim()).not.toBe("0");
    expect(left("full-disk")).toContain("failed to save vmcore in /var/crash/");
    expect(left("full-disk")).not.toContain("saved vmcore in");
    const [day = ""] = readdirSync(at("small"));
    const files = readdirSync(join(at("small"), day)).sort();
    expect(files).toContain("dump-incomplete");
    expect(files.filter((name) => /^(dump|vmcore)\.\d/.test(name))).toEqual([]);
    expect(verify(join(at("small"), day, "dump-incomplete")).exitCode).not.toBe(0);
    // The log is small, and was there first.
    expect(readFileSync(join(at("small"), day, `dmesg.${day}`), "utf8")).toContain(PANIC);
  });
});

/** vmcopy as it puts itself into kdump-tools, and the lab's units. */
async function prepareRoot(root: DebianRoot, directory: string): Promise<void> {
  const inRoot = (path: string) => join(directory, path);
  await run("install vmcopy", [vmcopyPath, "install", "kdump-tools", "--root", directory]);

  cpSync(join(import.meta.dir, "kdump-tools"), inRoot("usr/lib/lab"), { recursive: true });
  mkdirSync(inRoot("var/lib/lab"));
  // As the second and any later start finds it: the first one makes the capture kernel's initramfs anew, which takes
  // minutes under emulation, to the same content.
  const release = basename(root.image).slice("vmlinuz-".length);
  copyFileSync(inRoot("etc/kdump/sysctl.conf"), inRoot(`var/lib/kdump/latest_sysctls-${release}`));
  for (const unit of ["lab-crash.service", "lab-full-disk.service"]) {
    await run("enable a unit", [
      ...["chroot", directory, "systemctl", "--quiet", "enable", `/usr/lib/lab/${unit}`],
    ]);
  }
  // kdump-tools by its name and with a full disk: what is makedumpfile to it.
  const dropIns = (unit: string) => inRoot(`etc/systemd/system/${unit}.service.d`);
  cpSync(dropIns("kdump-tools-dump"), dropIns("lab-full-disk"), { recursive: true });
  copyFileSync(inRoot("usr/lib/lab/lab-which.conf"), join(dropIns("kdump-tools-dump"), "lab-which.conf"));
}
