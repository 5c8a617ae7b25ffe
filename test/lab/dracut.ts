/**
 * Initramfs images by Debian's dracut, with vmcopy in them as `vmcopy install dracut` puts it: in a copy of dracut's own
 * files, so that the machine's stay as they are.
 */
import { cpSync, existsSync, linkSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { cached, contentKey } from "./cache.ts";
import { type Kernel, vmcopyPath } from "./packages.ts";
import { findProgram, run } from "./run.ts";

const DRACUT = "/usr/lib/dracut";

/** What a kernel with nothing built in needs to see the lab's disks. */
export const DRIVERS = "virtio_pci virtio_blk ext4 crc32c_generic";

/** Why dracut cannot be run here, or undefined. */
export function dracutProblem(): string | undefined {
  return findProgram("dracut") === null ? "dracut is missing: apt-get install dracut-core" : undefined;
}

/** A system with dracut's files and vmcopy's, below `directory`. @returns what `vmcopy install` said */
export async function dracutRoot(directory: string, integration = "dracut"): Promise<string> {
  mkdirSync(join(directory, "usr/bin"), { recursive: true });
  cpSync(DRACUT, join(directory, DRACUT), { recursive: true, verbatimSymlinks: true });
  cpSync(findProgram("dracut") as string, join(directory, "usr/bin/dracut"));
  return await run("install vmcopy", [vmcopyPath, "install", integration, "--root", directory]);
}

/** Runs dracut with the files of such a system. @param args its options, and the image @throws Error with its words */
export async function dracut(
  root: string,
  args: readonly string[],
  environment: Record<string, string> = {},
) {
  const work = join(root, "tmp");
  for (const path of [work, join(root, "etc/dracut.conf.d")]) mkdirSync(path, { recursive: true });
  const variables = {
    ...environment,
    dracutbasedir: join(root, DRACUT),
    DRACUT_PATH: `${join(root, "usr/bin")} /sbin /bin /usr/sbin /usr/bin`,
  };
  const words = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
  await run("make an initramfs", [
    ...["env", ...words, "dracut", "--force", "--no-hostonly", "--quiet", "--tmpdir", work],
    ...["--conf", "/dev/null", "--confdir", join(root, "etc/dracut.conf.d"), ...args],
  ]);
}

/** An initramfs for a kernel, from the cache where it was made before of the same. @param args dracut's options */
export async function dracutImage(kernel: Kernel, args: readonly string[]): Promise<string> {
  const files = [...new Bun.Glob("dracut/**").scanSync(dirname(vmcopyPath))].sort();
  const key = contentKey([
    ...[kernel.name, ...args, readFileSync(vmcopyPath), readFileSync(import.meta.path)],
    ...[readFileSync(findProgram("dracut") as string), readFileSync(join(DRACUT, "dracut-init.sh"))],
    ...files.flatMap((name) => [name, readFileSync(join(dirname(vmcopyPath), name))]),
  ]);
  return await cached("dracut", `${key}.img`, async (path) => {
    const root = `${path}.root`;
    try {
      await dracutRoot(root);
      const modules = await modulesOf(kernel, root);
      const kernelArgs = ["--kmoddir", modules, "--kver", basename(modules), "--drivers", DRIVERS];
      // The fastest compression: the machine that unpacks it is emulated, and the cache is small.
      await dracut(root, [...kernelArgs, "--compress", "zstd -q -1", ...args, path]);
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  });
}

/** The kernel's modules with depmod's tables, which its package leaves to the installation. */
export async function modulesOf({ modules }: Kernel, root: string): Promise<string> {
  if (modules === null) throw new Error("Cannot make an initramfs: the kernel has no modules");
  const [release = ""] = [...new Bun.Glob("*").scanSync({ cwd: modules, onlyFiles: false })];
  const copy = join(root, "lib/modules", release);
  for (const name of new Bun.Glob("**").scanSync(join(modules, release))) {
    mkdirSync(dirname(join(copy, name)), { recursive: true });
    linkSync(join(modules, release, name), join(copy, name));
  }
  await run("make the kernel's tables of modules", ["depmod", "-b", root, release]);
  if (!existsSync(join(copy, "modules.dep")))
    throw new Error("Cannot make an initramfs: depmod made no tables");
  return copy;
}
