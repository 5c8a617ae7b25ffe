/**
 * The script that decides in an initramfs whether to capture, in a system of its own (chroot) with files for /proc: what it
 * calls vmcopy with, and when not at all. By dash and by busybox, the shells of the initramfs images there are.
 */
import { beforeEach, describe, expect, it } from "bun:test";
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findProgram } from "../lab/run.ts";
import { ROOT, temporaryFolder } from "../support/files.ts";
import { possible } from "../support/program.ts";

const path = temporaryFolder();
const root = path("root");
const busybox = findProgram("busybox");
const can = busybox !== null && possible("chroot / true");
const inChroot = can ? describe : describe.skip;

/** What ran, one line a program. */
const LOG = "/log";
const SCRIPT = `#!/bin/sh
echo "$(basename $0) $*" >> ${LOG}
`;

const write = (at: string, text: string, mode = 0o644) => {
  mkdirSync(join(root, at, ".."), { recursive: true });
  writeFileSync(join(root, at), text, { mode });
};
/** @param stage what the script is called with @returns what it printed */
function kdump(stage: string, environment: Record<string, string> = {}, ...more: string[]): string {
  const { stdout, stderr } = Bun.spawnSync(
    [findProgram("chroot") as string, root, "/bin/sh", "/bin/vmcopy-kdump", stage, ...more],
    {
      env: { PATH: "/bin", ...environment },
    },
  );
  return stdout.toString() + stderr.toString();
}
const ran = () => {
  const text = existsSync(join(root, LOG)) ? readFileSync(join(root, LOG), "utf8") : "";
  return text.split("\n").filter((line) => line !== "");
};
const said = () => readFileSync(join(root, "dev/console"), "utf8");

inChroot.each(["dash", "busybox"])(
  `vmcopy-kdump by %s${can ? "" : " (left out: it needs busybox and chroot)"}`,
  (shell) => {
    const works = shell === "busybox" || possible("ldd $(command -v dash)") ? it : it.skip;

    beforeEach(() => {
      rmSync(root, { recursive: true, force: true });
      for (const directory of ["bin", "run", "proc", "dev", "etc"])
        mkdirSync(join(root, directory), { recursive: true });
      write("bin/busybox", "", 0o755);
      writeFileSync(join(root, "bin/busybox"), readFileSync(busybox as string), { mode: 0o755 });
      for (const name of ["mkdir", "basename", "rm", ...(shell === "busybox" ? ["sh"] : [])])
        symlinkSync("busybox", join(root, "bin", name));
      if (shell === "dash") {
        const script = `cp "$(command -v dash)" ${root}/bin/sh && for l in $(ldd "$(command -v dash)" | grep -o '/[^ ]*'); do mkdir -p ${root}/$(dirname $l) && cp $l ${root}/$l; done`;
        if (!possible(script)) throw new Error("Cannot put dash into a root of its own");
      }
      write("bin/vmcopy-kdump", readFileSync(join(ROOT, "dist/dracut/99vmcopy/vmcopy-kdump"), "utf8"), 0o755);
      for (const name of ["vmcopy", "mount", "modprobe", "sync"]) write(`bin/${name}`, SCRIPT, 0o755);
      write("proc/vmcore", "");
      write("proc/cmdline", "root=/dev/vda quiet\n");
      write("proc/mounts", "rootfs / rootfs rw 0 0\n");
      write("proc/sysrq-trigger", "");
      for (const name of ["console", "null"]) write(`dev/${name}`, "");
    });

    const command = (line: string) => write("proc/cmdline", `root=/dev/vda ${line} quiet\n`);

    works("in a kernel that kdump did not start: nothing", () => {
      rmSync(join(root, "proc/vmcore"));
      command("vmcopy.to=/dev/null:/crash");
      expect(kdump("target") + kdump("device") + kdump("last")).toBe("");
      expect([ran(), existsSync(join(root, "run/vmcopy-kdump"))]).toEqual([[], false]);
    });

    works("where nobody asked: nothing", () => {
      expect(kdump("last")).toBe("");
      expect(ran()).toEqual([]);
    });

    works.each<[string, string, string]>([
      ["the command line", "vmcopy.to=/dev/vdb:/crash", ""],
      ["the file", "", '# to = "/dev/none:/x"\nlevel = 31\n  to = "/dev/vdb:/crash" # here\n'],
      ["the file, without spaces", "", "to='/dev/vdb:/crash'"],
      ["the file that the command line names", "vmcopy.config=/etc/other.toml", ""],
      ["the command line before the file", 'vmcopy.to="/dev/vdb:/crash"', 'to = "/dev/vdc:/crash"\n'],
    ])("the device, from %s", (_, line, file) => {
      command(line);
      if (file !== "") write("etc/vmcopy.toml", file);
      write("etc/other.toml", 'to = "/dev/vdb:/crash"\n');
      expect(kdump("target")).toBe("/dev/vdb\n");
      // It is not there: later.
      expect(kdump("device")).toBe("");
      expect(ran()).toEqual([]);
      // Nothing more will appear: vmcopy says what is missing, and ends the machine.
      kdump("last");
      expect(ran()).toEqual(["vmcopy capture --final reboot"]);
    });

    works.each([
      ["/dev/vdb:/crash", "/dev/vdb"],
      ["/dev/vdb2", "/dev/vdb2"],
      ["UUID=1234-ab:/crash", "/dev/disk/by-uuid/1234-ab"],
      ["PARTLABEL=dump", "/dev/disk/by-partlabel/dump"],
      ["/var/crash", ""],
    ])("what is a device, and which one: %s", (to, device) => {
      command(`vmcopy.to=${to}`);
      expect(kdump("target").trim()).toBe(device);
      // When an initramfs is made: of the file alone, in any kernel.
      rmSync(join(root, "proc/vmcore"));
      write("etc/other.toml", `to = "${to}"\n`);
      command("vmcopy.to=/dev/vdz:/x");
      expect(kdump("configured", {}, "/etc/other.toml").trim()).toBe(device);
      expect([kdump("configured", {}, "/etc/none.toml"), ran()]).toEqual(["", []]);
    });

    works("once, whoever calls", () => {
      command("vmcopy.to=/dev/vdb:/crash");
      for (const stage of ["last", "last", "device", "last"]) kdump(stage);
      expect(ran()).toEqual(["vmcopy capture --final reboot"]);
    });

    works("its own final action, from either place", () => {
      command("vmcopy.to=/dev/vdb:/crash vmcopy.final=poweroff");
      kdump("last");
      rmSync(join(root, "run/vmcopy-kdump"), { recursive: true });
      command("");
      write("etc/vmcopy.toml", 'final = ["shell", "reboot"]\nto = "/dev/vdb:/x"\n');
      kdump("last");
      expect(ran()).toEqual(["vmcopy capture", "vmcopy capture"]);
      expect(readFileSync(join(root, "proc/sysrq-trigger"), "utf8")).toBe("");
    });

    works.each<[string, Record<string, string>, string]>([
      ["dracut's", { NEWROOT: "/sysroot" }, "/sysroot"],
      ["initramfs-tools'", { rootmnt: "/root" }, "/root"],
    ])("a directory is one of %s root, which is made writable", (_, environment, mounted) => {
      command("vmcopy.to=/var/crash vmcopy.final=none");
      write("proc/mounts", `rootfs / rootfs rw 0 0\n/dev/vda ${mounted} ext4 ro 0 0\n`);
      expect([kdump("target", environment), kdump("device", environment)]).toEqual(["", ""]);
      kdump("last", environment);
      expect(ran()).toEqual([`mount -o remount,rw ${mounted}`, `vmcopy capture --to ${mounted}/var/crash`]);
    });

    works("a directory where no root is mounted, or that names it, is taken as it is", () => {
      command("vmcopy.to=/sysroot/var/crash");
      write("proc/mounts", "/dev/vda /sysroot ext4 rw 0 0\n");
      kdump("last");
      rmSync(join(root, "run/vmcopy-kdump"), { recursive: true });
      write("proc/mounts", "");
      command("vmcopy.to=/var/crash");
      kdump("last");
      expect(ran()).toEqual(["vmcopy capture --final reboot", "vmcopy capture --final reboot"]);
    });

    works.each<[string, string, string]>([
      ["vmcopy.to=/dev/vdb:/x", "b", "reboot"],
      ["vmcopy.to=/dev/vdb:/x vmcopy.final=poweroff", "o", "poweroff"],
      ["vmcopy.to=/dev/vdb:/x vmcopy.final=shell", "", "stays"],
    ])("%s, and vmcopy is killed: %p", (line, key) => {
      command(line);
      write("bin/vmcopy", "#!/bin/sh\nkill -9 $$\n", 0o755);
      kdump("last");
      expect(readFileSync(join(root, "proc/sysrq-trigger"), "utf8").trim()).toBe(key);
      if (key !== "") expect(said()).toContain("vmcopy ended with code 137; the machine ends without it");
    });

    works("no program at all: that is said, and the machine does not wait", () => {
      command("vmcopy.to=/dev/vdb:/x");
      rmSync(join(root, "bin/vmcopy"));
      kdump("last");
      expect(said()).toContain("there is no vmcopy in this initramfs: nothing is captured");
      expect(readFileSync(join(root, "proc/sysrq-trigger"), "utf8")).toBe("b\n");
    });

    works("out of an image, where the program is in one", () => {
      command("vmcopy.to=/dev/vdb:/x");
      rmSync(join(root, "bin/vmcopy"));
      write("usr/lib/vmcopy/vmcopy.squashfs", "");
      // In the place of mount: what would be there then.
      write(
        "bin/mount",
        `${SCRIPT}for at; do :; done\necho '#!/bin/sh' > $at/vmcopy; echo 'echo image $* >> ${LOG}' >> $at/vmcopy; /bin/busybox chmod +x $at/vmcopy\n`,
        0o755,
      );
      kdump("last");
      // busybox's shell has a modprobe of its own.
      expect(ran()).toEqual([
        ...(shell === "dash" ? ["modprobe -q loop", "modprobe -q squashfs"] : []),
        "mount -t squashfs -o ro,loop /usr/lib/vmcopy/vmcopy.squashfs /run/vmcopy-kdump/program",
        "image capture --final reboot",
      ]);
    });

    works("a stage that it does not know", () => {
      command("vmcopy.to=/dev/vdb:/x");
      expect(kdump("first")).toBe("vmcopy-kdump: configured, target, device or last is expected\n");
    });
  },
);
