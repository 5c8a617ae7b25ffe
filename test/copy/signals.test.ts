/** SIGINT and SIGTERM in the middle of a copy: the exit code of the signal, what is there kept, and --resume ends it. */
import { beforeAll, describe, expect, it } from "bun:test";
import { existsSync, readFileSync, rmSync, statSync } from "node:fs";
import { decodeManifest } from "../../src/dump/manifest.ts";
import { verify } from "../support/engines.ts";
import { temporaryFolder } from "../support/files.ts";
import { commandLine, ended, until, vmcopy } from "../support/program.ts";
import { writeSampleFile } from "../support/sample.ts";

const path = temporaryFolder();
const source = path("source");
const dest = path("dump");
const incomplete = `${dest}.incomplete`;
const MIB = 1 << 20;

/** Data, then so large a hole that a dense copy of it never ends while a test looks on. */
beforeAll(() => {
  writeSampleFile(source, { size: 16 * MIB, ram: 1 << 30 });
});

/** A dense copy, signalled when so many bytes are written. */
async function signalled(signal: "SIGINT" | "SIGTERM", at: number, ...options: string[]) {
  for (const name of [incomplete, `${incomplete}.manifest.json`, dest, `${dest}.manifest.json`])
    rmSync(name, { force: true });
  const child = Bun.spawn(commandLine("copy", source, dest, "--no-sparse", ...options), {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  // The file is reserved whole: what is written shows in the process's own account.
  const written = () =>
    Number(/^wchar: (\d+)/m.exec(readFileSync(`/proc/${child.pid}/io`, "utf8"))?.[1] ?? 0);
  await until(`${at} bytes written`, () => child.exitCode !== null || written() >= at);
  child.kill(signal);
  return await ended(child);
}

describe("a copy that is stopped", () => {
  it.each([
    ["SIGINT", 130, 20 * MIB],
    ["SIGTERM", 143, 100 * MIB],
  ] as const)("by %s: exit code %i, after %i bytes", async (signal, exitCode, at) => {
    const { code, out, err } = await signalled(signal, at);
    expect([code, out]).toEqual([exitCode, ""]);
    const last = err.trimEnd().split("\n").at(-1);
    expect(last).toMatch(
      new RegExp(
        `^vmcopy: copy: Stopped by ${signal}: .* of .*iB copied \\(\\d+ of ${statSync(source).size} bytes\\); what there is lies in .*: go on with it by --resume$`,
      ),
    );
    expect(existsSync(dest)).toBe(false);
    const partial = decodeManifest(readFileSync(`${incomplete}.manifest.json`), "partial");
    expect(partial.complete).toBe(false);
    expect(Number(/\((\d+) of/.exec(last ?? "")?.[1])).toBe(partial.digests.length * partial.chunkSize);
    expect(partial.digests.length * partial.chunkSize).toBeGreaterThanOrEqual(at - 16 * MIB);
    // What is left goes fast where zeros become holes.
    const resumed = await vmcopy("copy", source, dest, "--resume", "--json");
    expect(resumed.code).toBe(0);
    expect(JSON.parse(resumed.out).bytesRead).toBe(
      statSync(source).size - partial.digests.length * partial.chunkSize,
    );
    expect((await verify(dest)).ok).toBe(true);
    expect((await verify(dest, { source })).ok).toBe(true);
  });

  it("gives one JSON object", async () => {
    const { code, out } = await signalled("SIGTERM", 20 * MIB, "--json", "-q");
    expect(code).toBe(143);
    expect(JSON.parse(out).error).toMatchObject({
      code: "E_INTERRUPTED",
      message: expect.stringMatching(/^Stopped by SIGTERM/),
    });
  });
});

describe("verify that is stopped", () => {
  it("has the exit code of the signal, and the dump stays as it was", async () => {
    expect((await vmcopy("copy", source, dest, "--no-sparse", "--force", "-q")).code).toBe(0);
    const child = Bun.spawn(commandLine("verify", dest), { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    const read = () => Number(/^rchar: (\d+)/m.exec(readFileSync(`/proc/${child.pid}/io`, "utf8"))?.[1] ?? 0);
    await until("64 MiB read", () => child.exitCode !== null || read() >= 64 * MIB);
    child.kill("SIGINT");
    const { code, out, err } = await ended(child);
    expect([code, out]).toEqual([130, ""]);
    expect(err).toMatch(/^vmcopy: verify: Stopped by SIGINT\n$/);
    expect((await verify(dest)).ok).toBe(true);
  });
});
