/** A copy whose system calls fail: the right code, one line that says what and what to do, and what is safe stays. */
import { describe, expect, it } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { decodeManifest } from "../../src/dump/manifest.ts";
import { copyPlace, hits } from "../support/copy-place.ts";
import { copy, failure, same, testJob, verify } from "../support/engines.ts";
import { injected, libc } from "../support/files.ts";
import { failAfterBytes, failAtOffset, failNth, type Rules } from "../support/inject.ts";

const { path, source, dataAt, size, dest, incomplete, partial } = copyPlace();
const MIB = 1 << 20;

describe("a copy that cannot go on", () => {
  const cases: [string, () => Rules, string, RegExp][] = [
    [
      "a full disk at 5 MiB",
      () => ({ pwrite: failAfterBytes(5 * MIB, "ENOSPC") }),
      "E_NO_SPACE",
      /ENOSPC.*free up to/,
    ],
    [
      "a quota used up",
      () => ({ pwrite: failAfterBytes(5 * MIB, "EDQUOT") }),
      "E_NO_SPACE",
      /EDQUOT.*free up to/,
    ],
    [
      "a write error at 9 MiB",
      () => ({ pwrite: failAtOffset(9 * MIB, "EIO") }),
      "E_IO",
      /Cannot write .*EIO/,
    ],
    ["a file too large", () => ({ pwrite: failAtOffset(9 * MIB, "EFBIG") }), "E_IO", /EFBIG/],
    ["an error of the last sync", () => ({ fsync: hits("EIO", 2) }), "E_IO", /Cannot sync .*EIO/],
    [
      "a full disk at the last sync",
      () => ({ fsync: hits("ENOSPC", 2) }),
      "E_NO_SPACE",
      /Cannot sync .*ENOSPC/,
    ],
    ["an error of writeback", () => ({ sync_file_range: hits("EIO") }), "E_IO", /Cannot write through .*EIO/],
    ["a file that cannot be cut", () => ({ ftruncate: hits("EIO", 2) }), "E_IO", /Cannot resize .*EIO/],
    ["no rename of the dump", () => ({ rename: failNth(3, "EACCES") }), "E_IO", /Cannot rename .*EACCES/],
    [
      "a source that may not be read",
      () => ({ pread: failAtOffset(dataAt + 9 * MIB, "EPERM") }),
      "E_IO",
      /Cannot read .*source.*EPERM/,
    ],
  ];

  it.each(cases)("%s", async (_what, rules, code, message) => {
    const made = rules();
    // On a file system in memory nothing is written through.
    if ("sync_file_range" in made && libc.backend.runtime === "bun" && inMemory()) return;
    const error = await failure(copy({ source, dest }, injected(made)));
    expect(error).toMatchObject({ code, exitCode: 2 });
    expect(error.message).toMatch(message);
    expect(error.message).toMatch(/ of 16\.\d MiB copied \(\d+ of \d+ bytes\)/);
    expect(error.message).toContain(`what there is lies in ${incomplete}: go on with it by --resume`);
    expect(error.message).not.toContain("\n");
    expect(existsSync(dest)).toBe(false);
    expect(existsSync(`${partial}.new`)).toBe(false);
    expect(decodeManifest(readFileSync(partial), partial).complete).toBe(false);
    expect(await verify(incomplete)).toMatchObject({ ok: false });
    // The cause is mended: it goes on, and ends well.
    const report = await copy({ source, dest, resume: true });
    expect(same(source, dest)).toBe(true);
    expect(report.bytesRead).toBeLessThanOrEqual(size);
    expect((await verify(dest)).ok).toBe(true);
  });

  it("a disk so full that there is no room for the partial manifest either: an older one serves", async () => {
    let full = false;
    const rules: Rules = {
      pwrite: (call, real) => {
        full ||= (call.args[3] ?? 0) >= 8 * MIB;
        return full ? call.fail("ENOSPC") : real(...call.args);
      },
    };
    const error = await failure(copy({ source, dest }, injected(rules)));
    expect(error.code).toBe("E_NO_SPACE");
    expect(error.message).toContain("--resume");
    expect(existsSync(`${partial}.new`)).toBe(false);
    await copy({ source, dest, resume: true });
    expect(same(source, dest)).toBe(true);
  });

  it("says when what is left cannot be resumed", async () => {
    const rules = { pwrite: failAfterBytes(5 * MIB, "EIO") };
    const error = await failure(copy({ source, dest, manifest: false }, injected(rules)));
    expect(error.message).toContain("without a manifest: --resume begins anew");
    expect(existsSync(partial)).toBe(false);
  });

  it("an error of the dump's last rename but one: --resume puts the manifest in its place", async () => {
    // The renames: a first partial manifest, the whole one, the dump, its manifest.
    const error = await failure(copy({ source, dest }, injected({ rename: hits("EIO", 4) })));
    expect(error.message).toMatch(/Cannot rename .*EIO.*the dump is whole.*finish it by --resume/);
    expect(same(source, dest)).toBe(true);
    await copy({ source, dest, resume: true });
    expect((await verify(dest)).ok).toBe(true);
    expect(existsSync(partial)).toBe(false);
  });

  it("the dump gets through where only partial manifests cannot be written", async () => {
    let opened = 0;
    const rules: Rules = { sync_file_range: (call, real) => real(...call.args) };
    const through = injected({
      ...rules,
      rename: (call, real) => (++opened === 2 ? call.fail("EIO") : real(...call.args)),
    });
    const job = testJob();
    const { now } = performance;
    let clock = 0;
    // Time runs, so that a partial manifest is due after each window.
    performance.now = () => (clock += 3000);
    try {
      await copy({ source, dest }, through, job);
    } finally {
      performance.now = now;
    }
    expect(job.warnings.join()).toContain("--resume repeats more");
    expect(same(source, dest)).toBe(true);
    expect((await verify(dest)).ok).toBe(true);
  });

  it("an error of close says nothing: everything is synced", async () => {
    await copy(
      { source, dest },
      injected({
        close: (call, real) =>
          call.nth > 8 && real(...call.args) === 0 ? call.fail("EIO") : real(...call.args),
      }),
    );
    expect((await verify(dest)).ok).toBe(true);
  });

  it("no room, said with both figures before the first byte", async () => {
    let written = 0;
    const through = injected({
      fstatfs: (call, real) => {
        const result = real(...call.args);
        through.structureView.setBigUint64(24, 100n, true);
        through.structureView.setBigUint64(32, 100n, true);
        return result;
      },
      pwrite: (call, real) => {
        written++;
        return real(...call.args);
      },
    });
    for (const sparse of [true, false]) {
      const error = await failure(copy({ source, dest, sparse }, through));
      expect(error).toMatchObject({ code: "E_NO_SPACE", exitCode: 2 });
      expect(error.message).toMatch(
        /needs about 1\d.* MiB .*400 KiB \(409600 bytes\) are free; free 1\d.*MiB/,
      );
      expect([written, existsSync(incomplete), existsSync(partial)]).toEqual([0, false, false]);
    }
  });

  it("no room to reserve, for a dense dump", async () => {
    const error = await failure(
      copy({ source, dest, sparse: false }, injected({ fallocate: hits("ENOSPC") })),
    );
    expect(error.code).toBe("E_NO_SPACE");
    expect(error.message).toMatch(/needs 16\.\d MiB more, .* are free/);
    expect(existsSync(incomplete)).toBe(false);
  });
});

function inMemory(): boolean {
  return (
    Bun.spawnSync(["stat", "-fc", "%T", path(".")])
      .stdout.toString()
      .trim() === "tmpfs"
  );
}
