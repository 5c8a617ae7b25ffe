/** What a copy refuses, before it changes anything. */
import { beforeEach, describe, expect, it } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { copy, failure, same, testJob, verify } from "../support/engines.ts";
import { injected, libc, temporaryFolder } from "../support/files.ts";
import { PLAIN } from "../support/shapes.ts";
import { buildVmcore } from "../support/vmcores.ts";

const path = temporaryFolder();
const source = path("source");
writeFileSync(source, buildVmcore({ ...PLAIN, loads: [{ offset: 0, length: 6 << 20 }] }).bytes);
const dest = path("dump");
const incomplete = `${dest}.incomplete`;

beforeEach(() => {
  for (const name of [dest, incomplete, `${dest}.manifest.json`, `${incomplete}.manifest.json`]) {
    rmSync(name, { force: true });
  }
});

describe("copy refuses", () => {
  it("source and dest being one file, by another name too, with --force too", async () => {
    symlinkSync(source, path("link"));
    for (const other of [source, path("link")]) {
      const error = await failure(copy({ source, dest: other, force: true }));
      expect(error.code).toBe("E_USAGE");
      expect(error.message).toContain("same file");
    }
    expect(statSync(source).size).toBeGreaterThan(6 << 20);
  });

  it("a source that it would write its dump over: <dest>.incomplete itself", async () => {
    writeFileSync(incomplete, readFileSync(source));
    for (const options of [{ force: true }, { resume: true }]) {
      const error = await failure(copy({ source: incomplete, dest, ...options }));
      expect(error.code).toBe("E_USAGE");
    }
    expect(same(source, incomplete)).toBe(true);
  });

  it("a dump that is there, unless forced", async () => {
    writeFileSync(dest, "precious");
    const error = await failure(copy({ source, dest }));
    expect(error).toMatchObject({ code: "E_EXISTS", exitCode: 2 });
    expect(error.message).toContain("--force");
    expect(readFileSync(dest, "utf8")).toBe("precious");
    expect(existsSync(incomplete)).toBe(false);
    await copy({ source, dest, force: true });
    expect(same(source, dest)).toBe(true);
  });

  it("an incomplete dump that is there, unless forced; a new one has the right mode", async () => {
    writeFileSync(incomplete, "half");
    chmodSync(incomplete, 0o644);
    const error = await failure(copy({ source, dest }));
    expect(error.code).toBe("E_EXISTS");
    expect(error.message).toMatch(/--resume.*--force/);
    expect(readFileSync(incomplete, "utf8")).toBe("half");
    await copy({ source, dest, force: true });
    expect(same(source, dest)).toBe(true);
    expect(statSync(dest).mode & 0o777).toBe(0o600);
  });

  it.each([
    ["a directory", () => path("."), "E_USAGE", /it is a directory; name the file/],
    ["a name that is empty", () => "", "E_USAGE", /its name is empty/],
    [
      "a directory that is not there",
      () => path("none/dump"),
      "E_IO",
      /ENOENT.*no directory .*none: make it/,
    ],
    [
      "a file for a directory",
      () => path("source/dump"),
      "ENOTDIR",
      /Cannot stat .*source\/dump: not a directory/,
    ],
    [
      "a name too long for its file system",
      () => path("n".repeat(250)),
      "ENAMETOOLONG",
      /file name too long/,
    ],
  ])("%s", async (_what, name, code, message) => {
    const error = await failure(copy({ source, dest: name() }));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expect(error.message).not.toContain("\n");
  });

  it("a name whose manifest would be too long, at the start and not at the end", async () => {
    const name = path("n".repeat(235));
    const error = await failure(copy({ source, dest: name }));
    expect(error.message).toContain("ENAMETOOLONG");
    expect(existsSync(`${name}.incomplete`)).toBe(false);
  });

  it("what another vmcopy is writing, forced or resumed", async () => {
    const messages: string[] = [];
    const job = testJob();
    job.breathe = async () => {
      if (messages.length > 0) return;
      for (const options of [{}, { force: true }, { resume: true }]) {
        messages.push((await failure(copy({ source, dest, ...options }))).message);
      }
    };
    await copy({ source, dest }, libc, job);
    expect(messages).toEqual([
      expect.stringContaining("did not end"),
      expect.stringContaining("another vmcopy is writing it"),
      expect.stringContaining("another vmcopy is writing it"),
    ]);
    expect(same(source, dest)).toBe(true);
    expect((await verify(dest)).ok).toBe(true);
  });

  it("to replace a dump that came while it copied", async () => {
    const job = testJob(() => writeFileSync(dest, "came"));
    const error = await failure(copy({ source, dest }, libc, job));
    expect(error.code).toBe("E_EXISTS");
    expect(readFileSync(dest, "utf8")).toBe("came");
    expect(same(source, incomplete)).toBe(true);
  });
});

describe("copy --force", () => {
  it("keeps the old dump and its manifest until the new one is whole", async () => {
    await copy({ source, dest });
    const old = readFileSync(`${dest}.manifest.json`);
    const broken = injected({ fsync: (call) => call.fail("EIO") });
    await failure(copy({ source, dest, force: true }, broken));
    expect(same(source, dest)).toBe(true);
    expect(readFileSync(`${dest}.manifest.json`).equals(old)).toBe(true);
    expect((await verify(dest)).ok).toBe(true);
  });

  it("keeps the incomplete dump that is there where the new one cannot fit", async () => {
    writeFileSync(incomplete, "half of another");
    const full = injected({
      fstatfs: (call, real) => {
        const result = real(...call.args);
        // f_bfree and f_bavail
        full.structureView.setBigUint64(24, 1n, true);
        full.structureView.setBigUint64(32, 1n, true);
        return result;
      },
    });
    const error = await failure(copy({ source, dest, force: true, sparse: false }, full));
    expect(error).toMatchObject({ code: "E_NO_SPACE", exitCode: 2 });
    expect(error.message).toMatch(/needs about 6.*MiB.*\(\d+ bytes\) are free/);
    expect(readFileSync(incomplete, "utf8")).toBe("half of another");
  });

  it("removes a link that stands for the incomplete dump, not what it leads to", async () => {
    mkdirSync(path("elsewhere"), { recursive: true });
    writeFileSync(path("elsewhere/victim"), "innocent");
    symlinkSync(path("elsewhere/victim"), incomplete);
    await copy({ source, dest, force: true });
    expect(readFileSync(path("elsewhere/victim"), "utf8")).toBe("innocent");
    expect(same(source, dest)).toBe(true);
  });
});
