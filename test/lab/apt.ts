// Debian packages that are downloaded and unpacked but never installed: kernels, their symbols, their sources.

import { mkdirSync, readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { run } from "./run.ts";

/** A package and its newest version in the package lists; for a kernel's meta package, the kernel behind it. */
export async function latest(name: string): Promise<{ name: string; version: string }> {
  const lookUp = () =>
    run(`look up ${name}`, ["apt-cache", "show", "--no-all-versions", name]).catch(() => "");
  let record = await lookUp();
  if (!record) {
    await updateLists();
    record = await lookUp();
  }
  if (!record) {
    throw new Error(
      `Cannot fetch a package: apt knows no such package; try apt-get update as root (${name})`,
    );
  }
  const real = /^Depends:.*?\b(linux-image-\d[^\s,(]*)/m.exec(record)?.[1];
  if (real && real !== name) return latest(real);
  return { name, version: /^Version: (.+)$/m.exec(record)?.[1] ?? "" };
}

/** Downloads one package to `path`; apt checks it against the signed lists. */
export async function download(name: string, version: string, path: string): Promise<string> {
  const directory = `${path}.d`;
  mkdirSync(directory, { recursive: true });
  // Root's apt would hand the download to a user who may not write to this directory.
  const sandbox = process.getuid?.() === 0 ? ["-o", "APT::Sandbox::User=root"] : [];
  const fetch = (which: string) =>
    run(`download ${which}`, ["apt-get", ...sandbox, "-q", "download", which], { cwd: directory });
  try {
    // Lists that have grown old name versions that are gone.
    await fetch(`${name}=${version}`).catch(async (error: unknown) => {
      if (!(await updateLists())) throw error;
      await fetch(`${name}=${version}`);
    });
    const file = readdirSync(directory).find((entry) => entry.endsWith(".deb"));
    if (!file) throw new Error(`Cannot download ${name}: apt-get left no .deb file (${directory})`);
    renameSync(join(directory, file), path);
    return path;
  } finally {
    await run("tidy up", ["rm", "-rf", directory]);
  }
}

async function updateLists(): Promise<boolean> {
  if (process.getuid?.() !== 0) return false;
  await run("update the package lists", ["apt-get", "-q", "update"]).catch(() => "");
  return true;
}
