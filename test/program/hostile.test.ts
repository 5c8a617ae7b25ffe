/** Hostile and impossible sources through the whole copy, and through the real program: exit code 2 or 0, one line. */
import { afterAll, describe, expect, it } from "bun:test";
import { mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { copyRaw } from "../../src/copy/raw.ts";
import { VmcopyError } from "../../src/errors.ts";
import type { Job } from "../../src/job.ts";
import { libc, temporaryFolder } from "../support/files.ts";
import { mutate } from "../support/mutate.ts";
import { property, Random } from "../support/random.ts";
import { run } from "../support/runtimes.ts";
import { buildVmcore, PAGE } from "../support/vmcores.ts";

const path = temporaryFolder();
const base = buildVmcore({
  loads: [
    { offset: 0, length: 3 * PAGE },
    { offset: 3 * PAGE + 0x400, length: 40 * PAGE },
  ],
  zeroPage: (page) => page % 9 < 5,
});
const regions = [
  { offset: 0, length: 64 },
  { offset: 0, length: base.headersSize },
  { offset: base.notesAt, length: base.notesSize },
];
const silent: Job = { start() {}, update() {}, end() {}, inform() {}, warn() {}, breathe: async () => {} };

describe("the whole copy", () => {
  it("of 400 mutated vmcores: byte-identical or refused, and nothing left of what was refused", async () => {
    const [source, dest] = [path("mutated"), path("copied")];
    await property(400, async (random) => {
      const { bytes, what } = mutate(random, base.bytes, regions);
      writeFileSync(source, bytes);
      try {
        await copyRaw(libc, silent, {
          source,
          dest,
          method: random.pick(["mmap", "read", undefined]),
          mapSize: undefined,
          sparse: random.chance(0.7),
          direct: false,
          force: true,
          resume: false,
          manifest: random.chance(0.5),
          sha256: false,
        });
      } catch (error) {
        if (!(error instanceof VmcopyError)) throw new Error(`${what}: ${(error as Error).stack}`);
        expect(error.code).toBe("E_NOT_VMCORE");
        expect(libc.status(dest)).toBeUndefined();
        expect(libc.status(`${dest}.incomplete`)).toBeUndefined();
        return;
      }
      expect(Buffer.compare(readFileSync(dest), bytes)).toBe(0);
      for (const name of [dest, `${dest}.manifest.json`]) rmSync(name, { force: true });
    });
  });
});

/** Runs a command on a source: code 0 or 2, one line and one object at most. */
async function judged(args: string[]) {
  const { exitCode, stdout, stderr } = await run("bun", [...args, "--json"], 15);
  expect(stdout.trimEnd().split("\n")).toHaveLength(1);
  const json = JSON.parse(stdout);
  expect([0, 2]).toContain(exitCode as number);
  if (exitCode === 2) {
    expect(stderr).toMatch(/^vmcopy: [^\n]+\n$/);
    expect(Object.keys(json)).toEqual(["error"]);
    expect(json.error.code).not.toBe("E_INTERNAL");
  }
  return { exitCode, json, stderr };
}

describe("the program", () => {
  it.concurrent.each(Array.from({ length: 24 }, (_, i) => i))("on mutated vmcore %d", async (seed) => {
    const { bytes } = mutate(new Random(1000 + seed), base.bytes, regions);
    const [source, dest] = [path(`program-${seed}`), path(`program-${seed}.copy`)];
    writeFileSync(source, bytes);
    const { exitCode, json } = await judged(["copy", source, dest]);
    if (exitCode === 0) expect(Buffer.compare(readFileSync(dest), bytes)).toBe(0);
    else expect(json.error.code).toBe("E_NOT_VMCORE");
    const info = await judged(["info", source]);
    if (info.exitCode === 2) expect(info.json.error.code).toBe("E_NOT_VMCORE");
  });

  const cut = (length: number): string => {
    const name = path(`cut-${length}`);
    writeFileSync(name, base.bytes);
    truncateSync(name, length);
    return name;
  };
  const made = (name: string, make: (file: string) => void): string => {
    make(path(name));
    return path(name);
  };
  const sources: [string, string, string, RegExp][] = [
    ["an empty file", made("empty", (file) => writeFileSync(file, "")), "E_NOT_VMCORE", /it is empty/],
    [
      "a directory",
      made("folder", (file) => mkdirSync(file)),
      "E_NOT_VMCORE",
      /neither a file nor a block device/,
    ],
    ["a missing file", path("missing"), "E_IO", /no such file or directory \(ENOENT\)/],
    ["/dev/zero", "/dev/zero", "E_NOT_VMCORE", /neither a file nor a block device/],
    ["/dev/null", "/dev/null", "E_NOT_VMCORE", /neither a file nor a block device/],
    [
      "a FIFO that nobody writes to",
      made("fifo", (file) => Bun.spawnSync(["mkfifo", file])),
      "E_NOT_VMCORE",
      /neither a file nor a block device/,
    ],
    [
      "a text",
      made("text", (file) => writeFileSync(file, "text\n".repeat(1000))),
      "E_NOT_VMCORE",
      /no ELF header/,
    ],
    ["a program", process.execPath, "E_NOT_VMCORE", /e_type is [23], not 4/],
    ["a file of /proc", "/proc/self/status", "E_NOT_VMCORE", /it is empty/],
    ["one byte", cut(1), "E_NOT_VMCORE", /no ELF header/],
    ["half a header", cut(40), "E_NOT_VMCORE", /cut off/],
    ["no program headers", cut(64), "E_NOT_VMCORE", /e_phoff 64 .*cut off/],
    ["one byte too few", cut(base.bytes.length - 1), "E_NOT_VMCORE", /p_filesz .*cut off/],
  ];
  const verbs: [string, (source: string, dest: string) => string[]][] = [
    ["copy", (source, dest) => ["copy", source, dest]],
    ["info", (source) => ["info", source]],
    ["verify against it", (source) => ["verify", path("good"), source]],
    ["bench", (source) => ["bench", source]],
    ["probe", (source) => ["probe", source]],
  ];
  writeFileSync(path("good"), base.bytes);

  describe.each(verbs)("%s", (verb, args) => {
    it.concurrent.each(sources)("%s", async (what, source, code, words) => {
      const dest = path(`dest of ${what.replace("/", "")} by ${verb}`);
      const { exitCode, json } = await judged(args(source, dest));
      expect(exitCode).toBe(2);
      expect(json.error.code).toBe(code);
      expect(json.error.message).toMatch(words);
      expect(json.error.message).toContain(source);
    });
  });

  afterAll(() => {
    expect([...new Bun.Glob("dest of*").scanSync(path("."))]).toEqual([]);
  });
});
