/** Going on with an incomplete dump: what is right is kept, what is not is copied again, what is another's is refused. */
import { beforeEach, describe, expect, it } from "bun:test";
import { existsSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { Interrupted } from "../../src/errors.ts";
import { chunkSizeFor } from "../../src/vmcore/window.ts";
import { copy, failure, flip, same, sha256, testJob, verify } from "../support/engines.ts";
import { injected, libc, temporaryFolder } from "../support/files.ts";
import { failAtOffset } from "../support/inject.ts";
import { PLAIN } from "../support/shapes.ts";
import { buildVmcore, PAGE } from "../support/vmcores.ts";

const path = temporaryFolder();
const source = path("source");
const MIB = 1 << 20;
const CHUNK = chunkSizeFor(0);
const { bytes } = buildVmcore({ ...PLAIN, tail: 777 });
writeFileSync(source, bytes);
const { size } = statSync(source);
const dest = path("dump");
const incomplete = `${dest}.incomplete`;
const partial = `${incomplete}.manifest.json`;

/** A copy that is stopped when so many bytes are done. */
async function stopped(at: number, options: Partial<Parameters<typeof copy>[0]> = {}) {
  const job = testJob((done) => {
    if (done >= at) throw new Interrupted("SIGTERM");
  });
  return await failure(copy({ source, dest, ...options }, libc, job));
}

beforeEach(() => {
  for (const name of [dest, incomplete, partial, `${dest}.manifest.json`]) rmSync(name, { force: true });
});

describe("copy --resume", () => {
  it.each([
    [4 * MIB, {}],
    [12 * MIB, { sparse: false }],
    [8 * MIB, { direct: true }],
    [8 * MIB, { method: "mmap" as const, mapSize: CHUNK, sha256: true }],
    [8 * MIB, { method: "mmap" as const, mapSize: 8192 }],
  ])("goes on behind %i bytes, %p", async (at, options) => {
    const error = await stopped(at, options);
    expect(error).toMatchObject({ code: "E_INTERRUPTED", exitCode: 143 });
    expect(error.message).toMatch(
      new RegExp(`^Stopped by SIGTERM: .* copied \\(\\d+ of ${size} bytes\\); what there is`),
    );
    const job = testJob();
    const report = await copy({ source, dest, ...options, resume: true }, libc, job);
    expect(job.told).toEqual([`${at} of ${size} bytes are there and right: going on behind them`]);
    expect(report.bytesRead).toBe(size - at);
    expect(same(source, dest)).toBe(true);
    expect((await verify(dest)).ok).toBe(true);
    const manifest = JSON.parse(readFileSync(`${dest}.manifest.json`, "utf8"));
    expect(manifest.sha256).toBe("sha256" in options ? sha256(source) : null);
    // The same as in one go, all but the time.
    const whole = await copy({ source, dest: path("whole"), ...options, force: true });
    expect(report.pages).toEqual(whole.pages);
    expect(readFileSync(path("whole.manifest.json"), "utf8")).toBe(
      readFileSync(`${dest}.manifest.json`, "utf8"),
    );
  });

  it.each([
    ["a byte of the first chunk", 100, 0],
    ["a byte of the second chunk", CHUNK + 5, CHUNK],
    ["the last byte there is", 3 * CHUNK - 1, 2 * CHUNK],
  ])("copies again from the chunk where %s is wrong", async (_what, offset, kept) => {
    await stopped(3 * CHUNK, { sparse: false });
    flip(incomplete, offset);
    const report = await copy({ source, dest, resume: true });
    expect(report.bytesRead).toBe(size - kept);
    expect(same(source, dest)).toBe(true);
  });

  it("copies again what is cut off, and what cannot be read back", async () => {
    await stopped(3 * CHUNK);
    truncateSync(incomplete, 2 * CHUNK - 5 * PAGE - 1);
    expect((await copy({ source, dest, resume: true })).bytesRead).toBe(size - CHUNK);
    expect(same(source, dest)).toBe(true);
    rmSync(dest);
    await stopped(3 * CHUNK);
    let reads = 0;
    const bad = failAtOffset(CHUNK + 10 * PAGE, "EIO");
    // The dump is read back first; the source, at the same offset, later.
    const through = injected({
      pread: (call, real) => (call.args[3] === CHUNK && ++reads === 1 ? bad(call, real) : real(...call.args)),
    });
    await copy({ source, dest, resume: true }, through);
    expect(same(source, dest)).toBe(true);
  });

  it("takes zeros at the end of a sparse dump for there, though its file is shorter", async () => {
    const zeros = path("zeros");
    writeFileSync(zeros, buildVmcore({ ...PLAIN, zeroPage: (page) => page > 20 }).bytes);
    await stopped(3 * CHUNK, { source: zeros });
    expect(statSync(incomplete).size).toBeLessThan(CHUNK);
    const report = await copy({ source: zeros, dest, resume: true });
    expect(report.bytesRead).toBe(statSync(zeros).size - 3 * CHUNK);
    expect(same(zeros, dest)).toBe(true);
  });

  it("keeps the list of what could not be read, as far as it is kept", async () => {
    const bad = CHUNK - PAGE;
    const through = injected({ pread: failAtOffset(bad, "EIO", 2 * PAGE) });
    const job = testJob((done) => {
      if (done >= 2 * CHUNK) throw new Interrupted("SIGINT");
    });
    expect((await failure(copy({ source, dest }, through, job))).exitCode).toBe(130);
    flip(incomplete, 2 * CHUNK - 1);
    // By now the source can be read: of the range, what lies in the kept chunk stays lost.
    const report = await copy({ source, dest, resume: true });
    expect(report.unreadable).toEqual([expect.objectContaining({ offset: bad, length: PAGE })]);
    expect((await verify(dest)).mismatches).toEqual([]);
  });

  it("refuses the incomplete dump of another crash, and leaves it", async () => {
    await stopped(2 * CHUNK);
    const other = path("other");
    const changed = bytes.slice();
    // A register in a note.
    changed[PAGE + 100] = (changed[PAGE + 100] as number) ^ 1;
    writeFileSync(other, changed);
    const before = readFileSync(incomplete);
    const error = await failure(copy({ source: other, dest, resume: true }));
    expect(error).toMatchObject({ code: "E_RESUME", exitCode: 2 });
    expect(error.message).toMatch(/it is of another crash \(kernel 6\.12\.0-test, \d+ bytes\)/);
    expect(readFileSync(incomplete).equals(before)).toBe(true);
  });

  it("refuses a damaged partial manifest, and says what to do", async () => {
    await stopped(2 * CHUNK);
    flip(partial, 300);
    const error = await failure(copy({ source, dest, resume: true }));
    expect(error.code).toBe("E_MANIFEST");
    expect(error.message).toMatch(/Cannot trust the manifest .*digest does not match.*--force/);
    expect(existsSync(incomplete)).toBe(true);
    await copy({ source, dest, force: true });
    expect(same(source, dest)).toBe(true);
  });

  it.each([
    ["nothing is there", () => {}, /there is no .*incomplete to go on with: starting at the beginning/],
    [
      "it has no manifest",
      () => writeFileSync(incomplete, bytes),
      /has no manifest.*starting at the beginning/,
    ],
    [
      "only a manifest is there",
      () => writeFileSync(partial, "{}"),
      /there is no .*starting at the beginning/,
    ],
  ])("begins at the beginning where %s", async (_what, prepare, message) => {
    prepare();
    const job = testJob();
    const report = await copy({ source, dest, resume: true }, libc, job);
    expect(job.told).toEqual([expect.stringMatching(message)]);
    expect(report.bytesRead).toBe(size);
    expect(same(source, dest)).toBe(true);
    expect((await verify(dest)).ok).toBe(true);
    expect(existsSync(partial)).toBe(false);
  });

  it("refuses a dump that is there before it reads anything", async () => {
    writeFileSync(dest, "precious");
    writeFileSync(incomplete, "half");
    const error = await failure(copy({ source, dest, resume: true }));
    expect(error.code).toBe("E_EXISTS");
    expect([readFileSync(dest, "utf8"), readFileSync(incomplete, "utf8")]).toEqual(["precious", "half"]);
  });

  it("is stopped while it checks: what is there stays", async () => {
    await stopped(3 * CHUNK);
    const before = readFileSync(incomplete);
    await stopped(CHUNK, { resume: true });
    expect(readFileSync(incomplete).equals(before)).toBe(true);
    expect((await copy({ source, dest, resume: true })).bytesRead).toBe(size - 3 * CHUNK);
  });

  it("forgets the partial manifest of an older copy", async () => {
    const other = path("other2");
    writeFileSync(other, buildVmcore({ ...PLAIN, seed: 9, loads: [{ offset: 0, length: 8 * MIB }] }).bytes);
    await stopped(CHUNK, { source: other });
    rmSync(incomplete);
    await stopped(CHUNK);
    await copy({ source, dest, resume: true });
    expect(same(source, dest)).toBe(true);
  });
});
