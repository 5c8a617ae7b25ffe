// `vmcopy arm` in place of kexec-tools: it loads the capture kernel in the first kernel, which crashes; what it loaded runs
// `vmcopy capture`. Then what it says in kernels with too little, and with nothing, reserved for a capture kernel.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createRun, removeRun } from "./cache.ts";
import { runGuest } from "./guest.ts";
import { baseEntries, fileEntries, moduleOrder, writeInitramfs } from "./initramfs.ts";
import { type Capture, crashAndCapture } from "./lab.ts";
import { debianKernel, labProblems, vmcopyPath } from "./packages.ts";
import { run } from "./run.ts";

const minutes = 60_000;
const MiB = 1024 * 1024;
const problems = labProblems();
if (problems.length > 0) console.error(`LAB LEFT OUT: ${problems.join("; ")}`);
const lab = problems.length > 0 ? describe.skip : describe;
const reason = problems.length > 0 ? ` (left out: ${problems.join("; ")})` : "";

/** A run of the program on a console: its standard output and error as lines of their own, and its exit code. */
const TELL = `tell() {
  name=$1; shift
  "$@" > /tmp/out 2> /tmp/err; code=$?
  sed "s/^/TOLD $name out /" /tmp/out; sed "s/^/TOLD $name err /" /tmp/err
  echo "TOLD $name exit $code"
}
loaded() { echo "TOLD $1 loaded $(cat /sys/kernel/kexec_crash_loaded)"; }
`;

/** A user that is not root, for su. */
const NOBODY = "mkdir -p /etc; echo 'nobody:x:65534:65534::/:/bin/sh' > /etc/passwd";

interface Told {
  out: string;
  err: string;
  exit: number;
  loaded: string[];
}

/** What each run that {@link TELL} made has left on the console. */
function toldOn(console: readonly string[]): Record<string, Told> {
  const all: Record<string, Told> = {};
  for (const line of console) {
    const [, name = "", kind = "", text = ""] = /TOLD (\S+) (out|err|exit|loaded) ?(.*)$/.exec(line) ?? [];
    if (name === "") continue;
    all[name] ??= { out: "", err: "", exit: Number.NaN, loaded: [] };
    const told = all[name];
    if (kind === "exit") told.exit = Number(text);
    else if (kind === "loaded") told.loaded.push(text);
    else told[kind as "out" | "err"] += `${text}\n`;
  }
  return all;
}

const ARM = `vmcopy arm --kernel /in/vmlinuz --initrd /in/initrd --append 'random.trust_cpu=on rdinit=/bin/init vmcopy.level=17'`;
// Without the flags that say how it may be started (xloadflags in the bzImage's header, at 566), a kernel refuses it.
const armScript = `${TELL}
cat /in/initrd /in/initrd > /tmp/two
tell two vmcopy arm --kernel /in/vmlinuz --initrd /tmp/two --crashkernel-check --json
loaded two
rm /tmp/two
tell bare vmcopy arm --kernel /in/vmlinuz
loaded bare
tell unload vmcopy arm --unload
loaded unload
cp /in/vmlinuz /tmp/odd
printf '\\0\\0' | dd of=/tmp/odd bs=1 seek=566 conv=notrunc 2> /dev/null
vmcopy arm -q --kernel /in/vmlinuz
tell odd vmcopy arm --kernel /tmp/odd
loaded odd
${NOBODY}
tell user su -s /bin/sh nobody -c '/bin/vmcopy arm --kernel /in/vmlinuz'
tell arm ${ARM} --crashkernel-check --json
loaded arm
echo 1 > /proc/sys/kernel/kexec_load_disabled
tell disabled vmcopy arm --kernel /in/vmlinuz
loaded disabled
`;
const captureInit = `#!/bin/busybox sh
export PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
while read -r module; do insmod "/modules/$module"; done < /modules/order
echo "LAB: init2"
cat /proc/cmdline
vmcopy capture --to /dev/vdb:/crash --final poweroff
echo "LAB: failed: vmcopy came back, exit code $?"
poweroff -f
`;

lab(`vmcopy arm, a crash, vmcopy capture${reason}`, () => {
  let capture: Capture;
  let told: Record<string, Told>;
  let commandLine: string;

  beforeAll(async () => {
    // What is reserved is what vmcopy says is needed: see the test of the check.
    const crash = {
      memMiB: 1024,
      crashkernel: "256M",
      captureScript: "",
      captureInit,
      armScript,
      timeoutSeconds: 400,
    };
    capture = await crashAndCapture(crash);
    told = toldOn(capture.console);
    // As the script prints it: what the kernel prints while its console changes may lose letters.
    commandLine = capture.console.findLast((line) => / elfcorehdr=\S+ console=/.test(line)) ?? "";
  }, 7 * minutes);

  afterAll(() => capture?.dispose());

  test("the check: it fits, and what was said to be needed is enough", () => {
    const { out, err, exit } = told.arm as Told;
    expect({ err, exit }).toEqual({ err: "", exit: 0 });
    const json = JSON.parse(out);
    expect(json).toMatchObject({ fits: true, loaded: true, rootfs: "ramfs", reservedBytes: 256 * MiB });
    expect(json.neededBytes).toBeWithin(224 * MiB, 256 * MiB + 1);
    expect(json.crashkernel).toBe(`${json.neededBytes / MiB}M`);
    expect(json.initramfs.parts).toEqual([
      { format: "zstd", bytes: json.initramfs.bytes, unpackedBytes: json.initramfs.unpackedBytes },
    ]);
    expect(json.initramfs.unpackedBytes).toBeWithin(106 * MiB, 116 * MiB);
    expect((told.arm as Told).loaded).toEqual(["1"]);
  });

  test("the check: too little for an initramfs twice as large, exit code 1, nothing is loaded", () => {
    const { out, err, exit, loaded } = told.two as Told;
    expect({ exit, loaded }).toEqual({ exit: 1, loaded: ["0"] });
    const json = JSON.parse(out);
    const one = JSON.parse((told.arm as Told).out);
    expect(json).toMatchObject({ fits: false, loaded: false });
    expect(json.initramfs.unpackedBytes).toBe(2 * one.initramfs.unpackedBytes);
    expect(err).toMatch(
      /^warning: 256 MiB are reserved for the crash kernel, and it needs about \d+ MiB: put crashkernel=\d+M on /,
    );
    expect(err).toContain(`crashkernel=${json.crashkernel} `);
  });

  test("without an initramfs; --unload takes it away", () => {
    expect(told.bare).toMatchObject({ exit: 0, err: "", loaded: ["1"] });
    expect(told.bare?.out).toStartWith("armed: /in/vmlinuz starts at the next panic\n  256 MiB reserved, ");
    expect(told.unload).toMatchObject({ exit: 0, err: "", loaded: ["0"] });
  });

  test("the kernel's refusals, in one line that says what to do", () => {
    const { odd, user, disabled } = told;
    expect(odd).toMatchObject({ exit: 2, out: "", loaded: ["0"] });
    expect(odd?.err).toMatch(
      /^vmcopy: arm: Cannot load \/tmp\/odd as crash kernel: .* \(ENOEXEC\); the crash kernel that was loaded before is gone\n$/,
    );
    expect(user).toMatchObject({ exit: 2, out: "" });
    expect(user?.err).toMatch(/^vmcopy: arm: Cannot load .*: only root may \(CAP_SYS_BOOT\) \(EPERM\)\n$/);
    expect(disabled?.err).toMatch(/^vmcopy: arm: .*kernel\.kexec_load_disabled is 1.* \(EPERM\)\n$/);
    expect(disabled).toMatchObject({ exit: 2, loaded: ["1"] });
  });

  test("the command line: elfcorehdr= by the kernel, its console, what kdump needs, what was appended", () => {
    expect(commandLine).toEndWith(JSON.parse((told.arm as Told).out).commandLine);
    const words = commandLine.slice(commandLine.indexOf("elfcorehdr=")).split(" ");
    expect(words).toContain("console=ttyS0,115200");
    expect(words).toContain("irqpoll");
    expect(words).toContain("rootfstype=ramfs");
    expect(words.at(-1)).toBe("vmcopy.level=17");
    expect(commandLine).not.toContain("crashkernel=");
  });

  test("what it loaded captured the crash: vmcopy verify on the host, whole and right", async () => {
    const crashes = join(capture.results, "crash");
    const [name = ""] = readdirSync(crashes);
    const directory = join(crashes, name);
    const json = (file: string) => JSON.parse(readFileSync(join(directory, file), "utf8"));
    expect(json("capture.json")).toMatchObject({
      state: "complete",
      verified: true,
      dump: { dumpLevel: 17 },
    });
    expect(json("crash.json")).toMatchObject({ message: "sysrq triggered crash" });
    expect(await run("verify the dump", [vmcopyPath, "verify", join(directory, "vmcore")])).toContain(
      "whole and right",
    );
  });
});

/** Boots a kernel with a script as its only work. @returns the console */
async function boot(directory: string, commandLine: string, script: string): Promise<string[]> {
  const kernel = await debianKernel();
  const initrd = join(directory, "initrd");
  const init = `#!/bin/busybox sh
export PATH=/bin
mount -t devtmpfs dev /dev; mount -t proc proc /proc; mount -t sysfs sys /sys
${TELL}${script}
poweroff -f
`;
  await writeInitramfs(initrd, [
    ...(await baseEntries(join(import.meta.dir, "init-capture.sh"), moduleOrder(null))),
    ...fileEntries({
      "bin/init": new TextEncoder().encode(init),
      "bin/vmcopy": { from: vmcopyPath },
      "boot/vmlinuz": { from: kernel.image },
    }),
  ]);
  const guest = await runGuest(
    {
      memMiB: 512,
      cpus: 1,
      kernel: kernel.image,
      initrd,
      commandLine: `console=ttyS0,115200 panic=1 random.trust_cpu=on nokaslr rdinit=/bin/init ${commandLine}`,
      disks: [],
      doneLine: /reboot: Power down/,
    },
    240,
  );
  expect(guest.failure).toBeNull();
  return guest.console;
}

lab(`vmcopy arm where too little is reserved, or nothing${reason}`, () => {
  let directory: string;
  beforeAll(() => {
    directory = createRun();
  });
  afterAll(() => removeRun(directory));

  test(
    "without crashkernel=: says how much to put there, exit code 2",
    async () => {
      const script = `tell check vmcopy arm --crashkernel-check
find boot | cpio -o -H newc > /tmp/initrd 2> /dev/null
tell files vmcopy arm --kernel /boot/vmlinuz --initrd /tmp/initrd --json`;
      const { check, files } = toldOn(await boot(directory, "", script));
      expect(check).toMatchObject({ exit: 2 });
      expect(check?.err).toMatch(
        /^vmcopy: arm: Cannot load a crash kernel: no memory is reserved for one .*: put crashkernel=\d+M and more for an initramfs on this kernel's command line and restart\n$/,
      );
      const json = JSON.parse((files as Told).out);
      expect(json).toMatchObject({ reservedBytes: 0, fits: false, error: { code: "E_CRASHKERNEL" } });
      expect(files).toMatchObject({ exit: 2 });
      expect(files?.err).toContain(`: put crashkernel=${json.crashkernel} on this kernel's command line`);
      // The running kernel's memory is what its image's header says, give or take what is only there at the start.
      const running = Number(/crashkernel=(\d+)M/.exec(check?.err ?? "")?.[1]) * MiB;
      expect(json.neededBytes).toBeGreaterThan(running);
      expect(json.kernel.memoryBytes).toBeWithin(30 * MiB, 90 * MiB);
      expect(json.initramfs.parts).toEqual([
        { format: "cpio", bytes: json.initramfs.bytes, unpackedBytes: json.initramfs.unpackedBytes },
      ]);
    },
    5 * minutes,
  );

  test(
    "crashkernel=64M, too little for kernel and initramfs: said by the check, and by the kernel",
    async () => {
      const script = `tell check vmcopy arm --crashkernel-check
${NOBODY}
tell user su -s /bin/sh nobody -c '/bin/vmcopy arm --crashkernel-check'
head -c 60000000 /bin/vmcopy > /tmp/initrd
tell load vmcopy arm --kernel /boot/vmlinuz --initrd /tmp/initrd
loaded load
echo 0 > /sys/kernel/kexec_crash_size
tell back vmcopy arm --crashkernel-check`;
      const { check, user, load, back } = toldOn(await boot(directory, "crashkernel=64M", script));
      expect(check).toMatchObject({ exit: 1 });
      expect(check?.err).toMatch(/^warning: 64 MiB are reserved for the crash kernel, and it needs about /);
      expect(check?.out).toContain("TOO LITTLE");
      // /proc/iomem has no addresses for others.
      expect(user).toMatchObject({ exit: 2 });
      expect(user?.err).toMatch(
        /^vmcopy: arm: Cannot tell how much .*: nobody but root may know .*--kernel\n$/,
      );
      expect(load).toMatchObject({ exit: 2, loaded: ["0"] });
      expect(load?.err).toMatch(
        /64 MiB are reserved, and kernel and initramfs alone take [\d.]+ MiB there: .* \((EADDRNOTAVAIL|ENOMEM)\)\n$/,
      );
      expect(back).toMatchObject({ exit: 2 });
      expect(back?.err).toContain(
        "crashkernel=64M is on its command line, and was given back or could not be had",
      );
    },
    5 * minutes,
  );
});
