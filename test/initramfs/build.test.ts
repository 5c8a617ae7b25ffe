/** Whole images, of a small program: what is in them, as another cpio and another squashfs see it. */
import { afterAll, beforeAll, describe, expect, it } from "bun:test";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync, gzipSync, zstdDecompressSync } from "node:zlib";
import { buildInitramfs, type InitramfsOptions } from "../../src/initramfs/build.ts";
import { modulesInOrder } from "../../src/initramfs/modules.ts";
import { findProgram } from "../lab/run.ts";

const missing = ["busybox", "unsquashfs", "xz"].filter((name) => findProgram(name) === null);
const suite = missing.length > 0 ? describe.skip : describe;

/** As a module looks to whoever wants to know what it needs. */
const moduleOf = (depends: string) =>
  new TextEncoder().encode(`ELF\0license=GPL\0depends=${depends}\0name=x\0`);

let directory: string;
let options: Omit<InitramfsOptions, "to">;
const path = (name: string) => join(directory, name);
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "vmcopy-test-"));
  writeFileSync(path("program"), "#!/bin/true\n".repeat(10_000));
  chmodSync(path("program"), 0o755);
  writeFileSync(path("settings.toml"), 'final = "poweroff"\n');
  mkdirSync(path("modules/deep"), { recursive: true });
  writeFileSync(path("modules/virtio_blk.ko"), moduleOf("virtio,virtio-ring"));
  writeFileSync(path("modules/deep/virtio_ring.ko.gz"), gzipSync(moduleOf("virtio")));
  writeFileSync(path("modules/virtio.ko"), moduleOf(""));
  writeFileSync(path("modules/loop.ko"), moduleOf(""));
  options = {
    layout: "plain",
    overlay: false,
    link: [],
    drivers: ["virtio_blk", "builtin"],
    modules: path("modules"),
    settings: path("settings.toml"),
    codec: "xz",
    block: 1024,
    fileSystem: "squashfs",
    wait: 5,
    env: [],
    program: path("program"),
  };
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** The archive's names, with permissions, types and sizes, as busybox sees them. */
function listed(archive: Uint8Array): string[] {
  const { stdout, status } = spawnSync(findProgram("busybox") as string, ["cpio", "-tv"], { input: archive });
  expect(status).toBe(0);
  return stdout
    .toString()
    .trim()
    .split("\n")
    .map((line) => {
      const [mode, , size, , , ...name] = line.split(/\s+/);
      return [mode, size, ...name].join(" ");
    });
}

/** What it holds of this name. */
function extracted(archive: Uint8Array, name: string): Buffer {
  const out = mkdtempSync(join(directory, "out-"));
  spawnSync(findProgram("busybox") as string, ["cpio", "-id", name], { input: archive, cwd: out });
  return readFileSync(join(out, name));
}

function unpacked(name: string, command: string[]): Uint8Array {
  const [program = "", ...args] = command;
  const { stdout, status } = spawnSync(program, [...args, path(name)], { maxBuffer: 1 << 28 });
  expect([command, status]).toEqual([command, 0]);
  return stdout;
}

const SIZE = 120_000;

suite(`npm run initramfs${missing.length > 0 ? ` (left out: needs ${missing.join(", ")})` : ""}`, () => {
  it("plain: /init is the program, modules come in the order in which they load", () => {
    buildInitramfs({ ...options, to: path("plain.cpio") });
    const archive = readFileSync(path("plain.cpio"));
    const names = listed(archive);
    expect(names.filter((line) => !line.includes(".ko"))).toEqual([
      "drwxr-xr-x 0 etc",
      "-rw------- 19 etc/vmcopy.toml",
      "drwxr-xr-x 0 modules",
      `-rw-r--r-- 39 modules/order`,
      `-rwxr-xr-x ${SIZE} init`,
    ]);
    expect(extracted(archive, "modules/order").toString()).toBe("virtio.ko\nvirtio_ring.ko\nvirtio_blk.ko\n");
    expect(extracted(archive, "modules/virtio_ring.ko")).toEqual(Buffer.from(moduleOf("virtio")));
    expect(extracted(archive, "init")).toEqual(readFileSync(path("program")));
  });

  it.each([
    ["plain.cpio.zst", () => zstdDecompressSync(readFileSync(path("plain.cpio.zst")))],
    ["plain.cpio.xz", () => unpacked("plain.cpio.xz", ["xz", "-dc"])],
    ["plain.cpio.gz", () => gunzipSync(readFileSync(path("plain.cpio.gz")))],
  ])("%s holds the same", (name, unpack) => {
    buildInitramfs({ ...options, to: path("plain.cpio") });
    buildInitramfs({ ...options, to: path(name) });
    expect(Buffer.from(unpack())).toEqual(readFileSync(path("plain.cpio")));
  });

  it("xz: with the one checksum that the kernel knows", () => {
    buildInitramfs({ ...options, to: path("plain.cpio.xz") });
    expect(unpacked("plain.cpio.xz", ["xz", "--robot", "--list"]).toString()).toMatch(/^file\t.*\tCRC32\t/m);
  });

  it("squashfs: the program in an image, its modules first", () => {
    buildInitramfs({ ...options, layout: "squashfs", to: path("squashfs.cpio") });
    const archive = readFileSync(path("squashfs.cpio"));
    expect(extracted(archive, "modules/order").toString()).toBe(
      "loop.ko\nvirtio.ko\nvirtio_ring.ko\nvirtio_blk.ko\n",
    );
    writeFileSync(path("image"), extracted(archive, "vmcopy.sqsh"));
    const cat = spawnSync("unsquashfs", ["-cat", path("image"), "vmcopy"]);
    expect(cat.stdout).toEqual(readFileSync(path("program")));
    const init = extracted(archive, "init").toString("latin1");
    for (const text of ["/modules/loop.ko", "/modules/virtio_blk.ko", "/vmcopy.sqsh", "/program/vmcopy"])
      expect(init).toContain(`${text}\0`);
  });

  it("retained: the image starts at the first sector, in an entry that is no file", () => {
    buildInitramfs({ ...options, layout: "retained", to: path("retained.cpio") });
    const archive = readFileSync(path("retained.cpio"));
    expect(archive.toString("latin1", 512, 516)).toBe("hsqs");
    expect(listed(archive)[0]).toMatch(/^s.* vmcopy\.sqsh$/);
    expect(extracted(archive, "init").toString("latin1")).toContain("/sys/firmware/initrd\0");
  });

  it("retained: may not be compressed", () => {
    expect(() => buildInitramfs({ ...options, layout: "retained", to: path("x.zst") })).toThrow(
      "may not be compressed",
    );
  });

  it("disk: the loader loads all drivers and waits for the device; the image is a file of its own", () => {
    const [initramfs, image] = buildInitramfs({
      ...options,
      layout: "disk",
      device: "/dev/vdz1",
      env: ["A=b c"],
      to: path("disk.cpio"),
      image: path("disk.sqsh"),
    });
    expect(initramfs?.size).toBeLessThan(8192);
    expect(image).toEqual({ path: path("disk.sqsh"), size: readFileSync(path("disk.sqsh")).length });
    const init = extracted(readFileSync(path("disk.cpio")), "init").toString("latin1");
    for (const text of ["/dev/vdz1", "/modules/virtio_blk.ko", "A=b c", "BUN_JSC_useDFGJIT=0"])
      expect(init).toContain(`${text}\0`);
  });

  it("disk: without a device there is nothing to mount", () => {
    expect(() => buildInitramfs({ ...options, layout: "disk", to: path("x") })).toThrow("needs --device");
  });

  it("overlay: the program at its path, and links where they are wanted", () => {
    buildInitramfs({ ...options, overlay: true, link: ["/usr/sbin/makedumpfile"], to: path("overlay.cpio") });
    expect(listed(readFileSync(path("overlay.cpio")))).toEqual([
      "drwxr-xr-x 0 usr",
      "drwxr-xr-x 0 usr/bin",
      `-rwxr-xr-x ${SIZE} usr/bin/vmcopy`,
      "drwxr-xr-x 0 usr/sbin",
      "lrwxrwxrwx 0 usr/sbin/makedumpfile -> /usr/bin/vmcopy",
    ]);
  });

  it("equal parts make equal images", () => {
    const build = (name: string) => {
      buildInitramfs({ ...options, layout: "squashfs", to: path(name) });
      return readFileSync(path(name));
    };
    expect(build("one.cpio")).toEqual(build("two.cpio"));
  });

  it("modules that need each other come once", () => {
    mkdirSync(path("circle"));
    writeFileSync(path("circle/a.ko"), moduleOf("b"));
    writeFileSync(path("circle/b.ko"), moduleOf("a"));
    expect(modulesInOrder(path("circle"), ["a", "b"]).map(({ file }) => file)).toEqual(["b.ko", "a.ko"]);
  });

  it("says what is missing", () => {
    expect(() => buildInitramfs({ ...options, program: path("none"), to: path("x") })).toThrow(
      "npm run build makes it",
    );
    expect(() => buildInitramfs({ ...options, modules: path("none"), to: path("x") })).toThrow(
      "there are no modules",
    );
  });
});
