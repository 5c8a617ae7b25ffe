/** What copy and verify say, and where: the contract that programs around them rely on. */
import { beforeAll, beforeEach, describe, expect, it } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { flip } from "../support/engines.ts";
import { temporaryFolder } from "../support/files.ts";
import { vmcopy } from "../support/program.ts";
import { writeSampleFile } from "../support/sample.ts";

const path = temporaryFolder();
const source = path("source");
const dest = path("dump");
const COPY_FIELDS =
  "source dest format dumpLevel compression method mapSize bytesRead bytesWritten seconds bytesPerSecond peakRssBytes anonymousRssBytes manifest pages problems";
const PAGE_FIELDS = "total zero cache cachePrivate user free hwpoison offline kept";
const VERIFY_FIELDS = "dump source ok bytesCompared seconds bytesPerSecond mismatches problems";
/** All but the ends of lines. */
const CONTROL = /[\p{Cc}]/u;
const isPlain = (text: string) => !CONTROL.test(text.replaceAll("\n", ""));

beforeAll(() => {
  writeSampleFile(source, { size: 8 << 20 });
  writeFileSync(path("no-vmcore"), "x".repeat(5000));
});
beforeEach(() => {
  rmSync(dest, { force: true });
});

describe("--json", () => {
  it("has every field of a copy", async () => {
    const { code, out, err } = await vmcopy("copy", source, dest, "--json");
    expect([code, err]).toEqual([0, ""]);
    expect(out).toEndWith("}\n");
    const json = JSON.parse(out);
    expect(Object.keys(json)).toEqual(expect.arrayContaining(COPY_FIELDS.split(" ")));
    expect(Object.keys(json.pages)).toEqual(expect.arrayContaining(PAGE_FIELDS.split(" ")));
    expect(json).toMatchObject({
      source,
      dest,
      format: "raw",
      dumpLevel: 0,
      compression: "none",
      problems: [],
    });
    expect(json.manifest).toBe(`${dest}.manifest.json`);
    for (const field of [
      "mapSize",
      "bytesRead",
      "bytesWritten",
      "seconds",
      "bytesPerSecond",
      "peakRssBytes",
    ]) {
      expect(json[field]).toBeGreaterThan(0);
    }
  });

  it("has every field of a verification, of a good dump and of a bad one", async () => {
    await vmcopy("copy", source, dest);
    const good = await vmcopy("verify", dest, source, "--json");
    expect(good.code).toBe(0);
    expect(Object.keys(JSON.parse(good.out))).toEqual(expect.arrayContaining(VERIFY_FIELDS.split(" ")));
    flip(dest, 5_000_000);
    const bad = await vmcopy("verify", dest, "--json");
    expect(bad.code).toBe(1);
    const json = JSON.parse(bad.out);
    expect(json).toMatchObject({ ok: false, source: null });
    expect(Object.keys(json.mismatches[0]).sort()).toEqual(["length", "offset", "physicalAddress"]);
  });

  const FAILURES: [string, string[], number, string][] = [
    ["no path", ["copy"], 2, "E_USAGE"],
    ["an unknown option", ["copy", source, dest, "--frobnicate"], 2, "E_USAGE"],
    ["three paths", ["copy", source, dest, "third"], 2, "E_USAGE"],
    ["a size that is none", ["copy", source, dest, "--map-size", "4X"], 2, "E_USAGE"],
    ["a size that is no multiple of a page", ["copy", source, dest, "--map-size", "5000"], 2, "E_USAGE"],
    ["an empty dest", ["copy", source, ""], 2, "E_USAGE"],
    ["no such source", ["copy", path("none"), dest], 2, "E_IO"],
    ["no vmcore", ["copy", path("no-vmcore"), dest], 2, "E_NOT_VMCORE"],
    ["a directory as source", ["copy", path("."), dest], 2, "E_NOT_VMCORE"],
    ["the source as dest", ["copy", source, source], 2, "E_USAGE"],
    ["nothing to verify", ["verify", path("none")], 2, "E_IO"],
    ["nothing to verify by", ["verify", source], 2, "E_MANIFEST"],
  ];
  it.each(FAILURES)("is one object and one line for %s", async (_what, args, exitCode, errorCode) => {
    const { code, out, err } = await vmcopy(...args, "--json");
    expect(code).toBe(exitCode);
    const { error, ...rest } = JSON.parse(out);
    expect(rest).toEqual({});
    expect(error.code).toBe(errorCode);
    expect(Object.keys(error).sort()).toEqual(["code", "message"]);
    expect(err).toContain(error.message);
    expect(err).toMatch(/^vmcopy: [^\n]+\n$/);
    expect(isPlain(err)).toBe(true);
  });
});

describe("without a terminal", () => {
  it("nothing has control characters, the result is on standard output alone", async () => {
    const copied = await vmcopy("copy", source, dest);
    expect([copied.code, copied.err]).toEqual([0, ""]);
    expect(isPlain(copied.out)).toBe(true);
    const verified = await vmcopy("verify", dest);
    expect([verified.code, verified.err]).toEqual([0, ""]);
    expect(verified.out).toMatch(/^.*dump: whole and right\n {2}.* compared with .*manifest\.json in /);
  });

  it("names with control characters are shown without", async () => {
    const { code, err } = await vmcopy("copy", source, path("none/\x1b[2Jdump"));
    expect(code).toBe(2);
    expect(isPlain(err)).toBe(true);
  });

  it("-q says nothing at all when it goes well, and one line when not", async () => {
    for (const args of [
      ["copy", source, dest],
      ["verify", dest],
      ["verify", dest, source],
    ]) {
      expect(await vmcopy(...args, "-q")).toEqual({ code: 0, out: "", err: "" });
    }
    const again = await vmcopy("copy", source, dest, "-q");
    expect([again.code, again.out]).toEqual([2, ""]);
    expect(again.err).toMatch(
      /^vmcopy: copy: Cannot write .*: it is there already; replace it by --force\n$/,
    );
  });
});
