// Disks that go wrong: full, slow, with a bad stretch, dead after a while. Their ext4 has a journal, as people's has, and
// their faults are qemu's (docs/devel/blkdebug.rst, docs/throttle.txt).

import { writeFileSync } from "node:fs";
import { rawDisk } from "./disks.ts";
import { type Disk, plainDrive } from "./guest.ts";
import { run } from "./run.ts";

const BLOCK = 4096;
const SECTOR = 512;

/** Makes a disk with an empty ext4. */
export async function journaledDisk(path: string, bytes: number): Promise<Disk> {
  rawDisk(path, bytes);
  await run("make an ext4 image", [
    ...["mke2fs", "-q", "-F", "-t", "ext4", "-b", String(BLOCK), "-m", "0", path],
  ]);
  return { path };
}

/** Fills one that no guest has mounted, so that `available` bytes may still be written. */
export async function fill({ path }: Disk, available: number): Promise<void> {
  const header = await run("look at an ext4 image", ["dumpe2fs", "-h", path]);
  const blocks = (what: string) => Number(new RegExp(`^${what}: *(\\d+)$`, "m").exec(header)?.[1]);
  // ext4_calculate_resv_clusters(): a fiftieth is kept back for metadata.
  const left = Math.floor(available / BLOCK) + Math.floor(blocks("Block count") / 50);
  const commands = `${path}.commands`;
  writeFileSync(commands, `write /dev/null filler\nfallocate filler 0 ${blocks("Free blocks") - left - 1}\n`);
  await run("fill an ext4 image", ["debugfs", "-w", "-f", commands, path]);
}

/** The same disk, taking so many bytes a second. */
export function slow({ path }: Disk, bytesPerSecond: number): Disk {
  return { path, drive: `${plainDrive(path)},throttling.bps-write=${bytesPerSecond}` };
}

/** The same disk, of which nothing from an offset on can be written. */
export function badFrom({ path }: Disk, offset: number): Disk {
  const size = Bun.file(path).size;
  // A rule is about one sector: a write of more than so many KiB that lies behind the offset touches one of them.
  const step = 16 << 10;
  const sectors = Array.from({ length: (size - offset) / step }, (_, i) => (offset + i * step) / SECTOR);
  const rules = sectors.map((sector) => rule("inject-error", { event: "none", iotype: "write", sector }));
  return failing(path, rules);
}

/** The same disk, dead for writers after so many requests. */
export function deadAfter({ path }: Disk, requests: number): Disk {
  const counts = Array.from({ length: requests }, (_, i) =>
    rule("set-state", { event: "pwritev", state: i + 1, new_state: i + 2 }),
  );
  const error = { event: "pwritev", iotype: "write", state: requests + 1 };
  return failing(path, [...counts, rule("inject-error", error)]);
}

function failing(path: string, rules: string[]): Disk {
  const config = `${path}.rules`;
  writeFileSync(config, rules.join("\n"));
  return { path, drive: plainDrive(`blkdebug:${config}:${path}`) };
}

function rule(section: string, values: Record<string, string | number>): string {
  const lines = Object.entries(values).map(([name, value]) => `${name} = "${value}"`);
  return [`[${section}]`, ...lines, ""].join("\n");
}
