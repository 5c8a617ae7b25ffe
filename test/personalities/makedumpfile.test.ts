/** Called as makedumpfile, on a sample, beside makedumpfile itself: the same counts, files, lines and exit codes. */
import { afterEach, beforeAll, describe, expect, it } from "bun:test";
import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT, temporaryFolder } from "../support/files.ts";
import { called, type Ended, possible, programNamed, shell, vmcopy } from "../support/program.ts";
import { writeSampleFile } from "../support/sample.ts";

const path = temporaryFolder();
const source = path("vmcore");
/** The same pages, without PT_LOADs: makedumpfile counts those that two of them have twice, and leaves parts of pages out. */
const whole = path("whole");
const dest = path("dump");
const log = path("log");
const SAVED = (name: string) => `\nThe dumpfile is saved to ${name}.\n\nmakedumpfile Completed.\n`;
const FAILED = "\nmakedumpfile Failed.\n";

const ours = (...args: string[]) => called("makedumpfile", ...args);
const theirs = (...args: string[]) => shell(`makedumpfile ${args.map((arg) => `'${arg}'`).join(" ")}`);
/** What is theirs alone: that they do not know the kernel's version. */
const told = ({ out }: Ended) =>
  out.replace(/^(The kernel version is not supported|The makedumpfile operation).*\n/gm, "");
const same = (a: string, b: string) => Buffer.compare(readFileSync(a), readFileSync(b)) === 0;
const program = programNamed(path("bin"), "makedumpfile");
const dmesgProgram = programNamed(path("bin"), "vmcore-dmesg");

beforeAll(async () => {
  writeSampleFile(source, { size: 32 << 20, seed: 5 });
  expect((await vmcopy("copy", "-q", "--no-manifest", "-d", "0", "-c", "none", source, whole)).code).toBe(0);
});

afterEach(async () => {
  await shell(`rm -rf ${dest}* ${log}*`);
});

describe("a dump", () => {
  it.each(["-c", "-l", "-p", "-z", "-E", ""])(
    "%s: is whole, its owner's alone, and has no manifest",
    async (codec) => {
      const args = codec === "" ? [] : [codec];
      const { code, out, err } = await ours(...args, "--message-level", "7", "-d", "31", source, dest);
      expect([code, out]).toEqual([0, SAVED(dest)]);
      expect(err).toMatch(/\rExcluding unnecessary pages {23}: \[100\.0 %\]/);
      expect(err).toMatch(/\rCopying data {38}: \[100\.0 %\] . +eta: 0s\n$/);
      expect(statSync(dest).mode & 0o777).toBe(0o600);
      expect([`${dest}.incomplete`, `${dest}.manifest.json`].filter(existsSync)).toEqual([]);
      expect((await vmcopy("verify", dest, source)).code).toBe(0);
      if (codec === "-p" || codec === "-z") return; // Debian's is built without
      expect((await theirs("--dump-dmesg", dest, log)).code).toBe(0);
      expect(readFileSync(log, "utf8")).toContain("Kernel panic");
    },
  );

  it("zstd pages carry their checksum", async () => {
    await ours("-z", "-d", "31", source, dest);
    const bytes = readFileSync(dest);
    const at = bytes.indexOf(Buffer.from([0x28, 0xb5, 0x2f, 0xfd]), bytes.length / 2);
    expect(at).toBeGreaterThan(0);
    expect((bytes[at + 4] as number) & 4).toBe(4);
  });

  it.each([0, 1, 2, 4, 8, 16, 31])("level %d: the report is theirs, line by line", async (level) => {
    const args = ["-f", "--message-level", "16", "-d", String(level), whole, dest];
    const lines = ({ out }: Ended) =>
      out.split("\n").filter((line) => !/^(STEP|Write bytes|Cache hit)|^$/.test(line));
    const right = lines(await theirs(...args));
    expect(right).toHaveLength(14);
    expect(lines(await ours(...args))).toEqual(right);
    const { out } = await ours(...args);
    expect(out).toMatch(/^STEP \[Copying data {15}\] : \d+\.\d{6} seconds$/m);
    expect(out).toContain(`Write bytes     : ${statSync(dest).size}\n`);
  });

  it("--dry-run --show-stats counts as the dump does, and writes nothing", async () => {
    const counts = ({ out }: Ended) =>
      out.split("\n").filter((line) => /pages/.test(line) && !/^STEP/.test(line));
    const dry = await ours("--dry-run", "--show-stats", "-l", "-d", "31", source, dest);
    expect([dry.code, existsSync(dest)]).toEqual([0, false]);
    expect(counts(dry).length).toBeGreaterThan(9);
    expect(counts(await ours("--show-stats", "-l", "-d", "31", source, dest))).toEqual(counts(dry));
  });

  it("--num-threads N and every way to read and to budget give the same bytes", async () => {
    await ours("-l", "-d", "31", source, dest);
    for (const args of [
      ["--num-threads", "4"],
      ["--num-threads=2"],
      ["--non-mmap"],
      ["--cyclic-buffer", "64"],
    ]) {
      const { code } = await ours(...args, "-l", "-d", "31", source, `${dest}.2`, "-f");
      expect([args, code, same(dest, `${dest}.2`)]).toEqual([args, 0, true]);
    }
  });

  it("--message-level chooses what is said, -F where", async () => {
    const said = async (level: number, ...args: string[]) => {
      const { out, err } = await ours("--message-level", String(level), ...args);
      return { out, err };
    };
    const quiet = { out: "", err: "" };
    expect(await said(0, "-f", source, dest)).toEqual(quiet);
    expect(await said(4, "-f", source, dest)).toEqual(quiet);
    expect(await said(0, source, dest)).toEqual(quiet);
    expect(await said(2, source, dest)).toEqual({ out: FAILED, err: "" });
    expect((await said(4, source, dest)).err).toMatch(
      /^makedumpfile: Cannot write .*it is there already.*-f\n$/,
    );
    expect((await said(1, "-f", source, dest)).err).toContain("Copying data");
    expect((await said(8, "-f", source, dest)).out).toContain("  CRASHTIME=1700000000\n");
    const { code, err } = await shell(`${program} -F -d 31 --message-level 2 ${source} > ${dest}.flat`);
    expect([code, err]).toEqual([0, SAVED("STDOUT")]);
  });
});

describe("what fails", () => {
  it.each<[string, string[], number]>([
    ["a source that is missing", ["-l", path("none"), dest], 1],
    ["a source that is no vmcore", ["-l", import.meta.path, dest], 1],
    ["a destination that is there", ["-l", source, whole], 1],
    ["a destination in no directory", ["-l", source, path("none/dump")], 1],
    ["the same for the log", ["--dump-dmesg", source, whole], 1],
    ["a log of no vmcore", ["--dump-dmesg", import.meta.path, log], 1],
    ["a wrong level", ["-d", "32", source, dest], 1],
    ["an option that is none", ["--foo", source, dest], 1],
    ["a VMLINUX that is missing", ["-x", path("none"), "-l", source, dest], 1],
    ["a VMCOREINFO that is missing", ["-i", path("none"), "-l", source, dest], 1],
  ])("%s: as there", async (_, args, code) => {
    const [mine, right] = [await ours(...args), await theirs(...args)];
    expect([mine.code, right.code]).toEqual([code, code]);
    expect(told(mine)).toBe(told(right));
    // What fails late has shown its progress by then.
    const lines = mine.err.split("\n").filter((line) => line !== "" && !line.startsWith("\r"));
    expect(lines.length).toBeLessThan(2);
    expect([dest, `${dest}.incomplete`].filter(existsSync)).toEqual([]);
  });

  it("VMCOREINFO of another kernel: exit code 2", async () => {
    const info = (await vmcopy("info", "--vmcoreinfo", source)).out;
    writeFileSync(path("info"), info);
    expect((await ours("-i", path("info"), "-l", source, dest)).code).toBe(0);
    writeFileSync(path("info"), info.replace(/^OSRELEASE=.*/m, "OSRELEASE=5.0"));
    const { code, err } = await ours("-i", path("info"), "-l", "-f", source, dest);
    expect([code, err.trimEnd().split("\n").length]).toEqual([2, 1]);
  });

  it("an incomplete dump of an earlier run is in nobody's way, a whole one is", async () => {
    writeFileSync(`${dest}.incomplete`, "old");
    expect((await ours("-l", source, dest)).code).toBe(0);
    expect(existsSync(`${dest}.incomplete`)).toBe(false);
    const right = readFileSync(dest);
    expect((await ours("-l", "-d", "31", source, dest)).code).toBe(1);
    expect(Buffer.compare(readFileSync(dest), right)).toBe(0);
    expect((await ours("-f", "-l", "-d", "31", source, dest)).code).toBe(0);
    expect(statSync(dest).size).toBeLessThan(right.length);
  });
});

const tmpfs = possible("unshare -rm mount -t tmpfs none /mnt") ? describe : describe.skip;
tmpfs("a disk that is too small (needs a user namespace)", () => {
  const full = path("full");
  const onDisk = (size: string, script: string) => {
    mkdirSync(full, { recursive: true });
    return shell(`unshare -rm bash -c '
      mount -t tmpfs -o size=${size} none ${full} && cd ${full}
      ${script}'`);
  };

  it("the next level is taken, by the estimate", async () => {
    const { code, out } = await onDisk(
      "8m",
      `${program} -l -d 1,31 ${source} dump; code=$?; cp dump ${dest}; ls; exit $code`,
    );
    expect(code).toBe(0);
    expect(out).toMatch(
      /may not fit.*\nRetry to create a dumpfile by dump_level\(31\)\.\n\nThe dumpfile is saved/,
    );
    expect(out.trimEnd().split("\n").at(-1)).toBe("dump");
    expect((await vmcopy("verify", dest, source)).code).toBe(0);
    const { dumpLevel } = JSON.parse((await vmcopy("info", "--json", "--no-pages", dest)).out);
    expect(dumpLevel).toBe(31);
  });

  it("without another one: exit code 1 as there, and what there is is marked", async () => {
    const { code, err, out } = await onDisk(
      "2m",
      `${program} -l -d 1 ${source} dump; code=$?; cp dump.incomplete ${dest}; rm dump.incomplete
       makedumpfile -l -d 1 ${source} theirs >/dev/null 2>&1; [ $? = $code ] || exit 99; exit $code`,
    );
    expect([code, out]).toEqual([1, FAILED]);
    expect(err).toMatch(/^makedumpfile: Cannot write .*no space left on device.*marked incomplete/m);
    expect((await vmcopy("verify", dest)).out).toContain("it is incomplete");
  });

  it("a log that does not fit is no success, for vmcore-dmesg either", async () => {
    const { code } = await onDisk(
      "4k",
      `echo > other; ${program} --dump-dmesg ${source} log >&2 && exit 98
       ${dmesgProgram} ${source} > log2 && exit 97; exit 7`,
    );
    expect(code).toBe(7);
  });
});

describe("-L", () => {
  it("ends at so many bytes, as incomplete, or goes on with the next level", async () => {
    const size = String(1 << 20);
    const { code } = await ours("-L", size, "-l", "-d", "31", source, dest);
    expect([code, existsSync(dest), statSync(`${dest}.incomplete`).size]).toEqual([1, false, 1 << 20]);
    expect((await vmcopy("verify", `${dest}.incomplete`)).out).toContain("it is incomplete");
    const again = await ours("-l", `${dest}.incomplete`, `${dest}.again`);
    expect([again.code, again.out]).toEqual([
      1,
      expect.stringContaining("It is incomplete.\n\nmakedumpfile Failed."),
    ]);
    await ours("-f", "-l", "-d", "31", source, dest);
    const enough = String(statSync(dest).size + 4096);
    const { out } = await ours("-f", "-L", enough, "-l", "-d", "0,31", source, dest);
    expect(out).toMatch(/Retry to create a dumpfile by dump_level\(31\)/);
    expect(out).toEndWith(SAVED(dest));
  });
});

describe("flattened", () => {
  it.each(["-l", "-c", "-E"])(
    "%s -F goes through -R, both ways, to what is written at once",
    async (option) => {
      const made = { ours: program, theirs: "makedumpfile" };
      for (const [from, to] of [
        ["ours", "theirs"],
        ["ours", "ours"],
        ["theirs", "ours"],
      ] as const) {
        const { code } = await shell(
          `set -o pipefail; ${made[from]} -F ${option} -d 31 ${source} 2>/dev/null | ${made[to]} -R -f ${dest}.R`,
        );
        await shell(`${made[from]} -f ${option} -d 31 ${source} ${dest}`);
        expect([from, to, code, same(`${dest}.R`, dest)]).toEqual([from, to, 0, true]);
      }
    },
    120_000,
  );

  it("cut off at any of ten places: exit code 1, one line, and what came is marked", async () => {
    await shell(`${program} -F -l -d 31 ${source} > ${dest}.flat 2>/dev/null`);
    const { size } = statSync(`${dest}.flat`);
    for (let tenth = 1; tenth <= 10; tenth++) {
      const length = Math.floor((size * tenth) / 10) - 9;
      const { code, err, out } = await shell(`head -c ${length} ${dest}.flat | ${program} -R ${dest}`);
      expect([tenth, code, out, existsSync(dest)]).toEqual([tenth, 1, FAILED, false]);
      expect(err).toMatch(/^makedumpfile: Cannot rearrange standard input: [^\n]* cut off[^\n]*\n$/);
      expect((await vmcopy("verify", `${dest}.incomplete`)).out).toContain("it is incomplete");
    }
  }, 120_000);

  it("what is no flattened dump is refused before anything is written", async () => {
    const { code, err } = await shell(`${program} -R ${dest} < ${source}`);
    expect([code, err]).toEqual([1, expect.stringContaining("does not begin as a flattened dump does")]);
    expect(existsSync(`${dest}.incomplete`)).toBe(false);
  });
});

describe("a split set", () => {
  const names = [1, 2, 3].map((member) => `${dest}${member}`);

  it("has the names that were given; theirs and ours are put together by either", async () => {
    const { code, out } = await ours("--split", "-l", "-d", "31", whole, ...names);
    const list = `${names[0]}, ${names[1]}, and ${names[2]}`;
    expect([code, out]).toEqual([0, `\nThe dumpfiles are saved to ${list}.\n\nmakedumpfile Completed.\n`]);
    expect(names.filter(existsSync)).toEqual(names);
    expect((await ours("--reassemble", ...names, `${dest}.ours`)).out).toBe(SAVED(`${dest}.ours`));
    expect((await theirs("--reassemble", ...names, `${dest}.theirs`)).code).toBe(0);
    await ours("-l", "-d", "31", whole, dest);
    expect(same(`${dest}.ours`, dest)).toBe(true);
    expect((await vmcopy("verify", `${dest}.theirs`, whole)).code).toBe(0);
    await theirs("-f", "--split", "-l", "-d", "31", source, ...names);
    expect((await ours("--reassemble", "-f", ...names, `${dest}.ours`)).code).toBe(0);
    await theirs("-l", "-d", "31", source, `${dest}.right`);
    expect((await vmcopy("verify", `${dest}.ours`, `${dest}.right`)).code).toBe(0);
  }, 120_000);

  it("a member that is missing is told, by the pages that nobody has", async () => {
    await ours("--split", "-l", "-d", "31", source, ...names);
    for (const left of [names.slice(1), names.slice(0, 2), [names[0], names[2]] as string[]]) {
      const { code, err } = await ours("--reassemble", ...left, dest);
      expect([code, err]).toEqual([
        1,
        expect.stringMatching(/no member has PFNs 0x[0-9a-f]+ to 0x[0-9a-f]+/),
      ]);
    }
  });
});

describe("how it is called", () => {
  it("by a link to the built program, by a path, or by the first argument", async () => {
    const link = path("makedumpfile");
    symlinkSync(join(ROOT, "dist/vmcopy"), link);
    const right = (await ours("-v")).out;
    expect(right).toMatch(
      /^makedumpfile: version 1\.7\.2 .*\nlzo\tenabled\nsnappy\tenabled\nzstd\tenabled\n/,
    );
    expect((await shell(`${link} -v`)).out).toBe(right);
    expect((await shell(`PATH=${path(".")}:$PATH makedumpfile -v`)).out).toBe(right);
    expect((await vmcopy("makedumpfile", "-v")).out).toBe(right);
    expect((await called("/usr/sbin/makedumpfile", "-v")).out).toBe(right);
    expect((await called("/x/vmcopy", "--version")).out).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect((await vmcopy("vmcore-dmesg", source)).out).toContain("Kernel panic");
  });

  it("-h names every option that it takes or refuses", async () => {
    const { code, out } = await ours("-h");
    expect(code).toBe(0);
    const theirOptions = (await theirs("-h")).out.matchAll(/^ {2}\[(-\S+)/gm);
    const names = [...theirOptions].map(([, name = ""]) => name.replace(/[=\],|].*/, ""));
    expect(names.length).toBeGreaterThan(25);
    expect(names.filter((name) => !out.includes(name))).toEqual([]);
  });
});
