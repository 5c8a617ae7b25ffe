// Settings from three places: what wins, what is wrong, how each place is read.
import { describe, expect, it } from "bun:test";
import { writeFileSync } from "node:fs";
import { fileSettings, tomlSettings } from "../../src/capture/config-file.ts";
import { kernelSettings } from "../../src/capture/kernel-command-line.ts";
import { DEFAULTS, resolveSettings } from "../../src/capture/settings.ts";
import { diskTypes, parsePlace } from "../../src/capture/target.ts";
import { temporaryFolder } from "../support/files.ts";
import { vmcopy } from "../support/program.ts";

const path = temporaryFolder();

function resolve(...places: Record<string, string>[]) {
  return resolveSettings(
    places.map((values, index) => ({
      nameOf: (name) => `${["option", "kernel", "file"][index]} ${name}`,
      values: new Map(Object.entries(values)),
    })),
  );
}

describe("precedence", () => {
  it("options, then the kernel's command line, then the file, then defaults", () => {
    const { settings, warnings } = resolve(
      { level: "1" },
      { level: "17", to: "/dev/vdb:/crash" },
      { level: "25", to: "/var/other", keep: "3" },
    );
    expect(warnings).toEqual([]);
    expect(settings).toEqual({
      ...DEFAULTS,
      level: 1,
      to: { device: "/dev/vdb", directory: "/crash" },
      keep: 3,
    });
  });

  it("a wrong value is passed over, and the next place's is used", () => {
    const { settings, warnings } = resolve({}, { level: "99" }, { level: "25" });
    expect(settings.level).toBe(25);
    expect(warnings).toEqual([
      'kernel level="99": a whole number from 0 to 31 is expected; 25 is used instead',
    ]);
  });

  it.each([
    ["level", "-1", "31"],
    ["compress", "gzip", "zstd"],
    ["jobs", "0", String(DEFAULTS.jobs)],
    ["keep", "0", "all"],
    ["final", "explode", "none"],
    ["on-failure", "dump-raw,exlode", "dump-raw,log-only"],
    ["verify", "perhaps", "true"],
    ["wait", "1.5", "10"],
    ["name", "%HOST/%DATE", "%HOST-%DATE"],
    ["name", "%NAME", "%HOST-%DATE"],
    ["to", "", "/var/crash"],
    ["source", "", "/proc/vmcore"],
  ])("%s=%s is told, with what is used instead", (name, value, used) => {
    const { settings, warnings } = resolve({ [name]: value });
    expect(settings).toEqual(DEFAULTS);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toStartWith(`option ${name}=${JSON.stringify(value)}: `);
    expect(warnings[0]).toEndWith(`; ${used} is used instead`);
  });

  it("names that are not known are told", () => {
    expect(resolve({ levle: "31", __proto__: "x", toString: "y" }).warnings).toEqual([
      "option levle: there is no such setting; it is passed over",
      "option toString: there is no such setting; it is passed over",
    ]);
  });

  it("the kernel's and copy's ways to write a name", () => {
    const { settings, warnings } = resolve({ on_failure: "shell", "dump-level": "7", "no-verify": "" });
    expect(warnings).toEqual([]);
    expect(settings).toMatchObject({
      level: 7,
      verify: false,
      onFailure: { fallbacks: [], actions: ["shell"] },
    });
  });

  it("fall-backs and actions are told apart", () => {
    expect(resolve({ "on-failure": "log-only, shell,reboot" }).settings.onFailure).toEqual({
      fallbacks: ["log-only"],
      actions: ["shell", "reboot"],
    });
  });
});

describe("the kernel's command line", () => {
  it.each<[string, Record<string, string>]>([
    [
      "console=ttyS0 vmcopy.to=/dev/vdb:/crash quiet vmcopy.level=31\n",
      { to: "/dev/vdb:/crash", level: "31" },
    ],
    ['vmcopy.to="/dev/vdb:/my crash" x', { to: "/dev/vdb:/my crash" }],
    ['"vmcopy.to=/dev/vdb:/my crash" x', { to: "/dev/vdb:/my crash" }],
    ["vmcopy.verify", { verify: "" }],
    ["vmcopy.name=a=b", { name: "a=b" }],
    ["vmcopy.keep=1 vmcopy.to=/a vmcopy.keep=2", { to: "/a", keep: "2" }],
    ['dyndbg="file vmcopy.c +p; vmcopy.to=/no" vmcopy.to=/yes', { to: "/yes" }],
    ['vmcopy.to="/never closed', { to: "/never closed" }],
    ["xvmcopy.to=/no vmcopyXto=/no", {}],
    ["", {}],
  ])("%p", (line, settings) => {
    expect(Object.fromEntries(kernelSettings(line))).toEqual(settings);
  });
});

describe("the file", () => {
  it("texts, numbers, yes or no, lists", () => {
    const { values, warnings } = tomlSettings(
      'to = "/dev/vdb:/crash" # where\nlevel = 31\nverify = false\non-failure = ["dump-raw", "poweroff"]\n',
      "f",
    );
    expect(warnings).toEqual([]);
    expect(Object.fromEntries(values)).toEqual({
      to: "/dev/vdb:/crash",
      level: "31",
      verify: "false",
      "on-failure": "dump-raw,poweroff",
    });
  });

  it("a line that is no TOML costs that line", () => {
    const { values, warnings } = tomlSettings('to = /dev/vdb:/crash\nlevel = 17\nfinal = "reboot\n', "f");
    expect(Object.fromEntries(values)).toEqual({ level: "17" });
    expect(warnings).toHaveLength(2);
    expect(warnings[0]).toStartWith("f, line 1, is passed over: ");
    expect(warnings[1]).toStartWith("f, line 3, is passed over: ");
  });

  it("what is no setting's value is told", () => {
    expect(tomlSettings("[level]\nx = 1\n", "f").warnings[0]).toStartWith("f: level is passed over: ");
  });

  it("one that is missing is told where somebody named it", () => {
    expect(fileSettings(path("none"), false).warnings).toEqual([]);
    expect(fileSettings(path("none"), true).warnings[0]).toStartWith(`${path("none")} is passed over: `);
  });
});

describe("on the program's command line", () => {
  it.each([
    [["--level", "32"], "--level: a whole number from 0 to 31 is expected (32)"],
    [["--final", "explode"], "--final: one of reboot, poweroff, halt, shell, none is expected (explode)"],
    [["--to", ""], "--to: DIR, DEVICE:DIR or DEVICE is expected ()"],
  ])("%p is a mistake, and nothing is done", async (args, message) => {
    const { code, out, err } = await vmcopy("capture", ...args, "--source", path("no source"), "--json");
    expect(code).toBe(2);
    expect(JSON.parse(out)).toEqual({ error: { code: "E_USAGE", message } });
    expect(err).toBe(`vmcopy: capture: ${message}\n`);
  });

  it("a file of settings is used, its mistakes told", async () => {
    writeFileSync(path("settings.toml"), `to = "${path("x")}"\nlevel = 32\nlevle = 1\n`);
    const { out, err } = await vmcopy(
      "capture",
      "--config",
      path("settings.toml"),
      "--source",
      path("none"),
      "--json",
    );
    const report = JSON.parse(out);
    expect(report.settings).toMatchObject({ to: path("x"), level: 31 });
    expect(report.warnings).toEqual([
      `level in ${path("settings.toml")}="32": a whole number from 0 to 31 is expected; 31 is used instead`,
      `levle in ${path("settings.toml")}: there is no such setting; it is passed over`,
    ]);
    for (const warning of report.warnings) expect(err).toContain(`warning: ${warning}\n`);
  });
});

describe("--to", () => {
  it.each([
    ["/var/crash", undefined, "/var/crash"],
    ["crash", undefined, "crash"],
    ["/dev/vdb:/crash", "/dev/vdb", "/crash"],
    ["/dev/vdb:", "/dev/vdb", "/"],
    ["/dev/disk/by-id/x:/a:b", "/dev/disk/by-id/x", "/a:b"],
  ])("%s", (text, device, directory) => {
    expect(parsePlace(text)).toEqual({ device, directory });
  });

  it("file system types: those of disks, ext4 before what mounts an ext4 as less", () => {
    expect(diskTypes("nodev\tsysfs\nnodev\ttmpfs\n\text3\n\text2\n\text4\n\tvfat\n")).toEqual([
      "ext4",
      "ext3",
      "ext2",
      "vfat",
    ]);
  });
});
