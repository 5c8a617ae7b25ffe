// An initramfs of Debian's dracut with our module: a kernel crashes, the capture kernel starts with that initramfs and
// nothing of the lab's, and what it captured is on the disk. With the program as it is beside dracut's systemd, and in a
// squashfs image without systemd, where the crash kernel has half as much memory.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { createRun, removeRun } from "./cache.ts";
import { dracut, dracutImage, dracutProblem, dracutRoot } from "./dracut.ts";
import { type Capture, crashAndCapture } from "./lab.ts";
import { debianKernel, labProblems, vmcopyPath } from "./packages.ts";
import { run } from "./run.ts";

const minutes = 60_000;
const problems = [...labProblems(), ...[dracutProblem() ?? []].flat()];
if (problems.length > 0) console.error(`LAB LEFT OUT: ${problems.join("; ")}`);
const lab = problems.length > 0 ? describe.skip : describe;
const leftOut = problems.length > 0 ? ` (left out: ${problems.join("; ")})` : "";

const SYSTEMD = "systemd systemd-initrd systemd-udevd systemd-journald dracut-systemd";

interface Variant {
  /** dracut's options */
  args: string[];
  crashkernel: string;
  /** on the capture kernel's command line */
  settings: string;
  /** made on the disk before the crash: below /out */
  directories: string[];
  /** where the captures are, on the disk */
  crashes: string;
}

const VARIANTS: [name: string, variant: Variant][] = [
  [
    "vmcopy",
    {
      args: ["--add", "vmcopy"],
      crashkernel: "384M",
      settings: "vmcopy.to=/dev/vdb:/crash vmcopy.final=poweroff",
      directories: ["/out/crash"],
      crashes: "crash",
    },
  ],
  [
    // Into a directory of the root file system, when that is mounted; dracut wants it to look like one.
    "vmcopy-squash",
    {
      args: ["--add", "vmcopy-squash", "--omit", SYSTEMD],
      crashkernel: "256M",
      settings: "root=/dev/vdb ro vmcopy.to=/var/crash vmcopy.final=poweroff",
      directories: ["proc", "sys", "dev", "usr/lib/x86_64-linux-gnu", "var"].map((name) => `/out/${name}`),
      crashes: "var/crash",
    },
  ],
];

(problems.length > 0 ? describe.skip : describe).each(VARIANTS)(
  `dracut's %s in a capture kernel${leftOut}`,
  (_, { args, crashkernel, settings, ...variant }) => {
    let capture: Capture;
    let scratch: string;
    let directory: string;
    let console: string;

    beforeAll(async () => {
      scratch = createRun();
      const kernel = await debianKernel();
      const workload = `mount /dev/vdb /out && mkdir -p ${variant.directories.join(" ")} && umount /out`;
      capture = await crashAndCapture({
        memMiB: 1024,
        crashkernel,
        kernel,
        captureScript: "",
        captureInitramfs: await dracutImage(kernel, args),
        captureArguments: settings,
        workload,
        timeoutSeconds: 300,
      });
      const crashes = join(capture.results, variant.crashes);
      const [name = "", ...others] = readdirSync(crashes);
      expect(others).toEqual([]);
      directory = join(crashes, name);
      const lines = capture.console.map((line) => line.replace(/^\[ *[\d.]+\] /, ""));
      console = lines.slice(lines.findIndex((line) => line.includes("Kernel panic"))).join("\n");
    }, 8 * minutes);

    afterAll(() => {
      capture?.dispose();
      removeRun(scratch);
    });

    test("the whole capture, step by step, to the machine's power", () => {
      const told = [...console.matchAll(/^\[ *\d+\.\d\d\] (\w+): /gm)].map(([, step]) => step);
      expect(told.filter((step) => step !== "unmount").join(" ")).toBe(
        "read target log crash space dump verify name final",
      );
      expect(console).toContain("reboot: Power down");
      const report = JSON.parse(readFileSync(join(directory, "capture.json"), "utf8"));
      expect(report).toMatchObject({ state: "complete", verified: true, dump: { dumpLevel: 31 } });
    });

    test("vmcopy verify on the host: whole and right", async () => {
      expect(await run("verify the dump", [vmcopyPath, "verify", join(directory, "vmcore")])).toContain(
        "whole and right",
      );
    });

    test(
      "drgn opens it: who panicked",
      async () => {
        const symbols = (await capture.kernel.symbols()) ?? "";
        const program = join(scratch, "look.py");
        writeFileSync(program, "print(prog.crashed_thread().object.comm.string_().decode())\n");
        const dump = join(directory, "vmcore");
        expect(await run("open the dump with drgn", ["drgn", "-q", "-c", dump, "-s", symbols, program])).toBe(
          "init\n",
        );
      },
      3 * minutes,
    );
  },
);

lab(`dracut beside kdump-utils' module${leftOut}`, () => {
  /** In the place of kdump-utils' own, of which only this is of interest. */
  const KDUMPBASE = `check() { [[ $IN_KDUMP == 1 ]]; }
depends() { echo base; }
install() { inst_simple "$moddir/module-setup.sh" /usr/bin/kdump.sh; inst_simple /bin/true /usr/sbin/makedumpfile; }
`;
  let root: string;
  const image = () => join(root, "image");
  const at = (path: string) => join(image(), path);
  const make = async (environment: Record<string, string>, ...more: string[]) => {
    rmSync(image(), { recursive: true, force: true });
    await dracut(
      root,
      ["--no-kernel", "--kver", "none", "--no-compress", ...more, `${image()}.cpio`],
      environment,
    );
    mkdirSync(image());
    await run("unpack the initramfs", ["bash", "-c", `cd ${image()} && cpio -id --quiet < ../image.cpio`]);
  };

  beforeAll(async () => {
    root = createRun();
    await dracutRoot(root, "kdump-utils");
    const module = join(root, "usr/lib/dracut/modules.d/99kdumpbase");
    mkdirSync(module);
    writeFileSync(join(module, "module-setup.sh"), KDUMPBASE, { mode: 0o755 });
  }, 2 * minutes);

  afterAll(() => removeRun(root));

  test(
    "in its initramfs: the program by the names of others, and no hook that would capture too",
    async () => {
      await make({ IN_KDUMP: "1" });
      expect(readFileSync(at("usr/bin/vmcopy")).equals(readFileSync(vmcopyPath))).toBe(true);
      for (const name of ["makedumpfile", "vmcore-dmesg"]) {
        expect([name, readlinkSync(at(`usr/bin/${name}`))]).toEqual([name, "vmcopy"]);
        expect([name, readlinkSync(at(`usr/sbin/${name}`))]).toEqual([name, "../bin/vmcopy"]);
      }
      expect(existsSync(at("usr/bin/vmcopy-kdump"))).toBe(false);
      expect([...new Bun.Glob("**/*vmcopy*.sh").scanSync(image())]).toEqual([]);
    },
    3 * minutes,
  );

  test(
    "in any other initramfs: nothing, unless it is asked for",
    async () => {
      await make({});
      expect([existsSync(at("usr/bin/vmcopy")), existsSync(at("init"))]).toEqual([false, true]);
    },
    3 * minutes,
  );

  test(
    "by core_collector alone: the program under its own name",
    async () => {
      rmSync(join(root, "etc/dracut.conf.d/90-vmcopy-kdump.conf"));
      await make({ IN_KDUMP: "1" }, "--add", "vmcopy");
      expect(existsSync(at("usr/bin/vmcopy"))).toBe(true);
      expect(existsSync(at("usr/bin/makedumpfile"))).toBe(false);
      expect(readFileSync(at("usr/sbin/makedumpfile")).equals(readFileSync("/bin/true"))).toBe(true);
    },
    3 * minutes,
  );
});
