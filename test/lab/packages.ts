// What the lab needs of Debian: programs that have to be installed, and kernels, which are downloaded and unpacked
// into the cache but never installed.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { download, latest } from "./apt.ts";
import { cached } from "./cache.ts";
import { findProgram, run } from "./run.ts";

/** Programs the lab runs, and the Debian packages they come in. */
const programs: Record<string, string> = {
  "qemu-system-x86_64": "qemu-system-x86",
  kexec: "kexec-tools",
  busybox: "busybox-static",
  mke2fs: "e2fsprogs",
  debugfs: "e2fsprogs",
  fallocate: "util-linux",
  setpriv: "util-linux",
  makedumpfile: "makedumpfile",
  crash: "crash",
  drgn: "python3-drgn",
  "apt-get": "apt",
  "dpkg-deb": "dpkg",
};

/** The Debian packages to install for the lab; the kernel is not among them, it is fetched by `debianKernel`. */
export const labPackages: readonly string[] = [...new Set(Object.values(programs))];

/** The meta package whose newest kernel the lab boots. */
export const defaultKernel = "linux-image-cloud-amd64";

/** The program the lab is for. */
export const vmcopyPath = join(import.meta.dir, "../../dist/vmcopy");

/** Why the lab cannot run here, one sentence for each thing missing; empty when it can. */
export function labProblems(): string[] {
  const problems: string[] = [];
  if (process.platform !== "linux" || process.arch !== "x64") {
    problems.push(`the lab needs Linux on x86_64 (${process.platform} ${process.arch})`);
  }
  for (const [program, name] of Object.entries(programs)) {
    if (!findProgram(program)) problems.push(`${program} is missing: apt-get install ${name}`);
  }
  const busybox = findProgram("busybox");
  if (busybox && !isStatic(busybox)) {
    problems.push("busybox is not static: apt-get install busybox-static");
  }
  if (!existsSync(vmcopyPath)) problems.push("dist/vmcopy is missing: npm run build");
  return problems;
}

/** Whether an ELF64 program needs no loader (no PT_INTERP), and so runs alone in an initramfs. */
export function isStatic(path: string): boolean {
  const ptInterp = 3;
  const elf = readFileSync(path);
  const headers = Number(elf.readBigUInt64LE(32));
  const size = elf.readUInt16LE(54);
  for (let i = 0; i < elf.readUInt16LE(56); i++) {
    if (elf.readUInt32LE(headers + i * size) === ptInterp) return false;
  }
  return true;
}

/** A kernel to boot: its image and, where drivers are not built in, the directory its modules are under. */
export interface Kernel {
  /** Names the kernel in caches and reports, such as `linux-image-..._6.1.1-1`. */
  name: string;
  /** Path of the bootable image. */
  image: string;
  /** Path of the directory that holds `*.ko`, or null when everything needed is built in. */
  modules: string | null;
  /** Path of the vmlinux with debug symbols, fetched on the first call (some 300 MB); null if there is none. */
  symbols: () => Promise<string | null>;
}

/**
 * Fetches a Debian kernel and unpacks it into the cache, once for each version.
 * @param name a kernel package, or a meta package that depends on one
 */
export async function debianKernel(name: string = defaultKernel): Promise<Kernel> {
  const real = await latest(name);
  const { version } = real;
  const label = `${real.name}_${version.replace(/[^\w.+~-]/g, "_")}`;
  const root = await cached("kernels", label, async (path) => {
    const archive = await download(real.name, version, `${path}.deb`);
    await run(`unpack ${real.name}`, ["dpkg-deb", "-x", archive, path]);
    await Bun.file(archive).delete();
  });
  const boot = readdirSync(join(root, "boot"));
  const image = boot.find((file) => file.startsWith("vmlinuz-"));
  if (!image) throw new Error(`Cannot use the kernel package: it holds no boot/vmlinuz-* (${real.name})`);
  const release = image.slice("vmlinuz-".length);
  const symbols = () =>
    cached(
      "symbols",
      `vmlinux-${label}`,
      async (path) => {
        const archive = await download(`${real.name}-dbg`, version, `${path}.deb`);
        const member = `./usr/lib/debug/boot/vmlinux-${release}`;
        // Of 1.7 GB unpacked only this file is wanted: tar takes it from the stream.
        const script = 'dpkg-deb --fsys-tarfile "$1" | tar -x -O "$2" > "$3"';
        await run(`unpack ${member}`, ["bash", "-o", "pipefail", "-c", script, "-", archive, member, path]);
        await Bun.file(archive).delete();
      },
      2,
    );
  return { name: label, image: join(root, "boot", image), modules: join(root, "lib/modules"), symbols };
}
