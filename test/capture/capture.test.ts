// A capture step by step: what lies there, in which order it came, and what is saved where a step fails.
import { beforeAll, beforeEach, describe, expect, it } from "bun:test";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { RB_AUTOBOOT, RB_HALT_SYSTEM, RB_POWER_OFF, TMPFS_MAGIC } from "../../ffi/constants.ts";
import type { Libc } from "../../ffi/libc.ts";
import { STATFS } from "../../ffi/structs.ts";
import { type Action, performActions } from "../../src/capture/actions.ts";
import { ladder } from "../../src/capture/fitting.ts";
import { Interrupted } from "../../src/errors.ts";
import { capture, isWhole, jsonOf, listing, stepsOf, WHOLE } from "../support/captures.ts";
import { flip, same } from "../support/engines.ts";
import { BUN, injected, ROOT, temporaryFolder } from "../support/files.ts";
import type { Rules } from "../support/inject.ts";
import { failingOn, type NamedRule, withNames } from "../support/inject-names.ts";
import { shell, shellLine, vmcopy } from "../support/program.ts";
import { writeSampleFile } from "../support/sample.ts";

const path = temporaryFolder();
const source = path("source");
const to = path("crash");
const NAME = { name: "one" };
const directory = join(to, "one");

beforeAll(() => {
  writeSampleFile(source, { size: 24 << 20 });
});
beforeEach(() => rmSync(to, { recursive: true, force: true }));

describe("a capture", () => {
  it("leaves five files, readable by their owner alone, the dump proved", async () => {
    const { report } = await capture(to, source, NAME);
    expect(stepsOf(report)).toEqual([
      "read",
      "target",
      "log",
      "crash",
      "space",
      "dump",
      "verify",
      "name",
      "sync",
      "final",
    ]);
    expect(report).toMatchObject({ exitCode: 0, state: "complete", verified: true, directory, actions: [] });
    expect(listing(to)).toEqual({ one: WHOLE });
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    for (const file of WHOLE)
      expect([file, statSync(join(directory, file)).mode & 0o777]).toEqual([file, 0o600]);
    expect(await isWhole(directory)).toBe(true);
  });

  it("dmesg.txt is what dmesg prints, crash.json the crash", async () => {
    await capture(to, source, NAME);
    const { out } = await vmcopy("dmesg", source);
    expect(readFileSync(join(directory, "dmesg.txt"), "utf8")).toBe(out);
    expect(out).toContain("Kernel panic - not syncing: sysrq triggered crash");
    expect(jsonOf(directory, "crash.json")).toMatchObject({
      release: "6.1.0-sample-amd64",
      hostname: "sample",
      machine: "x86_64",
      message: "sysrq triggered crash",
      task: { comm: "sh", pid: 1000, cpu: 0 },
      cpus: 4,
      memoryBytes: 24 << 20,
      crashTime: "2023-11-14T22:13:20Z",
      stack: { 0: "panic+0x118/0x2f0", length: 9 },
    });
  });

  it("capture.json is the report", async () => {
    const { report } = await capture(to, source, NAME);
    const record = jsonOf(directory, "capture.json");
    expect(record).toMatchObject({
      format: "vmcopy-capture",
      state: "complete",
      directory,
      dump: { format: "kdump", dumpLevel: 31, compression: "zstd", reduced: false, unreadable: 0 },
    });
    // All but what came after it was written.
    expect(report.steps.slice(0, -2).map(({ name }) => name)).toEqual(
      (record.steps as { name: string }[]).map(({ name }) => name),
    );
  });

  it("the log is durable before anything else is written", async () => {
    const events: string[] = [];
    const note =
      (what: string): NamedRule =>
      (call, real, name) => {
        if (events.at(-1) !== `${what} ${name}`) events.push(`${what} ${name}`);
        return real(...call.args);
      };
    const through = withNames({ rename: note("rename"), fsync: note("sync"), pwrite: note("write") });
    await capture(to, source, NAME, {
      through,
      said: (line) => events.push(line.replace(/.*\] (\w+):.*/, "told $1")),
    });
    const here = `${directory}.incomplete`;
    const start = events.indexOf("told read");
    expect(events.slice(start, start + 10)).toEqual([
      "told read",
      `sync ${path("")}`.replace(/\/$/, ""),
      `sync ${to}`,
      "told target",
      `write ${here}/dmesg.txt.new`,
      `sync ${here}/dmesg.txt.new`,
      `rename ${here}/dmesg.txt`,
      `sync ${here}`,
      "told log",
      `write ${here}/crash.json.new`,
    ]);
    const end = events.lastIndexOf(`rename ${directory}`);
    expect(events.slice(end - 1, end + 3)).toEqual([
      `sync ${here}`,
      `rename ${directory}`,
      `sync ${to}`,
      "told name",
    ]);
  });

  it("beside one of the same name it is another one", async () => {
    await capture(to, source, NAME);
    mkdirSync(join(to, "one-2.incomplete"));
    await capture(to, source, NAME);
    expect(listing(to)).toEqual({ one: WHOLE, "one-2.incomplete": [], "one-3": WHOLE });
  });

  it("as a program: one JSON object, steps on standard error, exit code 0", async () => {
    const { code, out, err } = await vmcopy(
      "capture",
      "--source",
      source,
      "--to",
      to,
      "--name",
      "%HOST",
      "--json",
      "-c",
      "lzo",
    );
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ state: "complete", dump: { compression: "lzo" }, exitCode: 0 });
    expect(err).toMatch(
      /^\[ +\d+\.\d\d\] read: .*\n\[ +\d+\.\d\d\] target: .*\n\[ +\d+\.\d\d\] log: .* in dmesg\.txt, synced\n/,
    );
    expect(listing(to)).toEqual({ sample: WHOLE });
  });
});

describe("a step that fails keeps no later one from saving what it can", () => {
  const cases: [
    what: string,
    rules: () => Parameters<typeof withNames>[0],
    settings: object,
    steps: string,
    state: string,
    code: number,
  ][] = [
    [
      "the log cannot be written",
      () => ({ open: failingOn("dmesg.txt.new", "EIO") }),
      {},
      "read target log! crash space dump verify name sync final",
      "complete",
      1,
    ],
    [
      "crash.json cannot be written",
      () => ({ open: failingOn("crash.json.new", "EIO") }),
      {},
      "read target log crash! space dump verify name sync final",
      "complete",
      1,
    ],
    [
      "the dump cannot be written, nor a raw one",
      () => ({ open: failingOn("vmcore.incomplete", "EIO") }),
      { onFailure: { fallbacks: ["dump-raw"], actions: [] } },
      "read target log crash space dump! dump-raw! sync final",
      "incomplete",
      1,
    ],
    [
      "the same, and the log is enough",
      () => ({ open: failingOn("vmcore.incomplete", "EIO") }),
      {},
      "read target log crash space dump! dump-raw! name sync final",
      "log-only",
      1,
    ],
    [
      "the dump cannot be synced: what there is of it stays, and nothing larger is tried",
      () => ({ fsync: failingOn("vmcore.incomplete", "EIO") }),
      {},
      "read target log crash space dump! name sync final",
      "log-only",
      1,
    ],
    [
      "the name cannot be given",
      () => ({ rename: failingOn("/one", "EIO") }),
      {},
      "read target log crash space dump verify name! sync final",
      "incomplete",
      1,
    ],
    [
      "the record cannot be written",
      () => ({ open: failingOn("capture.json.new", "EIO") }),
      {},
      "read target log crash record! space dump verify name sync final",
      "complete",
      1,
    ],
    [
      "nothing can be made there",
      () => ({ mkdir: (call) => call.fail("EROFS") }),
      {},
      "read target! final",
      "incomplete",
      2,
    ],
  ];

  it.each(cases)("%s", async (_, rules, settings, steps, state, code) => {
    const { report } = await capture(to, source, { ...NAME, ...settings }, { through: withNames(rules()) });
    expect(stepsOf(report).join(" ")).toBe(steps);
    expect(report).toMatchObject({ state, exitCode: code });
    const name = ["complete", "log-only"].includes(state) ? "one" : "one.incomplete";
    if (code < 2) expect(Object.keys(listing(to))).toEqual([name]);
    if (code < 2 && !steps.includes("record!")) expect(jsonOf(to, name, "capture.json").state).toBe(state);
    if (state === "complete") expect(await isWhole(directory)).toBe(true);
  });

  it.each([
    ["ENOSPC", "free some room there, or name another disk (--to)"],
    ["EIO", "the disk fails: name another one (--to)"],
  ])("no directory because of %s: one line that says what to do", async (errno, advice) => {
    const through = withNames({ mkdir: failingOn("one.incomplete", errno) });
    const { lines } = await capture(to, source, NAME, { through });
    expect(lines.find((line) => line.includes("] target: "))).toEndWith(` (${errno}); ${advice}`);
  });

  it("a disk that fails under the dump: one line that says what to do, and the part marked incomplete", async () => {
    const rules = { fsync: failingOn("vmcore.incomplete", "EIO") };
    const { lines } = await capture(to, source, NAME, { through: withNames(rules) });
    expect(lines.find((line) => line.includes("] dump: "))).toMatch(
      /dump: Cannot sync .*input\/output error \(EIO\): .* copied .*; the disk fails: name another one \(--to\)$/,
    );
    expect(listing(to).one).toEqual(["capture.json", "crash.json", "dmesg.txt", "vmcore.incomplete"]);
    const { code, out } = await vmcopy("verify", join(directory, "vmcore.incomplete"));
    expect([code, out]).toEqual([1, expect.stringContaining("incomplete")]);
  });

  it("a disk too full for all of the log: the end of it is there, and the rest is tried", async () => {
    const through = withNames({
      pwrite: (call, real, name) =>
        name.endsWith("dmesg.txt.new") && (call.args[2] as number) > 600
          ? call.fail("ENOSPC")
          : real(...call.args),
    });
    const { report, lines } = await capture(to, source, NAME, { through });
    expect(report).toMatchObject({ state: "complete", exitCode: 1 });
    const { out } = await vmcopy("dmesg", source);
    const log = readFileSync(join(directory, "dmesg.txt"), "utf8");
    expect([log.length, out.endsWith(log)]).toEqual([Math.floor(Math.floor(out.length / 2) / 2), true]);
    expect(lines.find((line) => line.includes("] log: "))).toMatch(
      /log: the disk is full: the last \d+ B of 1\.9 KiB in dmesg/,
    );
  });

  it("a disk so full that capture.json has no room for a new one: it is written over the old one", async () => {
    let isFull = false;
    const through = withNames({
      open: (call, real, name) =>
        isFull && name.endsWith(".new") ? call.fail("ENOSPC") : real(...call.args),
      pwrite: (call, real, name) =>
        isFull && name.endsWith("vmcore.incomplete") ? call.fail("ENOSPC") : real(...call.args),
    });
    const { report } = await capture(to, source, NAME, {
      through,
      said: (line) => {
        isFull ||= /\] space: /.test(line);
      },
    });
    expect(stepsOf(report).join(" ")).toBe("read target log crash space dump! dump-raw! name sync final");
    expect(jsonOf(directory, "capture.json")).toMatchObject({ state: "log-only", actions: [] });
  });

  it("a place in memory is used and told, where the machine will restart", async () => {
    const through = () => {
      const libc: Libc = withNames({
        fstatfs: (call, real) => {
          const result = real(...call.args);
          libc.structureView.setBigInt64(STATFS.f_type, BigInt(TMPFS_MAGIC), true);
          return result;
        },
      });
      return libc;
    };
    const { report, lines } = await capture(to, source, NAME, { through: through(), mayEnd: true });
    expect(report).toMatchObject({ state: "complete", exitCode: 1 });
    expect(lines[1]).toContain("GONE when the machine restarts: name a disk (--to)");
    const elsewhere = await capture(to, source, NAME, { through: through() });
    expect(elsewhere.report.exitCode).toBe(0);
  });

  const firstFails = (): NonNullable<Parameters<typeof withNames>[0]["open"]> => {
    let tried = 0;
    return (call, real, name) =>
      name.endsWith("vmcore.incomplete") && tried++ === 0 ? call.fail("EIO") : real(...call.args);
  };

  it("a dump that fails for another reason than space: all memory, byte for byte", async () => {
    const { report } = await capture(to, source, NAME, { through: withNames({ open: firstFails() }) });
    expect(stepsOf(report).join(" ")).toBe(
      "read target log crash space dump! dump-raw verify name sync final",
    );
    expect(report).toMatchObject({ state: "complete", verified: true, exitCode: 1 });
    expect(report.dump).toMatchObject({ format: "raw", dumpLevel: 0, reduced: true });
    expect(same(source, join(directory, "vmcore"))).toBe(true);
  });

  it("which has to fit, and leave the disk room", async () => {
    const through: Libc = withNames({
      open: firstFails(),
      fstatfs: (call, real) => {
        const result = real(...call.args);
        const blockSize = through.structureView.getBigInt64(STATFS.f_bsize, true);
        through.structureView.setBigUint64(STATFS.f_bavail, (20n << 20n) / blockSize, true);
        return result;
      },
    });
    const { report, lines } = await capture(to, source, NAME, { through });
    expect(stepsOf(report).join(" ")).toBe("read target log crash space dump! dump-raw! name sync final");
    expect(lines.join("\n")).toMatch(
      /dump-raw: Cannot copy all memory: it needs 2\d.* with a margin, 20 MiB are free/,
    );
  });

  it("no source: nothing is made, exit code 2, and the action of a failure", async () => {
    const onFailure = { fallbacks: [], actions: ["poweroff" as const] };
    const { report, lines } = await capture(
      to,
      path("none"),
      { onFailure, final: ["reboot"] },
      { mayEnd: true },
    );
    expect(report).toMatchObject({
      exitCode: 2,
      state: "incomplete",
      directory: null,
      actions: ["poweroff"],
    });
    expect(existsSync(to)).toBe(false);
    expect(lines[0]).toMatch(/read: Cannot open .*none: no such file or directory \(ENOENT\)/);
  });

  it("no source, as a program: one object, with the error that any command tells", async () => {
    const { code, out, err } = await vmcopy("capture", "--source", path("none"), "--to", to, "--json");
    expect(code).toBe(2);
    const message = expect.stringMatching(/^Cannot open .*none: no such file or directory \(ENOENT\)/);
    expect(JSON.parse(out)).toMatchObject({ error: { code: "E_IO", message }, directory: null, exitCode: 2 });
    expect(err.trimEnd().split("\n")).toHaveLength(2);
  });

  it("a dump that is not on the disk as it was written: no name, and old ones stay", async () => {
    await capture(to, source, { name: "old" });
    const { report } = await capture(
      to,
      source,
      { ...NAME, keep: 1 },
      {
        // Right behind the dump's sync, before it is read back.
        said: (line) => {
          if (/\] dump: /.test(line)) flip(join(`${directory}.incomplete`, "vmcore"), 70_000);
        },
      },
    );
    expect(stepsOf(report)).toContain("verify!");
    expect(report).toMatchObject({ exitCode: 1, state: "incomplete", verified: false, removed: [] });
    expect(listing(to)).toEqual({ old: WHOLE, "one.incomplete": WHOLE });
  });

  it("--no-verify looks not", async () => {
    const { report } = await capture(to, source, { ...NAME, verify: false });
    expect(report).toMatchObject({ exitCode: 0, state: "complete", verified: null });
  });

  it("memory without a log: the dump is there", async () => {
    const bare = path("bare");
    writeSampleFile(bare, { size: 8 << 20 });
    const bytes = readFileSync(bare);
    const at = bytes.indexOf("SYMBOL(prb)");
    expect(at).toBeGreaterThan(0);
    bytes.write("SYMBOL(xxx)", at);
    writeFileSync(bare, bytes);
    const { report } = await capture(to, bare, NAME);
    expect(stepsOf(report).slice(0, 3)).toEqual(["read!", "target", "log!"]);
    expect(report).toMatchObject({
      state: "complete",
      exitCode: 1,
      crash: { message: null, hostname: "sample" },
    });
    expect(listing(to)).toEqual({ one: WHOLE.filter((file) => file !== "dmesg.txt") });
  });
});

describe("what stops a capture, on no step's account, stops not what is left to do", () => {
  const SAVED = { "one.incomplete": ["capture.json", "crash.json", "dmesg.txt"] };
  const stopping = (mayEnd: boolean, said: (line: string) => void, through?: Libc) =>
    capture(
      to,
      source,
      { ...NAME, final: ["reboot"], onFailure: { fallbacks: [], actions: ["halt"] } },
      { mayEnd, said, ...(through && { through }) },
    );

  it.each<[string, number]>([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ])(
    "%s: the record says so, and a machine that may be ended is, as after a failure",
    async (signal, exitCode) => {
      const interrupt = (line: string) => {
        if (/\] space: /.test(line)) throw new Interrupted(signal as "SIGINT" | "SIGTERM");
      };
      const { report, lines } = await stopping(true, interrupt);
      expect(report).toMatchObject({ exitCode, state: "incomplete", actions: ["halt"] });
      expect(listing(to)).toEqual(SAVED);
      const record = jsonOf(`${directory}.incomplete`, "capture.json");
      expect(record).toMatchObject({ state: "incomplete", actions: ["halt"] });
      expect(record.steps).toContainEqual(
        expect.objectContaining({ name: "space", code: "E_INTERRUPTED", line: `Stopped by ${signal}` }),
      );
      expect(lines.slice(-2).map((line) => line.replace(/.*\] /, ""))).toEqual([
        `sync: ${to}`,
        "final: halt",
      ]);
      rmSync(to, { recursive: true });
      expect((await stopping(false, interrupt)).report).toMatchObject({ exitCode, actions: [] });
    },
  );

  it("a call that fails where no step is at work", async () => {
    let isLooked = false;
    const through = withNames({
      fstatfs: (call, real) => (isLooked ? call.fail("EIO") : real(...call.args)),
    });
    const { report, lines } = await stopping(
      true,
      (line) => {
        isLooked ||= /\] crash: /.test(line);
      },
      through,
    );
    expect(stepsOf(report).join(" ")).toBe("read target log crash unexpected! sync final");
    expect(report).toMatchObject({ exitCode: 1, state: "incomplete", actions: ["halt"] });
    expect(lines.join("\n")).toContain(
      `unexpected: Cannot statfs ${to}/one.incomplete: input/output error (EIO)`,
    );
    expect(listing(to)).toEqual(SAVED);
  });

  it.each(["callback", "promise"])(
    "an error in a %s that nobody waits for fails the step at work",
    async (where) => {
      const script = join(ROOT, "test/support/throw-late.ts");
      const { out, err } = await shell(`${BUN} ${script} ${source} ${to} ${where}`);
      expect(err).toBe("");
      const { lines, steps, ...report } = JSON.parse(out);
      expect(report).toEqual({ actions: ["reboot"], state: "complete", exitCode: 1 });
      expect(steps.filter((name: string) => name.endsWith("!"))).toEqual(["dump!"]);
      expect(steps.slice(-5)).toEqual(["dump-raw", "verify", "name", "sync", "final"]);
      expect(lines.join("\n")).toContain(`dump: thrown in a ${where}`);
    },
  );

  it("an error that nobody waits for in work that takes no notice of it any more", async () => {
    const script = join(ROOT, "test/support/throw-late.ts");
    const { out, err } = await shell(`${BUN} ${script} ${source} ${to} callback holds`);
    expect(err).toBe("");
    const { lines, steps, ...report } = JSON.parse(out);
    expect(report).toEqual({ actions: ["halt"], state: "incomplete", exitCode: 1 });
    expect(steps.slice(-3)).toEqual(["unexpected!", "sync", "final"]);
    expect(lines.join("\n")).toContain("unexpected: thrown in a callback");
    expect(jsonOf(`${directory}.incomplete`, "capture.json").state).toBe("incomplete");
  });
});

describe("what becomes of the machine", () => {
  const asked = (rules: Rules = {}) => {
    const commands: (number | undefined)[] = [];
    // Never the real one: this machine is to live.
    const through = injected({
      reboot: (call) => {
        commands.push(call.args[0]);
        return 0;
      },
      sync: () => 0,
      ...rules,
    });
    return { commands, through };
  };

  it.each<[Action, number]>([
    ["reboot", RB_AUTOBOOT],
    ["poweroff", RB_POWER_OFF],
    ["halt", RB_HALT_SYSTEM],
  ])("%s", (action, command) => {
    const { commands, through } = asked();
    expect(performActions(through, [action])).toEqual([]);
    expect(commands).toEqual([command]);
  });

  it("one that cannot be done is told, the next is tried", () => {
    const { through } = asked({ reboot: (call) => (call.nth === 1 ? call.fail("EPERM") : 0) });
    expect(performActions(through, ["reboot", "poweroff"])).toEqual([
      "Cannot reboot the machine: operation not permitted (EPERM)",
    ]);
  });

  const REFUSED = ": this is no capture kernel (there is no /proc/vmcore), and vmcopy is not PID 1";
  it.each<[string, object, boolean, readonly Action[], string]>([
    ["in a capture kernel", { final: ["reboot"] }, true, ["reboot"], "reboot"],
    ["in a capture kernel, unless told", {}, true, [], "none"],
    ["on a workstation", { final: ["poweroff"] }, false, [], `poweroff not done${REFUSED}`],
    [
      "on a workstation, a shell",
      { final: ["shell", "reboot"] },
      false,
      ["shell"],
      `reboot not done${REFUSED}`,
    ],
  ])("%s", async (_, settings, mayEnd, actions, line) => {
    const { report, lines } = await capture(to, source, { ...NAME, ...settings }, { mayEnd });
    expect(report.actions).toEqual([...actions]);
    expect(lines.at(-1)).toEndWith(`final: ${line}`);
  });

  it("after a failure, what --on-failure says; --final where it names no action", async () => {
    const through = () => withNames({ open: failingOn("vmcore.incomplete", "EIO") });
    const final: Action[] = ["reboot"];
    const with_ = (actions: Action[]) => ({ ...NAME, final, onFailure: { fallbacks: [], actions } });
    const one = await capture(to, source, with_(["shell", "halt"]), { through: through(), mayEnd: true });
    expect(one.report.actions).toEqual(["shell", "halt"]);
    const two = await capture(to, source, with_([]), { through: through(), mayEnd: true });
    expect(two.report.actions).toEqual(["reboot"]);
  });

  it("a shell is started, and this goes on when it ends", async () => {
    const { code, out } = await shell(
      `echo 'echo in the shell $$' | ${shellLine("capture", "--source", source, "--to", to, "--final", "shell")}`,
    );
    expect([code, out]).toEqual([0, expect.stringMatching(/captured.*\n.*\nin the shell \d+\n$/)]);
  });
});

describe("the next smaller dump", () => {
  it("is first of a better codec, then of a higher level that leaves out all that the one before did", () => {
    const names = (level: number, codec: "lzo" | "zstd") =>
      ladder({ level, codec }).map((each) => `${each.level} ${each.codec}`);
    expect(names(31, "zstd")).toEqual(["31 zstd"]);
    expect(names(31, "lzo")).toEqual(["31 lzo", "31 zstd"]);
    expect(names(0, "zstd")).toEqual(["0 zstd", "1 zstd", "17 zstd", "25 zstd", "31 zstd"]);
    expect(names(2, "lzo")).toEqual([
      "2 lzo",
      "2 zstd",
      "3 lzo",
      "3 zstd",
      "19 lzo",
      "19 zstd",
      "27 lzo",
      "27 zstd",
      "31 lzo",
      "31 zstd",
    ]);
  });

  it("is tried where the disk fills up in spite of the estimate; the last resort is the log", async () => {
    const full = (dumps: number) => {
      let opened = 0;
      return withNames({
        open: (call, real, name) => {
          if (name.endsWith("vmcore.incomplete") && ((call.args[1] as number) & 0o100) !== 0) opened++;
          return real(...call.args);
        },
        pwrite: (call, real, name) =>
          name.endsWith("vmcore.incomplete") && opened <= dumps ? call.fail("ENOSPC") : real(...call.args),
      });
    };
    const once = await capture(to, source, { ...NAME, level: 17 }, { through: full(1) });
    expect(stepsOf(once.report).join(" ")).toBe(
      "read target log crash space dump! dump verify name sync final",
    );
    expect(once.report.dump).toMatchObject({ dumpLevel: 25, reduced: true });
    const all = await capture(to, source, { name: "two", level: 17 }, { through: full(9) });
    expect(stepsOf(all.report).join(" ")).toBe(
      "read target log crash space dump! dump! dump! dump-raw! name sync final",
    );
    expect(all.report).toMatchObject({ state: "log-only", exitCode: 1 });
  });
});
