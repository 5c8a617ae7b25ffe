// vmcopy as the only program of a capture kernel: a kernel crashes, the next one's first process is dist/vmcopy, and
// nothing else is there. Then the ways in which that can go wrong: each ends the machine.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildProblems, labKernel } from "../../kernel/build.ts";
import type { Entry } from "../../src/initramfs/cpio.ts";
import { moduleEntries } from "../../src/initramfs/modules.ts";
import { createRun, removeRun } from "./cache.ts";
import { emptyDisk, rawDisk, readDisk } from "./disks.ts";
import { runGuest } from "./guest.ts";
import { moduleOrder, writeInitramfs } from "./initramfs.ts";
import { type Crash, crashAndCapture } from "./lab.ts";
import { debianKernel, type Kernel, labProblems, vmcopyPath } from "./packages.ts";
import { findProgram, run } from "./run.ts";

const MiB = 1024 * 1024;
const minutes = 60_000;
const problems = [...labProblems(), ...buildProblems()];
const lab = problems.length > 0 ? describe.skip : describe;
const reason = problems.length > 0 ? ` (left out: ${problems.join("; ")})` : "";

const init = (): Entry => ({ path: "init", data: readFileSync(vmcopyPath), mode: 0o755 });
const file = (path: string, text: string): Entry => ({ path, data: new TextEncoder().encode(text) });
/** The kernel's own initramfs has /dev/console. So it has none that can be opened, and starts /init without any file. */
const noConsole: Entry = { path: "dev/console", link: "/none" };

const WHOLE = ["capture.json", "crash.json", "dmesg.txt", "vmcore", "vmcore.manifest.json"];
const jsonIn = (...path: string[]) => JSON.parse(readFileSync(join(...path), "utf8"));

/** Console lines from the crash on, where there was one, without the time in front. */
function lastKernel(console: string[]): string[] {
  const crash = console.findIndex((line) => line.includes("sysrq triggered crash"));
  return console.slice(crash + 1).map((line) => line.replace(/^\[ *[\d.]+\] /, ""));
}

/** The steps that were told on the console, in order. */
function stepsOf(lines: string[]): string {
  return lines.flatMap((line) => /\[ *\d+\.\d\d\] ([\w-]+): /.exec(line)?.[1] ?? []).join(" ");
}

lab(`the appliance${reason}`, () => {
  let directory: string;
  const at = (name: string) => join(directory, name);

  beforeAll(() => {
    directory = createRun();
  });
  afterAll(() => removeRun(directory));

  /** Crashes a kernel whose capture kernel has nothing but these files. */
  async function appliance(kernel: Kernel, entries: Entry[], words: string, more: Partial<Crash> = {}) {
    const capture = await crashAndCapture({
      memMiB: 640,
      kernel,
      captureInitramfs: [init(), ...entries],
      captureArguments: words,
      ...more,
    });
    const lines = lastKernel(capture.console);
    // Words of the kernel's where its first process comes back, or was not to be had.
    expect(lines.join("\n")).not.toMatch(/Attempted to kill init|No working init/);
    return { capture, lines, said: lines.join("\n") };
  }

  async function drgn(kernel: Kernel, dump: string): Promise<string[]> {
    writeFileSync(
      at("look.py"),
      `from drgn.helpers.linux.pid import for_each_task
from drgn.helpers.linux.printk import get_dmesg
print(sum(1 for _ in for_each_task(prog)))
print(b"sysrq triggered crash" in get_dmesg(prog))
print(prog.crashed_thread().object.comm.string_().decode())
`,
    );
    const symbols = (await kernel.symbols()) ?? "";
    const report = await run("drgn", ["drgn", "-q", "-c", dump, "-s", symbols, at("look.py")]);
    return report.trim().split("\n");
  }

  /** What is on the console and on the host after a capture that went well. */
  async function expectWhole(kernel: Kernel, lines: string[], dump: string) {
    const said = lines.join("\n");
    expect(said).toContain("mount: /proc, /sys and /dev are there");
    expect(said).toContain("stall: the machine powers off after 300 s without progress");
    expect(said).toMatch(/final: poweroff\n(.*\n)*.*reboot: Power down/);
    expect(await run("verify", [vmcopyPath, "verify", dump])).toContain("whole and right");
    const [tasks, isInLog, crashed] = await drgn(kernel, dump);
    expect(Number(tasks)).toBeGreaterThan(20);
    expect([isInLog, crashed]).toEqual(["True", "init"]);
  }

  test(
    "Debian's kernel, to ext4: /init and the modules are all it needs for a verified dump",
    async () => {
      const kernel = await debianKernel();
      const entries = moduleEntries(moduleOrder(kernel.modules));
      const words = "vmcopy.to=/dev/vdb:/crash vmcopy.final=poweroff vmcopy.name=one";
      const { capture, lines, said } = await appliance(kernel, entries, words);
      expect(stepsOf(lines)).toBe(
        "mount stall modules read target log crash space dump verify name unmount final",
      );
      expect(said).toMatch(/modules: .*virtio_pci\.ko .*virtio_blk\.ko/);
      const crash = join(capture.results, "crash/one");
      expect(readdirSync(crash).sort()).toEqual(WHOLE);
      expect(jsonIn(crash, "capture.json")).toMatchObject({
        state: "complete",
        verified: true,
        actions: ["poweroff"],
      });
      await expectWhole(kernel, lines, join(crash, "vmcore"));
      capture.dispose();
    },
    5 * minutes,
  );

  test(
    "Linux 6.12, to ext4: one file, /init, for a verified dump",
    async () => {
      const kernel = await labKernel("6.12");
      const words = "vmcopy.to=/dev/vdb:/crash vmcopy.final=poweroff vmcopy.name=one";
      const { capture, lines } = await appliance(kernel, [], words);
      expect(stepsOf(lines)).toBe(
        "mount stall modules read target log crash space dump verify name unmount final",
      );
      const crash = join(capture.results, "crash/one");
      expect(readdirSync(crash).sort()).toEqual(WHOLE);
      await expectWhole(kernel, lines, join(crash, "vmcore"));
      capture.dispose();
    },
    5 * minutes,
  );

  test(
    "Linux 6.12, to a raw partition: /init is all it needs, a console not among it",
    async () => {
      const kernel = await labKernel("6.12");
      const partition = at("raw.img");
      rawDisk(partition, 512 * MiB);
      const disks = [{ path: partition }];
      const words = "vmcopy.to=/dev/vdc vmcopy.final=poweroff";
      const { capture, lines, said } = await appliance(kernel, [noConsole], words, { disks });
      expect(said).toContain("unable to open an initial console");
      expect(said).toContain("modules: none in /modules");
      expect(stepsOf(lines)).toBe(
        "mount stall modules read target log crash space dump verify mark sync final",
      );
      await run("take the dump out", [vmcopyPath, "copy", partition, at("dump")]);
      await expectWhole(kernel, lines, at("dump"));
      capture.dispose();
    },
    5 * minutes,
  );

  test(
    "a target that never appears: the log is shown, and a final action that fails is a restart",
    async () => {
      // A kernel hands words that it does not know to /init, and settings can stand in a file.
      const config = file("etc/vmcopy.toml", 'to = "/dev/vdz:/crash"\nwait = 2\nfinal = "shell"\n');
      const { capture, lines, said } = await appliance(await labKernel("6.12"), [config], "unheardof");
      expect(stepsOf(lines)).toBe("mount stall modules read target final");
      expect(said).toContain("target: Cannot mount /dev/vdz: there is no such device after 2 s");
      expect(said).toContain("sysrq: Trigger a crash");
      expect(said).toContain("Cannot start a shell: there is no /bin/sh that runs");
      expect(said).toContain("reboot: Restarting system");
      capture.dispose();
    },
    5 * minutes,
  );

  test(
    "booted without a crash, modules that are none: says so, a shell, and powers off",
    async () => {
      const shell =
        // Longer than the stall timer waits: nobody hurries who sits in a shell.
        '#!/bin/busybox sh\n/bin/busybox sleep 9\necho "a panic waits for $(/bin/busybox cat /proc/sys/kernel/panic) s"\n';
      const initrd = at("first.cpio.zst");
      await writeInitramfs(initrd, [
        init(),
        file("modules/other.ko", "none"),
        file("modules/order", "gone.ko\nother.ko\n"),
        { path: "bin/busybox", data: readFileSync(findProgram("busybox") as string), mode: 0o755 },
        { ...file("bin/sh", shell), mode: 0o755 },
      ]);
      const { image } = await debianKernel();
      const machine = {
        ...{ memMiB: 512, cpus: 1, kernel: image, initrd, disks: [] },
        commandLine:
          "console=ttyS0,115200 random.trust_cpu=on rootfstype=ramfs vmcopy.final=shell,poweroff vmcopy.stall=6",
        doneLine: /reboot: Power down/,
      };
      const { console, failure } = await runGuest(machine, 120);
      expect(failure).toBeNull();
      const said = lastKernel(console).join("\n");
      expect(said).toContain("boot: there is no /proc/vmcore: no crash started this kernel");
      expect(said).toMatch(
        /modules: none in \/modules; Cannot open \/modules\/gone\.ko: .*; Cannot load module \/modules\/other\.ko: exec format error \(ENOEXEC\); it is no module of this kernel/,
      );
      // Where the kernel's command line says nothing, a panic would be for ever.
      expect(said).toMatch(
        /final: shell, then poweroff\n(.*\n)*a panic waits for 10 s\n(.*\n)*.*reboot: Power down/,
      );
      expect(said).not.toContain("Attempted to kill init");
    },
    3 * minutes,
  );

  test(
    "a disk that stops answering in the middle of the dump: the thread that works never comes back, the machine ends",
    async () => {
      // 16 MiB at once, then a byte a second: who writes waits in the kernel, in no way to be interrupted.
      await emptyDisk(at("dead.img"), 1024 * MiB);
      const throttling = `throttling.bps-total=1,throttling.bps-total-max=${16 * MiB}`;
      const words =
        "vmcopy.to=/dev/vdc:/crash vmcopy.name=one vmcopy.level=0 vmcopy.compress=none vmcopy.stall=20";
      const { capture, lines, said } = await appliance(
        await labKernel("6.12"),
        [],
        `${words} vmcopy.final=poweroff`,
        {
          devices: ["-drive", `file=${at("dead.img")},if=virtio,format=raw,cache=unsafe,${throttling}`],
        },
      );
      // Nobody told of an end: it was libc's timer that called reboot(2).
      expect(stepsOf(lines)).toBe("mount stall modules read target log crash space");
      expect(said).toContain("stall: the machine powers off after 20 s without progress");
      expect(said).toContain("reboot: Power down");
      await readDisk(at("dead.img"), at("dead"));
      const left = at("dead/crash/one.incomplete");
      expect(readFileSync(join(left, "dmesg.txt"), "utf8")).toContain("sysrq: Trigger a crash");
      expect(jsonIn(left, "capture.json").state).toBe("running");
      capture.dispose();
    },
    5 * minutes,
  );

  test(
    "vmcopy capture, stopped by SIGTERM in a capture kernel: the record is written, the machine ends",
    async () => {
      const captureInit = `#!/bin/busybox sh
export PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
echo "LAB: init2"
vmcopy capture --to /dev/vdb:/crash --name one -d 0 -c zlib -j 1 --final poweroff &
until [ -e /tmp/vmcopy.*/crash/one.incomplete/vmcore.incomplete ]; do sleep 0.1; done
kill -TERM $!
wait $!
echo "LAB: failed: vmcopy came back, exit code $?"
poweroff -f
`;
      const capture = await crashAndCapture({ memMiB: 640, kernel: await labKernel("6.12"), captureInit });
      const lines = lastKernel(capture.console);
      expect(stepsOf(lines)).toBe("read target log crash space dump unmount final");
      expect(lines.join("\n")).toContain("dump: Stopped by SIGTERM");
      const left = join(capture.results, "crash/one.incomplete");
      expect(jsonIn(left, "capture.json")).toMatchObject({ state: "incomplete", actions: ["poweroff"] });
      capture.dispose();
    },
    5 * minutes,
  );
});
