// Raw partitions that are real block devices: loop devices, as the kernel gives them.
import { afterAll, beforeAll, describe, expect, it } from "bun:test";
import { readFileSync, rmSync, symlinkSync } from "node:fs";
import { capture, stepsOf } from "../support/captures.ts";
import { flip } from "../support/engines.ts";
import { temporaryFolder } from "../support/files.ts";
import { image } from "../support/partitions.ts";
import { possible, shell, shellLine, vmcopy } from "../support/program.ts";
import { writeSampleFile } from "../support/sample.ts";

const path = temporaryFolder();
const source = path("source");
const MIB = 1 << 20;
const mount = path("mount");
const canMount = possible(
  `mkdir -p ${mount} && truncate -s 8M ${path("try")} && mkfs.ext4 -q ${path("try")} && device=$(losetup -f --show ${path("try")}) && { unshare -m mount $device ${mount}; code=$?; losetup -d $device; exit $code; }`,
);
const loops: string[] = [];

beforeAll(() => {
  writeSampleFile(source, { size: 24 * MIB });
});
afterAll(async () => {
  for (const loop of loops) await shell(`losetup -d ${loop}`);
});

/** A loop device on an image. */
async function loop(name: string, options = ""): Promise<string> {
  const { out, err } = await shell(`losetup ${options} -f --show ${path(name)}`);
  const device = out.trim();
  if (device === "") throw new Error(`Cannot make a loop device: ${err}`);
  loops.push(device);
  return device;
}

const skipped = canMount ? "" : " (skipped: loop devices and mounts need root)";

describe.skipIf(!canMount)(`a block device${skipped}`, () => {
  it("captured to, read from, copied from, and its image as well", async () => {
    image(path("disk"), 48 * MIB);
    const device = await loop("disk");
    const captured = await vmcopy("capture", "--source", source, "--to", device, "--json");
    expect([captured.code, JSON.parse(captured.out)]).toMatchObject([
      0,
      { state: "complete", verified: true },
    ]);
    expect((await vmcopy("verify", device)).out).toContain("whole and right");
    expect((await vmcopy("copy", device, path("dump"))).code).toBe(0);
    expect((await vmcopy("verify", path("dump"), source)).out).toContain("whole and right");
    expect((await vmcopy("copy", path("disk"), path("again"))).code).toBe(0);
    expect(readFileSync(path("again")).equals(readFileSync(path("dump")))).toBe(true);
  });

  it("is read back from the disk: what changed below it is found", async () => {
    image(path("changed"), 48 * MIB);
    const device = await loop("changed");
    let cached = false;
    const { report } = await capture(
      device,
      source,
      {},
      {
        said: (line) => {
          if (!/\] dump: /.test(line)) return;
          const before = readFileSync(device);
          flip(path("changed"), MIB + 100_000);
          // The device's page cache has what was written.
          cached = readFileSync(device).equals(before);
        },
      },
    );
    expect([cached, stepsOf(report).join(" ")]).toEqual([
      true,
      "read target log crash space dump verify! sync final",
    ]);
  });

  it("that is mounted is refused, even to overwrite", async () => {
    image(path("mounted"), 48 * MIB);
    const device = await loop("mounted");
    const line = shellLine("capture", "--source", source, "--to", device, "--overwrite", "--json");
    const { out } = await shell(
      `mkfs.ext4 -q ${device}; unshare -m bash -c "mount ${device} ${mount} && echo here > ${mount}/file && ${line}; cat ${mount}/file"`,
    );
    const [json = "", file] = out.trim().split("\n");
    expect([JSON.parse(json).error.message, file]).toEqual([
      expect.stringMatching(
        /^Cannot open .*EBUSY.*; it is mounted or part of an array: unmount or stop it first$/,
      ),
      "here",
    ]);
  });

  it("with a file system is refused, and mounted as it was before", async () => {
    image(path("ext4"), 48 * MIB);
    const device = await loop("ext4");
    await shell(`mkfs.ext4 -q ${device}`);
    const { code, err } = await vmcopy("capture", "--source", source, "--to", device);
    expect([code, err]).toEqual([2, expect.stringContaining(`something is on it, a file system or a dump`)]);
    expect((await shell(`fsck.ext4 -fn ${device}`)).code).toBe(0);
    expect((await vmcopy("capture", "--source", source, "--to", device, "--overwrite")).code).toBe(0);
    // Nobody takes it for a file system any more.
    expect((await shell(`unshare -m mount ${device} ${mount}`)).code).not.toBe(0);
  });

  it("that is read-only is refused in one line", async () => {
    image(path("readonly"), 48 * MIB);
    const device = await loop("readonly", "-r");
    const { report, lines } = await capture(device, source);
    expect([report.exitCode, lines[1]]).toEqual([
      2,
      expect.stringMatching(
        /target: Cannot write .*EPERM.*; the device is read-only: name one that can be written$/,
      ),
    ]);
  });

  it("that comes late is waited for", async () => {
    image(path("late"), 48 * MIB);
    const device = await loop("late");
    const link = `/dev/vmcopy-late-${process.pid}`;
    const timer = setTimeout(() => symlinkSync(device, link), 500);
    try {
      const { report } = await capture(link, source, { wait: 20 });
      expect(report).toMatchObject({ exitCode: 0, state: "complete", directory: link });
    } finally {
      clearTimeout(timer);
      rmSync(link, { force: true });
    }
  });
});
