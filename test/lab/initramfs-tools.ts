/**
 * An initramfs by Debian's mkinitramfs, with vmcopy in it as `vmcopy install initramfs-tools` puts it: by a configuration of
 * its own, and in a mount namespace, where the kernel and its modules seem to be installed.
 */
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { cached, contentKey } from "./cache.ts";
import { DRIVERS, modulesOf } from "./dracut.ts";
import { type Kernel, vmcopyPath } from "./packages.ts";
import { findProgram, run } from "./run.ts";

const CONFIGURATION = "/etc/initramfs-tools";
/** Where mkinitramfs looks for modules, and nowhere else. */
const MODULES = "/lib/modules";

/** Why mkinitramfs cannot be run here. */
export function initramfsToolsProblems(): string[] {
  const problems: string[] = [];
  if (findProgram("mkinitramfs") === null)
    problems.push("mkinitramfs is missing: apt-get install initramfs-tools-core");
  if (Bun.spawnSync(["unshare", "-m", "true"], { stderr: "ignore" }).exitCode !== 0)
    problems.push("no mount namespace may be made here (unshare -m)");
  return problems;
}

/** An initramfs for a kernel, from the cache where it was made before of the same. */
export async function initramfsToolsImage(kernel: Kernel): Promise<string> {
  const files = ["dracut/99vmcopy/vmcopy-kdump", "initramfs-tools/hooks/vmcopy"];
  for (const stage of ["init-premount", "local-bottom"])
    files.push(`initramfs-tools/scripts/${stage}/vmcopy`);
  const key = contentKey([
    ...[kernel.name, readFileSync(vmcopyPath), readFileSync(import.meta.path)],
    ...[readFileSync(findProgram("mkinitramfs") as string)],
    ...files.map((name) => readFileSync(join(dirname(vmcopyPath), name))),
  ]);
  return await cached("initramfs-tools", `${key}.img`, async (path) => {
    const root = `${path}.root`;
    const isMade = !existsSync(MODULES);
    try {
      await make(kernel, root, path);
    } finally {
      rmSync(root, { recursive: true, force: true });
      if (isMade && existsSync(MODULES)) rmdirSync(MODULES);
    }
  });
}

async function make(kernel: Kernel, root: string, image: string): Promise<void> {
  mkdirSync(root, { recursive: true });
  await run("install vmcopy", [vmcopyPath, "install", "initramfs-tools", "--root", root]);
  const configuration = join(root, CONFIGURATION);
  mkdirSync(join(configuration, "conf.d"), { recursive: true });
  copyFileSync(join(CONFIGURATION, "initramfs.conf"), join(configuration, "initramfs.conf"));
  writeFileSync(join(configuration, "conf.d/lab"), "MODULES=list\n");
  writeFileSync(join(configuration, "modules"), `${DRIVERS.replaceAll(" ", "\n")}\n`);
  const modules = await modulesOf(kernel, root);
  mkdirSync(MODULES, { recursive: true });
  const script = `set -e
mount --bind "$1" ${MODULES}
mount --bind "$2" /boot
VMCOPY="$3" VMCOPY_SQUASHFS="-comp zstd -Xcompression-level 3" mkinitramfs -d "$4" -c zstd -l 1 -o "$5" "$6"`;
  await run("make an initramfs", [
    ...["unshare", "-m", "bash", "-c", script, "-", dirname(modules), dirname(kernel.image)],
    ...[join(root, "usr/bin/vmcopy"), configuration, image, basename(modules)],
  ]);
}
