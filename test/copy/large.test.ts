/**
 * A vmcore of 1 TiB, nearly all of it zeros: copied and proved in seconds, in memory that does not grow with it.
 *
 * The bound of 24 MiB is for the static binary, and measured on it. Here plain Bun runs the sources, whose compiler
 * and heap take some MiB more: the tests ask for 64 MiB, and for no growth.
 */
import { beforeAll, describe, expect, it } from "bun:test";
import { rmSync, statSync } from "node:fs";
import { temporaryFolder } from "../support/files.ts";
import { vmcopy } from "../support/program.ts";
import { writeSampleFile } from "../support/sample.ts";

const path = temporaryFolder();
const MIB = 1 << 20;
const GIB = 2 ** 30;
const BOUND = 64 * MIB;

async function copied(name: string, ...options: string[]) {
  const { code, out } = await vmcopy("copy", path(name), path("dump"), "--json", "--force", ...options);
  expect(code).toBe(0);
  return JSON.parse(out) as {
    anonymousRssBytes: number;
    bytesRead: number;
    seconds: number;
    bytesWritten: number;
  };
}

describe("a vmcore of 1 TiB", () => {
  it("is made, copied and proved in seconds", async () => {
    const made = await vmcopy("sample", path("tera"), "--ram", "1T", "--size", "16M", "--json");
    expect(made.code).toBe(0);
    expect(JSON.parse(made.out).seconds).toBeLessThan(10);
    const { size } = statSync(path("tera"));
    expect(size).toBeGreaterThan(1024 * GIB);
    const report = await copied("tera");
    expect(report.bytesRead).toBe(size);
    expect(report.bytesWritten).toBeLessThan(32 * MIB);
    expect(report.seconds).toBeLessThan(10);
    expect(report.anonymousRssBytes).toBeWithin(1, BOUND);
    const { blocks } = statSync(path("dump"));
    expect(blocks * 512).toBeLessThan(32 * MIB);
    const byManifest = await vmcopy("verify", path("dump"), "--json");
    expect(JSON.parse(byManifest.out)).toMatchObject({ ok: true, bytesCompared: size });
    const bySource = await vmcopy("verify", path("dump"), path("tera"), "--json");
    expect(JSON.parse(bySource.out)).toMatchObject({ ok: true, bytesCompared: size });
  });

  it("is resumed as fast", async () => {
    rmSync(path("dump"));
    const report = await copied("tera", "--resume");
    expect(report.seconds).toBeLessThan(10);
    expect(report.anonymousRssBytes).toBeWithin(1, BOUND);
  });
});

describe("memory", () => {
  beforeAll(() => {
    writeSampleFile(path("small"), { size: 300 * MIB });
    writeSampleFile(path("large"), { size: 300 * MIB, ram: 64 * GIB });
  }, 60_000);

  it.each([[["--map-size", "4M"]], [["--read"]], [["--direct"]]])(
    "is the same for 300 MiB and 64 GiB: %p",
    async (options) => {
      const small = await copied("small", ...options);
      const large = await copied("large", ...options);
      expect(small.anonymousRssBytes).toBeWithin(1, BOUND);
      expect(large.anonymousRssBytes).toBeWithin(1, BOUND);
      expect(large.anonymousRssBytes - small.anonymousRssBytes).toBeLessThan(12 * MIB);
    },
  );
});
