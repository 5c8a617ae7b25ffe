// Initramfs images of Debian's dracut with our modules: the program as it is, beside dracut's systemd; and in a squashfs
// image, without systemd, where the crash kernel has a third less memory. And what becomes of them beside kdump-utils.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createRun, removeRun } from "./cache.ts";
import { dracut, dracutImage, dracutProblem, dracutRoot } from "./dracut.ts";
import { describeImage } from "./image-row.ts";
import { labProblems, vmcopyPath } from "./packages.ts";
import { run } from "./run.ts";

const minutes = 60_000;
const problems = [...labProblems(), ...[dracutProblem() ?? []].flat()];
const lab = problems.length > 0 ? describe.skip : describe;
const leftOut = problems.length > 0 ? ` (left out: ${problems.join("; ")})` : "";

describeImage("dracut --add vmcopy", {
  problems,
  image: (kernel) => dracutImage(kernel, ["--add", "vmcopy"]),
  crashkernel: "384M",
  settings: "vmcopy.to=/dev/vdb:/crash vmcopy.final=poweroff",
  directories: ["crash"],
  crashes: "crash",
});

// Into a directory of the root file system, when that is mounted; dracut wants it to look like one. The image is packed
// in a hurry: it is 10 MB larger, and made in seconds.
describeImage("dracut --add vmcopy-squash", {
  problems,
  image: (kernel) =>
    dracutImage(kernel, [
      ...["--add", "vmcopy-squash", "--squash-compressor", "zstd -Xcompression-level 3"],
      ...["--omit", "systemd systemd-initrd systemd-udevd systemd-journald dracut-systemd"],
    ]),
  crashkernel: "256M",
  settings: "root=/dev/vdb ro vmcopy.to=/var/crash vmcopy.final=poweroff",
  directories: ["proc", "sys", "dev", "var"],
  crashes: "var/crash",
});

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
        expect([name, readlinkSync(at(`usr/bin/${name}`))]).toEqual([name, "/usr/bin/vmcopy"]);
        expect([name, readlinkSync(at(`usr/sbin/${name}`))]).toEqual([name, "/usr/bin/vmcopy"]);
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
