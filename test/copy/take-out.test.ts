/** A capture taken from a raw partition: the dump as a file, a stream or another dump, and all members into a directory. */
import { beforeAll, beforeEach, describe, expect, it } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { takeOut } from "../../src/copy/take-out.ts";
import { Interrupted } from "../../src/errors.ts";
import { capture, WHOLE } from "../support/captures.ts";
import { failure, flip, same, sha256, testJob, verify } from "../support/engines.ts";
import { injected, libc, temporaryFolder } from "../support/files.ts";
import { failAfterBytes } from "../support/inject.ts";
import { captureRaw, image } from "../support/partitions.ts";
import { shell, shellLine, vmcopy } from "../support/program.ts";
import { writeSampleFile } from "../support/sample.ts";

const path = temporaryFolder();
const source = path("source");
const device = path("device");
const dump = path("dump");
const directory = path("members");
const MIB = 1 << 20;
const SIZE = 32 * MIB;
/** Where the dump lies: behind dmesg.txt and crash.json, each in a page. */
const DUMP_AT = MIB + 8192;
let right: Buffer;
let expected: Buffer;

beforeAll(async () => {
  writeSampleFile(source, { size: 16 * MIB });
  image(device, SIZE);
  await captureRaw(device, source);
  right = readFileSync(device);
  await capture(path("crash"), source, { name: "one" });
  expected = readFileSync(path("crash/one/vmcore"));
  expect(right.subarray(DUMP_AT, DUMP_AT + 8).toString()).toBe("KDUMP   ");
});
beforeEach(() => {
  writeFileSync(device, right);
  for (const name of [dump, `${dump}.manifest.json`, `${dump}.incomplete`]) rmSync(name, { force: true });
  rmSync(directory, { recursive: true, force: true });
});

const OPTIONS = { sparse: true, direct: false, force: false, resume: false, manifest: true, sha256: false };
const take = (changes: object = {}, through = libc, job = testJob()) =>
  takeOut(through, job, { ...OPTIONS, source: device, dest: dump, ...changes });

describe("the dump", () => {
  it("as a file that its manifest proves", async () => {
    const { code, out, err } = await vmcopy("copy", device, dump);
    expect([code, err.split("\n").filter((line) => line.startsWith("warning"))]).toEqual([0, []]);
    expect(out).toMatch(
      / of a capture \(complete\) taken out in .*\n.*\n {2}prove it anywhere: vmcopy verify \S+\n$/,
    );
    expect(readFileSync(dump).equals(expected)).toBe(true);
    expect(same(`${dump}.manifest.json`, path("crash/one/vmcore.manifest.json"))).toBe(true);
    expect((await vmcopy("verify", dump)).out).toContain("whole and right");
  });

  it("as JSON", async () => {
    const { out } = await vmcopy("copy", "--json", device, dump);
    expect(JSON.parse(out)).toMatchObject({
      source: device,
      dest: dump,
      format: "kdump",
      dumpLevel: 31,
      compression: "zstd",
      state: "complete",
      bytesRead: expected.length,
      manifest: `${dump}.manifest.json`,
      files: [dump, `${dump}.manifest.json`],
      problems: [],
    });
  });

  it("is not written over one that is there, without --force", async () => {
    writeFileSync(dump, "mine");
    expect((await vmcopy("copy", device, dump)).err).toMatch(/it is there already; replace it by --force\n$/);
    expect(readFileSync(dump, "utf8")).toBe("mine");
    expect((await vmcopy("copy", "--force", device, dump)).code).toBe(0);
    expect(readFileSync(dump).equals(expected)).toBe(true);
  });

  it("on standard output", async () => {
    const { code } = await shell(`${shellLine("copy", device, "-")} > ${dump}`);
    expect([code, readFileSync(dump).equals(expected)]).toEqual([0, true]);
  });

  it("with a SHA-256, without a manifest", async () => {
    await take({ sha256: true });
    expect(JSON.parse(readFileSync(`${dump}.manifest.json`, "utf8")).sha256).toBe(sha256(dump));
    expect((await verify(dump)).ok).toBe(true);
    const { manifest } = await take({ manifest: false, force: true });
    expect([manifest, existsSync(`${dump}.manifest.json`)]).toEqual([null, false]);
  });

  it("filtered and compressed anew", async () => {
    const { code } = await vmcopy("copy", "-d", "31", "-c", "zlib", device, dump);
    expect(code).toBe(0);
    const { ok, mismatches } = await verify(dump, { source });
    expect([ok, mismatches]).toEqual([true, []]);
  });

  it("is taken anew: --resume is refused", async () => {
    const { code, err } = await vmcopy("copy", "--resume", device, dump);
    expect([code, err]).toEqual([2, expect.stringContaining("--resume: what is taken from a partition")]);
  });
});

describe("a dump that is not as it was written", () => {
  it("is taken out, with the manifest that tells; exit code 1", async () => {
    flip(device, DUMP_AT + 300_000);
    const { code, out, err } = await vmcopy("copy", device, dump);
    expect(code).toBe(1);
    expect(err).toContain(
      "warning: the dump is not as it was written: the 262144 bytes at offset 262144 differ\n",
    );
    expect(out).toContain("NOT as it should be");
    expect(readFileSync(dump)).toHaveLength(expected.length);
    expect((await vmcopy("verify", dump)).code).toBe(1);
    const found = await verify(device);
    expect([found.ok, found.mismatches]).toEqual([
      false,
      [{ offset: 262_144, length: 262_144, physicalAddress: null }],
    ]);
  });

  it("with a bad sector: zeros there, told", async () => {
    const through = injected({
      pread: (call, real) => {
        const [, , length = 0, offset = 0] = call.args;
        const at = DUMP_AT + 500_000;
        return offset <= at && offset + length > at ? call.fail("EIO") : real(...call.args);
      },
    });
    const { problems } = await take({}, through);
    expect(problems).toEqual([
      "262144 bytes at offset 262144 of the dump cannot be read: input/output error (EIO)",
      "the dump is not as it was written: the 262144 bytes at offset 262144 differ",
    ]);
    const there = readFileSync(dump);
    expect(there.subarray(0, 262_144).equals(expected.subarray(0, 262_144))).toBe(true);
    expect(there.subarray(262_144, 524_288).every((byte) => byte === 0)).toBe(true);
    expect(there.subarray(524_288).equals(expected.subarray(524_288))).toBe(true);
  });

  it("with a damaged manifest: without a proof, told", async () => {
    const at = right.lastIndexOf('"format": "vmcopy-manifest"');
    flip(device, at + 12);
    const { problems, manifest, files } = await take();
    expect(problems).toEqual([
      `Cannot trust vmcore.manifest.json on ${device}: its digest does not match; it is damaged; the dump is taken out without a proof`,
    ]);
    expect([manifest, files, readFileSync(dump).equals(expected)]).toEqual([null, [dump], true]);
    expect((await vmcopy("verify", device)).err).toMatch(
      /^vmcopy: verify: Cannot trust vmcore.manifest.json on .*: its digest does not match; it is damaged\n$/,
    );
  });
});

describe("a copy that does not end", () => {
  it("for want of space: what there is, marked incomplete", async () => {
    const through = injected({ pwrite: failAfterBytes(2 * MIB, "ENOSPC") });
    const error = await failure(take({}, through));
    expect(error).toMatchObject({ code: "E_NO_SPACE", exitCode: 2 });
    expect(error.message).toMatch(/copied .*; what there is lies in .*dump\.incomplete, marked incomplete/);
    expect([existsSync(dump), existsSync(`${dump}.incomplete`)]).toEqual([false, true]);
  });

  it("for Ctrl-C: the same", async () => {
    const job = testJob((done) => {
      if (done > MIB) throw new Interrupted("SIGINT");
    });
    expect(await failure(take({}, libc, job))).toMatchObject({ exitCode: 130 });
    // The mark of the format itself: crash and vmcopy say that it is incomplete.
    const info = JSON.parse((await vmcopy("info", "--no-pages", "--json", `${dump}.incomplete`)).out);
    expect(info.incomplete).toBe(true);
  });
});

describe("all members, into a directory that is there", () => {
  it("by their names, for their owner alone", async () => {
    mkdirSync(directory);
    const { code, out } = await vmcopy("copy", "--json", device, `${directory}/`);
    expect([code, readdirSync(directory).sort()]).toEqual([0, WHOLE]);
    expect(JSON.parse(out).files).toHaveLength(5);
    for (const name of ["dmesg.txt", "crash.json", "vmcore", "vmcore.manifest.json"])
      expect([name, same(join(directory, name), path(`crash/one/${name}`))]).toEqual([name, true]);
    expect((await shell(`stat -c %a ${directory}/* | sort -u`)).out).toBe("600\n");
    expect((await verify(join(directory, "vmcore"))).ok).toBe(true);
  });

  it("none is written where one of them is there already", async () => {
    mkdirSync(directory);
    writeFileSync(join(directory, "vmcore"), "mine");
    const { code, err } = await vmcopy("copy", device, directory);
    expect([code, err]).toEqual([
      2,
      expect.stringMatching(/members\/vmcore: it is there already; replace it/),
    ]);
    expect(readdirSync(directory)).toEqual(["vmcore"]);
    expect((await vmcopy("copy", "--force", device, directory)).code).toBe(0);
    expect(readdirSync(directory).sort()).toEqual(WHOLE);
  });

  it("a damaged one gets another name", async () => {
    flip(device, MIB + 100);
    mkdirSync(directory);
    const { code, err } = await vmcopy("copy", device, directory);
    expect([code, readdirSync(directory).sort()]).toEqual([
      1,
      WHOLE.map((name) => (name === "dmesg.txt" ? "dmesg.txt.damaged" : name)).sort(),
    ]);
    expect(err).toContain("warning: dmesg.txt is not as it was written: its digest does not match");
  });
});
