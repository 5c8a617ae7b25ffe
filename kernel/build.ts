// Builds the lab's own kernels from Debian's kernel source: one version, one series of patches, one configuration.
//
//   npm run kernel -- --version 6.12 --series ours
//
// A series: stock is the source as Debian has it, ours has the patches of patches/, no-mmap has /proc/vmcore without
// mmap. A configuration: lab is lab.config, debug has the kernel's own checks on top (debug.config).
//
// The source and its objects stay in the cache; the kernels of a version are built from one tree, so that only what a
// series changes is compiled again. What was built once is found by the hash of all that went in.

import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { download, latest } from "../test/lab/apt.ts";
import { cached, contentKey } from "../test/lab/cache.ts";
import type { Kernel } from "../test/lab/packages.ts";
import { findProgram, run } from "../test/lab/run.ts";

/** Kernel versions that the lab builds; Debian carries the source of each as `linux-source-<version>`. */
export const VERSIONS = ["6.1", "6.12"] as const;
export type Version = (typeof VERSIONS)[number];

/** Where the patches of a series are, below this directory. */
const SERIES = { stock: null, ours: "patches", "no-mmap": "test-patches" } as const;
export type Series = keyof typeof SERIES;

/** A configuration is lab.config, and for all but the first a fragment of its own on top. */
export const CONFIGS = ["lab", "debug"] as const;
export type Config = (typeof CONFIGS)[number];

/** Debian packages by a file or program each is known by. */
const PACKAGES: Record<string, string> = {
  make: "make",
  gcc: "gcc",
  flex: "flex",
  bison: "bison",
  bc: "bc",
  xz: "xz-utils",
  patch: "patch",
  // scripts/checkpatch.pl wants all of Perl.
  pod2man: "perl",
  "/usr/include/stdlib.h": "libc6-dev",
  "/usr/include/libelf.h": "libelf-dev",
};

/** Debian packages that a build needs and this machine has not. */
export function missingBuildPackages(): string[] {
  const there = (mark: string) => (mark.startsWith("/") ? existsSync(mark) : findProgram(mark) !== null);
  return Object.entries(PACKAGES).flatMap(([mark, name]) => (there(mark) ? [] : [name]));
}

/** Why no kernel can be built here, one sentence for each thing missing. */
export function buildProblems(): string[] {
  return missingBuildPackages().map((name) => `${name} is missing: apt-get install ${name}`);
}

/**
 * A kernel, built if it is not in the cache: 4 to 10 minutes on two processors for the first of a version and
 * configuration, under a minute for the next.
 *
 * @param first only so many patches of the series: a series builds and boots at each of its steps
 */
export async function labKernel(
  version: Version,
  series: Series = "stock",
  config: Config = "lab",
  first = Number.POSITIVE_INFINITY,
): Promise<Kernel> {
  const source = await linuxSource(version);
  const patches = patchesOf(version, series).slice(0, first);
  const configs = ["lab.config", ...(config === "lab" ? [] : [`${config}.config`])].map(here);
  const compiler = await run("ask for the compiler's version", ["gcc", "-dumpfullversion"]);
  const configKey = contentKey([compiler, ...configs.map((path) => readFileSync(path, "utf8"))]);
  const key = contentKey([
    source.label,
    configKey,
    readFileSync(here("build.sh"), "utf8"),
    ...patches.map(changesOf),
  ]);
  const steps = Number.isFinite(first) ? `-${patches.length}` : "";
  const suffix = `${series}${steps}${config === "lab" ? "" : `-${config}`}`;
  const label = `lab-${version}-${suffix}-${key}`;
  const path = await cached(
    "built",
    label,
    async (out) => {
      const missing = missingBuildPackages();
      if (missing.length > 0) {
        throw new Error(`Cannot build a kernel: packages are missing; apt-get install ${missing.join(" ")}`);
      }
      const objects = join(source.path, `objects-${config}-${configKey}`);
      for (const name of readdirSync(source.path)) {
        if (name.startsWith(`objects-${config}-`) && join(source.path, name) !== objects) {
          rmSync(join(source.path, name), { recursive: true });
        }
      }
      const tree = await sourceTree(version);
      await run(`build the kernel ${version}, ${suffix}`, [
        ...["bash", here("build.sh"), tree, objects, `-${suffix}`, out, configs.join(":"), ...patches],
      ]);
    },
    20,
  );
  return {
    name: label,
    image: join(path, "bzImage"),
    modules: null,
    symbols: async () => join(path, "vmlinux"),
  };
}

/** The paths of a series' patches for a version, in order. */
export function patchesOf(version: Version, series: Series): string[] {
  const folder = SERIES[series];
  if (folder === null) return [];
  const directory = join(import.meta.dir, folder, version);
  return readdirSync(directory)
    .filter((name) => name.endsWith(".patch"))
    .sort()
    .map((name) => join(directory, name));
}

/** What a patch changes, without the words above it: they change no kernel. */
function changesOf(path: string): string {
  const text = readFileSync(path, "utf8");
  return text.slice(text.indexOf("\ndiff --git "));
}

/** The path of a version's source tree, in whatever state the last build has left what patches touch. */
export async function sourceTree(version: Version): Promise<string> {
  return join((await linuxSource(version)).path, `linux-source-${version}`);
}

/** Debian's source of a version, unpacked in the cache. */
async function linuxSource(version: Version): Promise<{ path: string; label: string }> {
  const real = await latest(`linux-source-${version}`);
  const label = `${real.name}_${real.version.replace(/[^\w.+~-]/g, "_")}`;
  const path = await cached(
    "sources",
    label,
    async (directory) => {
      const archive = await download(real.name, real.version, `${directory}.deb`);
      const script =
        'mkdir "$2"; dpkg-deb --fsys-tarfile "$1" | tar -x -O "./usr/src/$3.tar.xz" | tar -xJ -C "$2"';
      await run(`unpack ${real.name}`, [
        "bash",
        "-o",
        "pipefail",
        "-c",
        script,
        "-",
        archive,
        directory,
        real.name,
      ]);
      rmSync(archive);
    },
    VERSIONS.length,
  );
  return { path, label };
}

function count(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError("a whole number is expected");
  return Number(text);
}

function here(name: string): string {
  return join(import.meta.dir, name);
}

if (import.meta.main) {
  const program = new Command("npm run kernel --")
    .description("Builds a kernel of the lab and prints where its image is.")
    .addOption(new Option("--version <version>", "kernel version").choices(VERSIONS).default("6.12"))
    .addOption(new Option("--series <name>", "patches on top").choices(Object.keys(SERIES)).default("stock"))
    .addOption(new Option("--config <name>", "configuration").choices(CONFIGS).default("lab"))
    .option("--first <count>", "only so many patches of the series", count)
    .showHelpAfterError("(--help lists the options)");
  const { version, series, config, first } = program.parse().opts();
  try {
    console.log((await labKernel(version, series, config, first)).image);
  } catch (error) {
    console.error(process.env.VMCOPY_DEBUG === "1" ? error : (error as Error).message);
    process.exitCode = 2;
  }
}
