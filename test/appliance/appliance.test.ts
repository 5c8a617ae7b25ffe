/**
 * vmcopy as the first process of a PID namespace, in a root that holds nothing but it and a sample: of such a namespace
 * reboot(2) ends the processes, as it does the machine elsewhere, the first by SIGHUP where it is restarted and by
 * SIGINT where it is powered off or halted. Real kernels: test/lab/appliance.test.ts.
 */
import { afterAll, beforeAll, describe, expect, it } from "bun:test";
import { spawnSync } from "node:child_process";
import { linkSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildProgram } from "../../src/pack/build.ts";
import { isWhole, jsonOf, WHOLE } from "../support/captures.ts";
import { ROOT } from "../support/files.ts";
import { possible, vmcopy } from "../support/program.ts";
import { writeSampleFile } from "../support/sample.ts";

const canStart = possible(`unshare --pid --fork --mount mount -t devtmpfs dev ${tmpdir()}`);
const why = canStart ? "" : " (left out: needs root, namespaces and devtmpfs)";
const folder = mkdtempSync(join(tmpdir(), "vmcopy-test-"));

beforeAll(() => {
  buildProgram(join(ROOT, "src/cli.ts"), join(folder, "init"));
  writeSampleFile(join(folder, "sample"), { size: 8 << 20 });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Started {
  /** more settings, lines of TOML */
  settings?: string;
  /** what the program is called there, and its arguments */
  command?: string;
  /** sh script that makes more files, in the root */
  files?: string;
}

/** Starts it in a root of its own. */
function start({ settings = "", command = "/init", files = ":" }: Started) {
  const root = mkdtempSync(join(folder, "root-"));
  mkdirSync(join(root, "etc"));
  for (const name of ["init", "sample"]) linkSync(join(folder, name), join(root, name));
  linkSync(join(folder, "init"), join(root, "program"));
  const base = 'source = "/sample"\nto = "/crash"\nname = "one"\n';
  writeFileSync(join(root, "etc/vmcopy.toml"), `${settings}${settings.includes("source") ? "" : base}`);
  const script = `cd "$0" && { ${files}; } && exec chroot . ${command}`;
  const { status, signal, stdout, stderr } = spawnSync(
    "unshare",
    ["--pid", "--fork", "--mount", "sh", "-c", script, root],
    { encoding: "utf8", timeout: 60_000, killSignal: "SIGKILL" },
  );
  const told = [...stderr.matchAll(/^(?:warning: )?\[ *\d+\.\d\d\] (\w+): /gm)]
    .map(([, name]) => name)
    .join(" ");
  return { root, status, signal, stdout, stderr, told };
}

describe.skipIf(!canStart)(`as PID 1${why}`, () => {
  it("captures, and ends the machine as it is told to", async () => {
    const { root, signal, stderr, told } = start({ settings: 'final = "poweroff"\n' });
    expect({ signal, told }).toEqual({
      signal: "SIGINT",
      told: "mount stall modules read target log crash space dump verify name sync final",
    });
    expect(stderr).toContain("stall: the machine powers off after 300 s without progress");
    const directory = join(root, "crash/one");
    expect(readdirSync(directory).sort()).toEqual(WHOLE);
    expect(await isWhole(directory)).toBe(true);
    const { steps } = jsonOf(directory, "capture.json") as { steps: { name: string }[] };
    // What went before is in the record.
    expect(steps.slice(0, 4).map(({ name }) => name)).toEqual(["mount", "stall", "modules", "read"]);
    // The mounts were those of its namespace.
    for (const name of ["proc", "sys", "dev"]) expect(readdirSync(join(root, name))).toEqual([]);
  });

  it.each([
    ["/program", "told nothing"],
    ["/program noapic", "with words of the kernel's"],
    ["/program init", "as first argument"],
    ["/init verify", "by its name, whatever it is told"],
  ])("is what is asked for by %s: %s", (command) => {
    const { signal, told } = start({ command });
    expect({ signal, last: told.split(" ").slice(-3) }).toEqual({
      signal: "SIGHUP",
      last: ["name", "sync", "final"],
    });
  });

  it.each(["/program --version", "/program verify", "/program sample --help"])(
    "is not what is asked for by %s, in a container",
    (command) => {
      const { signal, told } = start({ command });
      expect({ signal, told }).toEqual({ signal: null, told: "" });
    },
  );

  it.each([
    ["none", "final: reboot, as nobody else is here to end the machine"],
    ["shell", "Cannot start a shell: there is no /bin/sh that runs"],
    ["reboot", "final: reboot"],
  ])("final=%s: a restart at last", (final, line) => {
    const { signal, stderr } = start({ settings: `final = "${final}"\n` });
    expect(signal).toBe("SIGHUP");
    expect(stderr).toContain(line);
  });

  it("modules that cannot be loaded, and no crash at all: all is told, and the action of a failure", () => {
    const files =
      "mkdir modules && echo none > modules/b.ko && echo none > modules/a.ko.xz && touch modules/README";
    const settings = 'source = "/proc/vmcore"\nto = "/crash"\non-failure = "halt"\nfinal = "reboot"\n';
    const { root, signal, stderr, told } = start({ files, settings });
    expect({ signal, told }).toEqual({ signal: "SIGINT", told: "mount stall modules boot read final" });
    expect(stderr).toContain("stall: the machine halts after 300 s without progress");
    expect(stderr).toMatch(
      /modules: none in \/modules; Cannot load module \/modules\/a\.ko\.xz: .*; Cannot load module \/modules\/b\.ko: /,
    );
    expect(stderr).toContain("there is no /proc/vmcore: no crash started this kernel");
    expect(readdirSync(root)).not.toContain("crash");
  });

  it("a main thread that never comes back: libc's timer ends the machine", () => {
    // Who opens a FIFO that nobody writes to waits in the kernel for ever.
    const files = "mkdir modules && mkfifo modules/order";
    const { signal, told } = start({ files, settings: 'stall = 1\nfinal = "poweroff"\n' });
    expect({ signal, told }).toEqual({ signal: "SIGINT", told: "mount stall" });
  });

  it("work that comes on is left alone, for longer than that", () => {
    const settings = 'source = "/sample"\nto = "/dev/nothing:/crash"\nwait = 8\nstall = 4\n';
    const { signal, stderr, told } = start({ settings });
    expect({ signal, told }).toEqual({ signal: "SIGHUP", told: "mount stall modules read target final" });
    expect(stderr).toContain("Cannot mount /dev/nothing: there is no such device after 8 s");
  });

  it("a setting that is wrong costs a line", () => {
    const { signal, stderr } = start({ settings: "stall = -1\n" });
    expect(signal).toBe("SIGHUP");
    expect(stderr).toContain(
      'stall in /etc/vmcopy.toml="-1": a whole number from 0 to 86400 is expected; 300 is used instead',
    );
  });
});

describe("not as PID 1", () => {
  it("init refuses, and says what to do", async () => {
    const { code, out, err } = await vmcopy("init");
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toMatch(/^vmcopy: init: Cannot take over this system: .* process \d+; .*: vmcopy capture\n$/);
  });

  it("capture --stall leaves a workstation alone", async () => {
    const to = join(folder, "crash");
    const { code, err } = await vmcopy(
      "capture",
      "--source",
      join(folder, "sample"),
      "--to",
      to,
      "--stall",
      "1",
    );
    expect(code).toBe(0);
    expect(err).toContain(
      "stall: not watched: this is no capture kernel (there is no /proc/vmcore), and vmcopy is not PID 1",
    );
    expect(readFileSync(join(to, readdirSync(to)[0] as string, "capture.json"), "utf8")).toContain(
      '"stall": 1',
    );
  });
});
