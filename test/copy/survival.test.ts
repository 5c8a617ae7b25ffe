/** A copy whose system calls fail and that gets through all the same: nothing is lost but what cannot be read. */
import { describe, expect, it } from "bun:test";
import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { copyPlace, hits } from "../support/copy-place.ts";
import { copy, same, testJob, verify } from "../support/engines.ts";
import { injected, libc } from "../support/files.ts";
import { failAtOffset, failNth, interruptEvery, type Rules, shortWrites } from "../support/inject.ts";
import { buildVmcore, PAGE } from "../support/vmcores.ts";

const { path, source, bytes, dataAt, size, dest } = copyPlace();
const MIB = 1 << 20;

describe("a copy that gets through all the same", () => {
  const everywhere: Rules = Object.fromEntries(
    (["open", "pread", "pwrite", "fsync", "ftruncate", "sync_file_range", "fallocate"] as const).map(
      (name) => [name, interruptEvery(2)],
    ),
  );
  const cases: [string, () => Rules, Partial<Parameters<typeof copy>[0]>][] = [
    ["EINTR everywhere", () => everywhere, {}],
    ["EINTR everywhere, dense", () => everywhere, { sparse: false, method: "mmap" }],
    ["short writes", () => ({ pwrite: shortWrites(10_007) }), {}],
    [
      "short writes, dense",
      () => ({ pwrite: shortWrites(65_537) }),
      { sparse: false, method: "mmap", mapSize: 64 * MIB },
    ],
    ["short reads", () => ({ pread: shortWrites(4099) }), {}],
    ["no O_DIRECT for writes", () => ({ pwrite: failNth(3, "EINVAL") }), { direct: true }],
    ["no sync_file_range", () => ({ sync_file_range: hits("ENOSYS") }), {}],
    ["no fallocate", () => ({ fallocate: hits("EOPNOTSUPP") }), { sparse: false }],
    ["no SEEK_DATA", () => ({ lseek: hits("EINVAL") }), {}],
  ];

  it.each(cases)("%s", async (_what, rules, options) => {
    const report = await copy({ source, dest, ...options }, injected(rules()));
    expect(report.problems).toEqual([]);
    expect(same(source, dest)).toBe(true);
    expect((await verify(dest)).ok).toBe(true);
  });

  it.each(["EAGAIN", "EINVAL", "ENODEV", "EFAULT", "ENOMEM"])(
    "mmap of one window fails with %s",
    async (errno) => {
      const rules = { mmap: failAtOffset(dataAt + 6 * MIB, errno) };
      const report = await copy({ source, dest, method: "mmap", mapSize: 1 * MIB }, injected(rules));
      expect(report.problems).toEqual([expect.stringMatching(/could not be mapped and were read instead/)]);
      expect(report.unreadable).toEqual([]);
      expect(same(source, dest)).toBe(true);
    },
  );

  it("mmap never works", async () => {
    const rules: Rules = {
      mmap: (call, real) => (call.args[4] === -1 ? real(...call.args) : call.fail("ENODEV")),
    };
    await copy({ source, dest, method: "mmap" }, injected(rules));
    expect(same(source, dest)).toBe(true);
  });
});

describe("a source that cannot be read everywhere", () => {
  it.each(["EIO", "EFAULT", "EHWPOISON"])(
    "%s at two places: zeros there, listed, the rest copied",
    async (errno) => {
      const first = dataAt + 5 * MIB;
      const second = dataAt + 9 * MIB + 3 * PAGE;
      const one = failAtOffset(first, errno);
      const two = failAtOffset(second, errno, 2 * PAGE);
      const onSource: Rules["pread"] = (call, real) => one(call, (...args) => two({ ...call, args }, real));
      const job = testJob();
      const report = await copy({ source, dest }, injected({ pread: onSource }), job);
      const physical = (offset: number) => 0x100000 + offset - dataAt;
      const wanted = [
        { offset: first, length: PAGE, physicalAddress: physical(first) },
        { offset: second, length: 2 * PAGE, physicalAddress: physical(second) },
      ];
      expect(report.unreadable).toEqual(wanted);
      expect(job.warnings).toHaveLength(2);
      expect(job.warnings[0]).toContain(`physical address 0x${physical(first).toString(16)}`);
      const expected = bytes.slice();
      for (const { offset, length } of wanted) expected.fill(0, offset, offset + length);
      expect(readFileSync(dest).equals(expected)).toBe(true);
      const verified = await verify(dest);
      expect(verified).toMatchObject({ ok: false, mismatches: [] });
      expect(verified.problems).toHaveLength(2);
      expect(JSON.parse(readFileSync(`${dest}.manifest.json`, "utf8")).unreadable).toEqual(wanted);
    },
  );

  it.each([
    ["mmap", 64 * MIB, false],
    ["mmap", 4096, false],
    ["mmap", 1 * MIB, true],
    ["read", 4 * MIB, false],
  ] as const)("cut off while it is copied by %s (%i): zeros, listed", async (method, mapSize, direct) => {
    const cut = path("cut");
    writeFileSync(cut, bytes);
    const end = 6 * MIB + PAGE;
    let done = false;
    const through = injected({
      // Once windows are open and digests made: the write meets what is missing.
      pwrite: (call, real) => {
        if (!done && call.args[3] !== undefined && call.args[3] > 4 * MIB) {
          done = true;
          truncateSync(cut, end);
        }
        return real(...call.args);
      },
    });
    const report = await copy({ source: cut, dest, method, mapSize, direct }, through);
    expect(report.unreadable.length).toBeGreaterThan(0);
    const dump = readFileSync(dest);
    expect(dump.length).toBe(size);
    const lost = bytes.slice();
    for (const { offset, length } of report.unreadable) lost.fill(0, offset, offset + length);
    expect(dump.equals(lost)).toBe(true);
    // What was written before the cut may be whole; nothing but that may be missing from the list.
    const last = report.unreadable.at(-1);
    expect(last && last.offset + last.length).toBe(size);
    expect(await verify(dest)).toMatchObject({ ok: false, mismatches: [] });
  });

  it("cut off while it is copied, sparse: its missing end is no hole", async () => {
    const cut = path("cut-sparse");
    writeFileSync(cut, bytes.subarray(0, 6 * MIB));
    truncateSync(cut, size);
    const rewritten = buildVmcore({
      loads: [{ offset: 0, length: 16 * MIB }],
      zeroPage: (page) => page > 1200,
    });
    writeFileSync(cut, rewritten.bytes.subarray(0, 6 * MIB));
    truncateSync(cut, rewritten.bytes.length);
    let done = false;
    const job = testJob(() => {
      if (!done) truncateSync(cut, 5 * MIB);
      done = true;
    });
    const report = await copy({ source: cut, dest }, libc, job);
    expect(report.unreadable).toEqual([
      expect.objectContaining({ offset: 5 * MIB, length: rewritten.bytes.length - 5 * MIB }),
    ]);
  });
});
