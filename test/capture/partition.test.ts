// Captures on a raw partition: what lies there, what is never overwritten, and what is saved where a step fails.
import { beforeAll, describe, expect, it } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { resolveSettings } from "../../src/capture/settings.ts";
import { capture, jsonOf, stepsOf, WHOLE } from "../support/captures.ts";
import { asDevice } from "../support/device.ts";
import { flip, same, verify } from "../support/engines.ts";
import { temporaryFolder } from "../support/files.ts";
import type { Rules } from "../support/inject.ts";
import { captureRaw, image, takeAll } from "../support/partitions.ts";
import { called, vmcopy } from "../support/program.ts";
import { writeSampleFile } from "../support/sample.ts";

const path = temporaryFolder();
const source = path("source");
const device = path("device");
const out = path("out");
const MIB = 1 << 20;
const SIZE = 64 * MIB;
let log: string;

beforeAll(async () => {
  writeSampleFile(source, { size: 24 * MIB });
  log = (await vmcopy("dmesg", source)).out;
});

describe("a capture on a raw partition", () => {
  it("has the same members as one in a directory, byte for byte", async () => {
    image(device, SIZE, 0xaa);
    const { report, lines } = await captureRaw(device, source, { overwrite: true });
    expect(stepsOf(report).join(" ")).toBe("read target log crash space dump verify mark sync final");
    expect(report).toMatchObject({ exitCode: 0, state: "complete", verified: true, directory: device });
    expect(lines[1]).toContain(
      `target: ${device}: raw partition, 64 MiB; what was on it is overwritten (--overwrite)`,
    );
    const { report: taken, files } = await takeAll(device, out);
    expect([taken.state, taken.problems, files]).toEqual(["complete", [], WHOLE]);
    await capture(path("crash"), source, { name: "one" });
    for (const name of ["dmesg.txt", "crash.json", "vmcore", "vmcore.manifest.json"])
      expect([name, same(join(path("crash"), "one", name), join(out, name))]).toEqual([name, true]);
    expect((await verify(join(out, "vmcore"))).ok).toBe(true);
  });

  it("is found by those who read dumps, on the device and in an image of it", async () => {
    image(device, SIZE);
    await captureRaw(device, source);
    const { ok, method, manifest } = await verify(device, {}, asDevice(device));
    expect([ok, method, manifest]).toEqual([true, "manifest", `vmcore.manifest.json on ${device}`]);
    expect((await verify(device)).ok).toBe(true);
    expect((await verify(device, { source })).ok).toBe(true);
    expect((await vmcopy("dmesg", device)).out).toBe(log);
    const info = await vmcopy("info", "--json", device);
    expect([info.code, JSON.parse(info.out)]).toMatchObject([
      0,
      { kernelRelease: "6.1.0-sample-amd64", capture: { state: "complete", size: SIZE, problems: [] } },
    ]);
  });

  it("capture.json is the report, and lies in two places by turns", async () => {
    image(device, SIZE);
    const { report } = await captureRaw(device, source);
    await takeAll(device, out);
    const record = jsonOf(out, "capture.json");
    expect(record).toMatchObject({ format: "vmcopy-capture", state: "complete", directory: device });
    expect(report.steps.slice(0, -2).map(({ name }) => name)).toEqual(
      (record.steps as { name: string }[]).map(({ name }) => name),
    );
    // The one before the last still lies in the other room.
    const text = readFileSync(device, "latin1");
    for (const at of [64 << 10, 320 << 10]) expect(text.slice(at, at + 2)).toBe("{\n");
  });

  it("a newer one takes the place of an older one, and says so", async () => {
    image(device, SIZE);
    await captureRaw(device, source, { level: 0 });
    const older = (await takeAll(device, out)).read("vmcore").length;
    const { report, lines } = await captureRaw(device, source, { keep: 3 });
    expect(lines[1]).toEndWith("an older capture on it (complete) is overwritten");
    expect(stepsOf(report).join(" ")).toBe("read target log crash space dump verify mark keep sync final");
    expect(lines.join("\n")).toContain(
      "keep: --keep 3 means nothing here: a raw partition holds one capture",
    );
    expect(report.exitCode).toBe(0);
    const { report: taken, read } = await takeAll(device, out);
    expect(taken.problems).toEqual([]);
    expect(read("vmcore").length).toBeLessThan(older);
  });

  it("all memory, where the filter fails", async () => {
    image(device, SIZE, 0xaa);
    let failed = false;
    const { report } = await captureRaw(
      device,
      source,
      { overwrite: true },
      {
        rules: {
          // The first write of the dump: it begins with its signature.
          pwrite: (call, real) => {
            const [, address = 0, length = 0] = call.args;
            const isDump = length > 8 && readMagic(address) === "KDUMP   ";
            if (!isDump || failed) return real(...call.args);
            failed = true;
            return call.fail("EIO");
          },
        },
      },
    );
    expect(stepsOf(report).join(" ")).toBe(
      "read target log crash space dump! dump-raw verify mark sync final",
    );
    expect(report).toMatchObject({ state: "complete", verified: true, exitCode: 1 });
    const { report: taken } = await takeAll(device, out);
    expect([taken.problems, same(source, join(out, "vmcore"))]).toEqual([[], true]);
    expect((await verify(device, { source })).ok).toBe(true);
  });
});

function readMagic(address: number): string {
  return new TextDecoder("latin1").decode(asDevice(source).backend.view(address, 8));
}

describe("what is on a partition", () => {
  it.each([
    ["ext4", 1080, [0x53, 0xef]],
    ["a dump", 0, [0x7f, 0x45, 0x4c, 0x46]],
    ["a partition table", 510, [0x55, 0xaa]],
    ["a member of an array (version 1.2)", 4096, [0xfc, 0x4e, 0x2b, 0xa9]],
    ["swap of pages of 64 KiB", 65_526, [..."SWAPSPACE2"].map((letter) => letter.charCodeAt(0))],
    ["btrfs", 0x10040, [..."_BHRfS_M"].map((letter) => letter.charCodeAt(0))],
    ["something near the first MiB's end", MIB - 1, [1]],
    ["a header in the second place alone", 4096, [..."VMCOPYRP"].map((letter) => letter.charCodeAt(0))],
  ])("%s is overwritten only with --overwrite", async (_, at, magic) => {
    const held = new Uint8Array(8 * MIB);
    held.set(magic, at);
    writeFileSync(device, held);
    const { report, lines } = await captureRaw(device, source);
    expect([stepsOf(report).join(" "), report.exitCode]).toEqual(["read target! final", 2]);
    expect(lines[1]).toEndWith(
      `target: Cannot capture to ${device}: something is on it, a file system or a dump; name a directory on it (--to ${device}:/crash), or overwrite it (--overwrite)`,
    );
    expect(readFileSync(device).equals(held)).toBe(true);
    // The end of the log is shown instead.
    expect(lines).toContain("The end of the crashed kernel's log:");
    expect((await captureRaw(device, source, { overwrite: true })).report.steps[1]?.ok).toBe(true);
    expect((await takeAll(device, out)).read("dmesg.txt").toString()).toBe(log);
  });

  it("what lay behind the first MiB shows nowhere", async () => {
    const held = new Uint8Array(SIZE).fill(0xaa);
    held.fill(0, 0, MIB);
    writeFileSync(device, held);
    expect((await captureRaw(device, source)).report.exitCode).toBe(0);
    expect((await verify(device)).ok).toBe(true);
  });

  it("a capture with both headers damaged is overwritten, and that is said", async () => {
    image(device, SIZE);
    await captureRaw(device, source);
    flip(device, 100);
    flip(device, 4096 + 100);
    expect((await vmcopy("verify", device)).err).toMatch(
      /^vmcopy: verify: Cannot read the capture on .*: its header is damaged, and so is the second one \(its checksum does not match\)\n$/,
    );
    const { report, lines } = await captureRaw(device, source);
    expect(lines[1]).toEndWith("a damaged capture on it is overwritten");
    expect(report.exitCode).toBe(0);
  });

  it("the source itself is not", async () => {
    image(device, SIZE);
    await captureRaw(device, source);
    const { report, lines } = await captureRaw(device, device);
    expect([report.exitCode, lines[1]]).toEqual([2, expect.stringContaining("they are the same file")]);
    expect((await verify(device)).ok).toBe(true);
  });

  it("one that is in use is refused", async () => {
    image(device, SIZE);
    const { lines } = await captureRaw(
      device,
      source,
      {},
      // O_RDWR | O_EXCL without O_CREAT
      {
        rules: {
          open: (call, real) =>
            ((call.args[1] ?? 0) & 0o302) === 0o202 ? call.fail("EBUSY") : real(...call.args),
        },
      },
    );
    expect(lines[1]).toMatch(/target: Cannot open .*EBUSY.*; it is mounted or part of an array: unmount/);
  });

  it.each([
    ["a file", source, /neither a directory nor a block device; name a directory/],
    ["a character device", "/dev/null", /neither a directory nor a block device; name a directory/],
    [
      "no device",
      "/dev/vmcopy-none",
      /Cannot write to \/dev\/vmcopy-none: there is no such device; is its driver/,
    ],
  ])("%s is none", async (_, to, message) => {
    const { report, lines } = await capture(to, source);
    expect([report.exitCode, lines[1]]).toEqual([2, expect.stringMatching(message)]);
    expect(existsSync("/dev/vmcopy-none")).toBe(false);
  });
});

describe("a partition that is small", () => {
  const stepsAt = async (size: number, settings = {}) => {
    image(device, size);
    const captured = await captureRaw(device, source, settings);
    return { ...captured, steps: stepsOf(captured.report).join(" ") };
  };

  it("too small for a log is refused, and left as it was", async () => {
    const { steps, lines, report } = await stepsAt(2 * MIB - 512);
    expect([steps, report.exitCode]).toEqual(["read target! final", 2]);
    expect(lines[1]).toMatch(/it has 2\.0 MiB, a raw partition needs 2 MiB for the log alone; name a larger/);
    expect(readFileSync(device).every((byte) => byte === 0)).toBe(true);
  });

  it("too small for any dump: the log and crash.json, and it says so", async () => {
    const { steps, report } = await stepsAt(2 * MIB);
    expect([steps, report.exitCode]).toEqual(["read target log crash space! mark sync final", 1]);
    const { report: taken, files, read } = await takeAll(device, out);
    expect([taken.state, files]).toEqual(["log-only", ["capture.json", "crash.json", "dmesg.txt"]]);
    expect(taken.problems).toEqual([
      `${device}: the capture on it ended without a dump; it has dmesg.txt, crash.json, capture.json`,
    ]);
    expect(read("dmesg.txt").toString()).toBe(log);
    // Nobody can read a dump there, and everybody is told what can be done.
    expect((await vmcopy("dmesg", device)).out).toBe(log);
    const other = await called("vmcore-dmesg", device);
    expect([other.code, other.out]).toEqual([0, (await called("vmcore-dmesg", source)).out]);
    expect((await verify(device)).problems).toEqual([
      "the capture on it ended without a dump; it has dmesg.txt, crash.json, capture.json",
    ]);
    const info = await vmcopy("info", device);
    expect([info.code, info.out]).toEqual([1, expect.stringContaining("log-only\n  dmesg.txt ")]);
    const copied = await vmcopy("copy", device, path("none"));
    expect([copied.code, copied.err]).toEqual([
      1,
      expect.stringMatching(
        /^.*\nvmcopy: copy: Cannot read a dump from .*; take out what is there: vmcopy copy .* DIR\n$/,
      ),
    ]);
    expect(existsSync(path("none"))).toBe(false);
  });

  it("the next smaller dump is taken", async () => {
    const { report } = await stepsAt(18 * MIB, { level: 0, compress: "none" });
    expect(report).toMatchObject({ state: "complete", dump: { compression: "zstd", reduced: true } });
    expect((await verify(device)).ok).toBe(true);
  });

  it("also where the estimate was wrong: what is full is full", async () => {
    image(device, SIZE);
    let dumps = 0;
    const { report } = await captureRaw(
      device,
      source,
      { level: 17 },
      {
        rules: {
          pwrite: (call, real) => {
            const [, address = 0, length = 0, offset = 0] = call.args;
            if (length > 8 && readMagic(address) === "KDUMP   ") dumps++;
            return dumps === 1 && offset > 3 * MIB ? call.fail("ENOSPC") : real(...call.args);
          },
        },
      },
    );
    expect(stepsOf(report).join(" ")).toBe("read target log crash space dump! dump verify mark sync final");
    expect(report.dump).toMatchObject({ dumpLevel: 25, reduced: true });
    expect((await verify(device)).ok).toBe(true);
  });
});

describe("a step that fails keeps no later one from saving what it can", () => {
  /** Fails writes that touch these bytes of the device. */
  const badFrom = (from: number, to: number): Rules => ({
    pwrite: (call, real) => {
      const [, , length = 0, offset = 0] = call.args;
      return offset < to && offset + length > from ? call.fail("EIO") : real(...call.args);
    },
  });

  it("a disk that is bad from some place on: the log is there", async () => {
    image(device, SIZE);
    const { report } = await captureRaw(device, source, {}, { rules: badFrom(2 * MIB, SIZE) });
    expect(stepsOf(report).join(" ")).toBe("read target log crash space dump! dump-raw! mark sync final");
    const { report: taken, read } = await takeAll(device, out);
    expect([taken.state, read("dmesg.txt").toString()]).toEqual(["log-only", log]);
  });

  it("one that is bad where the record lies", async () => {
    image(device, SIZE);
    const { report } = await captureRaw(device, source, {}, { rules: badFrom(64 << 10, 128 << 10) });
    expect(stepsOf(report).join(" ")).toBe("read target log crash record! space dump verify mark sync final");
    const { files, report: taken } = await takeAll(device, out);
    expect([files, taken.problems]).toEqual([WHOLE.filter((name) => name !== "capture.json"), []]);
  });

  it("one whose first page cannot be written is no target", async () => {
    image(device, SIZE);
    const { report } = await captureRaw(device, source, {}, { rules: badFrom(0, 512) });
    expect([stepsOf(report).join(" "), report.exitCode]).toEqual(["read target! final", 2]);
  });

  it("a dump that is not on the disk as it was written stays incomplete", async () => {
    image(device, SIZE);
    const { report } = await captureRaw(
      device,
      source,
      {},
      {
        said: (line) => {
          if (/\] dump: /.test(line)) flip(device, MIB + 200_000);
        },
      },
    );
    expect(stepsOf(report).join(" ")).toBe("read target log crash space dump verify! sync final");
    expect(report).toMatchObject({ exitCode: 1, state: "incomplete", verified: false });
    const { report: taken, files } = await takeAll(device, out);
    expect([taken.state, files]).toEqual(["incomplete", WHOLE]);
    expect(taken.problems).toEqual([
      `${device}: the capture on it is incomplete, it was cut off or failed; it has dmesg.txt, crash.json, vmcore, vmcore.manifest.json, capture.json`,
      expect.stringMatching(/^the dump is not as it was written: the 262144 bytes at offset 0 differ$/),
    ]);
  });
});

it("--overwrite is a setting everywhere", async () => {
  expect((await vmcopy("capture", "--help")).out).toContain("--overwrite");
  const values = new Map([["overwrite", ""]]);
  const resolved = resolveSettings([{ nameOf: (name) => name, values }]);
  expect(resolved).toMatchObject({ settings: { overwrite: true }, warnings: [] });
});
