/** Dumps on block devices: loop devices where this machine has them, and a file that passes for one. */
import { afterAll, beforeAll, describe, expect, it } from "bun:test";
import { readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { TMPFS_MAGIC } from "../../ffi/constants.ts";
import type { Libc } from "../../ffi/libc.ts";
import { STATFS } from "../../ffi/structs.ts";
import { asDevice } from "../support/device.ts";
import { copy, failure, flip, verify } from "../support/engines.ts";
import { temporaryFolder } from "../support/files.ts";
import { failAfterBytes, type Rules } from "../support/inject.ts";
import { possible, shell } from "../support/program.ts";
import { PLAIN } from "../support/shapes.ts";
import { buildVmcore } from "../support/vmcores.ts";

const path = temporaryFolder();
const source = path("source");
const { bytes, dataAt } = buildVmcore({
  ...PLAIN,
  loads: [{ offset: 0, length: 9 << 20, physicalAddress: 0x100000n }],
});
writeFileSync(source, bytes);
const CAPACITY = 12 << 20;

function usedImage(name: string, size = CAPACITY): string {
  writeFileSync(path(name), new Uint8Array(size).fill(0xaa));
  return path(name);
}

describe("a block device, injected", () => {
  it.each([
    {},
    { direct: true },
    { method: "mmap", mapSize: 64 << 20 },
    { direct: true, method: "mmap" },
  ] as const)("holds the dump from its first byte: %p", async (options) => {
    const device = usedImage("whole");
    const report = await copy({ source, dest: device, force: true, ...options }, asDevice(device));
    expect(report.manifest).toBe(null);
    const held = readFileSync(device);
    expect(held.subarray(0, bytes.length).equals(bytes)).toBe(true);
    expect(held.subarray(bytes.length).every((byte) => byte === 0xaa)).toBe(true);
    expect((await verify(device, { source }, asDevice(device))).ok).toBe(true);
    flip(device, dataAt + 12_345);
    expect((await verify(device, { source }, asDevice(device))).mismatches).toEqual([
      { offset: dataAt + 12_345, length: 1, physicalAddress: 0x100000 + 12_345 },
    ]);
  });

  it("that just fits, its size no multiple of a page, with O_DIRECT", async () => {
    const odd = path("odd");
    writeFileSync(odd, buildVmcore({ ...PLAIN, tail: 512 }).bytes);
    const device = usedImage("tight", statSync(odd).size);
    await copy({ source: odd, dest: device, force: true, direct: true }, asDevice(device));
    expect(readFileSync(device).equals(readFileSync(odd))).toBe(true);
  });

  it("that is too small is refused with both figures, and left as it was", async () => {
    const device = usedImage("small", 4 << 20);
    const error = await failure(copy({ source, dest: device, force: true }, asDevice(device)));
    expect(error).toMatchObject({ code: "E_NO_SPACE", exitCode: 2 });
    expect(error.message).toContain(`(${bytes.length} bytes), the device has 4 MiB (${4 << 20} bytes)`);
    expect(readFileSync(device).every((byte) => byte === 0xaa)).toBe(true);
  });

  it("where the copy fails has no ELF header, nor the one of an older dump", async () => {
    const device = usedImage("broken");
    await copy({ source, dest: device, force: true }, asDevice(device));
    const broken = asDevice(device, { pwrite: failAfterBytes(5 << 20, "EIO") });
    const error = await failure(copy({ source, dest: device, force: true }, broken));
    expect(error.code).toBe("E_IO");
    expect(error.message).toContain("holds an incomplete dump, marked by an empty first page");
    expect(
      readFileSync(device)
        .subarray(0, 4096)
        .every((byte) => byte === 0),
    ).toBe(true);
  });

  it("gets its first page last, after a sync", async () => {
    const device = usedImage("order");
    const events: string[] = [];
    const rules: Rules = {
      pwrite: (call, real) => {
        events.push(call.args[3] === 0 ? "first page" : "data");
        return real(...call.args);
      },
      fsync: (call, real) => {
        events.push("sync");
        return real(...call.args);
      },
    };
    await copy({ source, dest: device, force: true }, asDevice(device, rules));
    const order = events.filter((event, index) => event !== events[index - 1]);
    expect(order).toEqual(["first page", "sync", "data", "sync", "first page", "sync"]);
  });

  it("is written through behind the writer, though its node lies in a file system in memory", async () => {
    const device = usedImage("through");
    let ranges = 0;
    const through: Libc = asDevice(device, {
      fstatfs: (call, real) => {
        const result = real(...call.args);
        through.structureView.setBigInt64(STATFS.f_type, BigInt(TMPFS_MAGIC), true);
        return result;
      },
      sync_file_range: (call, real) => {
        ranges++;
        return real(...call.args);
      },
    });
    await copy({ source, dest: device, force: true }, through);
    expect(ranges).toBeGreaterThan(0);
  });

  it.each([
    ["a file system in its first page", 1080, [0x53, 0xef]],
    ["a dump", 0, [0x7f, 0x45]],
    ["btrfs", 0x10040, [..."_BHRfS_M"].map((letter) => letter.charCodeAt(0))],
  ])("that holds %s is overwritten only by force", async (_, at, magic) => {
    const device = path("held");
    const held = new Uint8Array(CAPACITY);
    held.set(magic, at);
    writeFileSync(device, held);
    const error = await failure(copy({ source, dest: device, force: false }, asDevice(device)));
    expect(error).toMatchObject({ code: "E_EXISTS", exitCode: 2 });
    expect(readFileSync(device).equals(held)).toBe(true);
  });

  it("that is blank, or holds a dump that did not end, needs no force", async () => {
    const device = path("unended");
    const held = new Uint8Array(CAPACITY).fill(0xaa);
    held.fill(0, 0, 4096);
    writeFileSync(device, held);
    await copy({ source, dest: device, force: false }, asDevice(device));
    expect(readFileSync(device).subarray(0, bytes.length).equals(bytes)).toBe(true);
  });

  it("that is mounted is refused", async () => {
    const device = usedImage("busy");
    const busy = asDevice(device, {
      // O_RDWR | O_EXCL without O_CREAT
      open: (call, real) =>
        ((call.args[1] ?? 0) & 0o302) === 0o202 ? call.fail("EBUSY") : real(...call.args),
    });
    const error = await failure(copy({ source, dest: device, force: true }, busy));
    expect(error.message).toMatch(/EBUSY.*unmount/);
  });
});

const image = path("loop.img");
writeFileSync(image, "");
truncateSync(image, CAPACITY);
const canLoop = possible(`d=$(losetup -f --show ${image}) && losetup -d $d`);

describe.skipIf(!canLoop)(
  `a loop device${canLoop ? "" : " (skipped: losetup does not work here; it needs root)"}`,
  () => {
    let device = "";
    beforeAll(async () => {
      device = (await shell(`losetup -f --show ${image}`)).out.trim();
    });
    afterAll(async () => {
      await shell(`losetup -d ${device}`);
    });

    it.each([{}, { direct: true }, { sparse: false, method: "mmap" }] as const)(
      "holds the dump: %p",
      async (options) => {
        await copy({ source, dest: device, force: true, ...options });
        expect((await verify(device, { source })).ok).toBe(true);
        const { out } = await shell(`head -c ${bytes.length} ${device} | cmp - ${source} && echo same`);
        expect(out).toBe("same\n");
      },
    );

    it("is copied from as well", async () => {
      await copy({ source, dest: device, force: true });
      const other = path("again");
      const { size } = statSync(image);
      await copy({ source: device, dest: other });
      expect(statSync(other).size).toBe(size);
      expect(readFileSync(other).subarray(0, bytes.length).equals(bytes)).toBe(true);
    });

    it("that is too small is refused", async () => {
      const large = path("large");
      writeFileSync(large, buildVmcore(PLAIN).bytes);
      const error = await failure(copy({ source: large, dest: device }));
      expect(error).toMatchObject({ code: "E_NO_SPACE" });
      expect(error.message).toMatch(/needs 16\.\d MiB \(\d+ bytes\), the device has 12 MiB/);
    });
  },
);
