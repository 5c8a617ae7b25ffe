/** `vmcopy install` on roots of its own: what it writes, what it leaves alone, and what it takes back. */
import { beforeEach, describe, expect, it } from "bun:test";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { ROOT, temporaryFolder } from "../support/files.ts";
import { type Ended, possible, shell, vmcopy } from "../support/program.ts";
import { run } from "../support/runtimes.ts";

const path = temporaryFolder();
const root = path("root");
const program = path("program");
const NAMES = ["dracut", "kdump-utils", "kdump-tools", "initramfs-tools"];
const RECORD = "/usr/lib/vmcopy/installed.json";
const MODULE = "/usr/lib/dracut/modules.d/99vmcopy/module-setup.sh";

/** Where the texts come from, by integration. */
const SOURCES: Record<string, Record<string, string>> = {
  dracut: {
    [MODULE]: "dracut/99vmcopy/module-setup.sh",
    "/usr/lib/dracut/modules.d/99vmcopy/vmcopy-kdump": "dracut/99vmcopy/vmcopy-kdump",
    "/usr/lib/dracut/modules.d/99vmcopy/vmcopy-cmdline.sh": "dracut/99vmcopy/vmcopy-cmdline.sh",
    "/usr/lib/dracut/modules.d/99vmcopy/vmcopy-device.sh": "dracut/99vmcopy/vmcopy-device.sh",
    "/usr/lib/dracut/modules.d/99vmcopy/vmcopy-last.sh": "dracut/99vmcopy/vmcopy-last.sh",
    "/usr/lib/dracut/modules.d/99vmcopy-squash/module-setup.sh": "dracut/99vmcopy-squash/module-setup.sh",
  },
  "kdump-utils": {
    [MODULE]: "dracut/99vmcopy/module-setup.sh",
    "/etc/dracut.conf.d/90-vmcopy-kdump.conf": "kdump-utils/90-vmcopy-kdump.conf",
    "/usr/share/doc/vmcopy/kdump.conf.example": "kdump-utils/kdump.conf.example",
  },
  "kdump-tools": {
    "/etc/systemd/system/kdump-tools.service.d/vmcopy.conf": "kdump-tools/vmcopy.conf",
    "/etc/systemd/system/kdump-tools-dump.service.d/vmcopy.conf": "kdump-tools/vmcopy.conf",
  },
  "initramfs-tools": {
    "/etc/initramfs-tools/scripts/vmcopy-kdump": "dracut/99vmcopy/vmcopy-kdump",
    "/etc/initramfs-tools/hooks/vmcopy": "initramfs-tools/hooks/vmcopy",
    "/etc/initramfs-tools/scripts/init-premount/vmcopy": "initramfs-tools/scripts/init-premount/vmcopy",
    "/etc/initramfs-tools/scripts/local-bottom/vmcopy": "initramfs-tools/scripts/local-bottom/vmcopy",
  },
};

const install = (name: string, ...more: string[]): Promise<Ended> =>
  vmcopy("install", name, "--root", root, "--program", program, ...more);
const remove = (...more: string[]): Promise<Ended> => vmcopy("install", "--remove", "--root", root, ...more);
const read = (at: string) => readFileSync(join(root, at), "utf8");
/** Every file and link below the root, with what is in it and when it was written. */
const everything = () =>
  readdirSync(root, { recursive: true, encoding: "utf8" })
    .sort()
    .map((name) => {
      const at = join(root, name);
      const { mode, mtimeMs, ino } = lstatSync(at);
      return lstatSync(at).isDirectory() ? [name] : [name, mode, mtimeMs, ino];
    });
const states = async (ended: Promise<Ended>) =>
  Object.fromEntries(
    JSON.parse((await ended).out).files.map((file: { path: string; state: string }) => [
      file.path,
      file.state,
    ]),
  );

beforeEach(() => {
  rmSync(root, { recursive: true, force: true });
  mkdirSync(root);
  writeFileSync(program, "\x7fELF, as far as anybody looks");
});

describe.each(NAMES)("%s", (name) => {
  it("is written: the texts of dist/, the program, for everybody to read", async () => {
    const { code, out } = await install(name);
    expect(code).toBe(0);
    for (const [at, source] of Object.entries(SOURCES[name] ?? {})) {
      expect(read(at)).toBe(readFileSync(join(ROOT, "dist", source), "utf8"));
      const isScript = read(at).startsWith("#!");
      expect([at, statSync(join(root, at)).mode & 0o777]).toEqual([at, isScript ? 0o755 : 0o644]);
      expect(out).toContain(`${at} (${isScript ? "0755" : "0644"}): written\n`);
    }
    expect(read("/usr/bin/vmcopy")).toBe(readFileSync(program, "utf8"));
    expect(statSync(join(root, "usr/bin/vmcopy")).mode & 0o777).toBe(0o755);
    expect(out).toContain("\nnext: ");
  });

  it("once more: nothing changes", async () => {
    await install(name);
    const before = everything();
    const { code, out, err } = await install(name);
    expect([code, everything()]).toEqual([0, before]);
    expect(out).not.toContain("written");
    expect(err).toMatch(
      /^warning: there is no [\w-]+ in .*: these files do nothing before it is installed\n$/,
    );
  });

  it("and taken back: nothing is left, no directory either", async () => {
    await install(name);
    const { code, out } = await remove(name);
    expect([code, readdirSync(root)]).toEqual([0, []]);
    expect(out).toContain("/usr/bin/vmcopy: removed\n");
    expect((await remove(name)).out).toBe(`${name} is not installed: there is nothing to remove\n`);
  });

  it("shown before it is: every text, and nothing is written", async () => {
    const { code, out } = await install(name, "--dry-run");
    expect([code, readdirSync(root)]).toEqual([0, []]);
    for (const [at, source] of Object.entries(SOURCES[name] ?? {})) {
      const text = readFileSync(join(ROOT, "dist", source), "utf8").trimEnd();
      expect(out).toContain(`${at} (`);
      expect(out).toContain(text.replace(/^/gm, "    ").replace(/ +$/gm, ""));
    }
    expect(out).toContain("/usr/bin/vmcopy (0755, 29 B): to write\n");
  });
});

it("kdump-tools: links by the names of what vmcopy can be, right in any root", async () => {
  await install("kdump-tools");
  for (const name of ["makedumpfile", "vmcore-dmesg"]) {
    expect(readlinkSync(join(root, "usr/lib/vmcopy/bin", name))).toBe("../../../bin/vmcopy");
    expect(read(`/usr/lib/vmcopy/bin/${name}`)).toBe(readFileSync(program, "utf8"));
  }
});

describe("what somebody changed", () => {
  it("is not overwritten: exit 1, a line, and all else is done", async () => {
    await install("dracut");
    writeFileSync(join(root, MODULE), "mine\n");
    unlinkSync(join(root, "usr/bin/vmcopy"));
    const { code, err } = await install("dracut", "-q");
    expect(code).toBe(1);
    expect(err.split("\n").filter((line) => !line.startsWith("warning: "))).toEqual([
      `vmcopy: install: ${root}${MODULE} is not as vmcopy wrote it: it stays; to have vmcopy's, move it away and run this again`,
      "",
    ]);
    expect(read(MODULE)).toBe("mine\n");
    expect(existsSync(join(root, "usr/bin/vmcopy"))).toBe(true);
  });

  it("is shown as a difference", async () => {
    await install("dracut");
    const text = read(MODULE);
    writeFileSync(join(root, MODULE), text.replace("return 255", "return 0"));
    const { code, out } = await install("dracut", "--dry-run");
    expect(code).toBe(1);
    const lines = out
      .slice(out.indexOf(`${MODULE} (0755): to keep as it is\n`))
      .split("\n")
      .slice(1, 9);
    expect(lines).toEqual(
      [
        "    ...",
        "         fi",
        "         # Only where it is asked for.",
        "    -    return 0",
        "    +    return 255",
        "     }",
        "     ",
        "    ...",
      ].map((line) => line.trimEnd()),
    );
  });

  it("stays when the rest is taken back, and is its owner's then", async () => {
    await install("dracut");
    writeFileSync(join(root, MODULE), "mine\n");
    const { code, out } = await remove("dracut");
    expect(code).toBe(1);
    expect(out).toContain(`${root}${MODULE} is not as vmcopy wrote it: it stays, and is yours from now on\n`);
    const files = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    );
    expect(files.map((entry) => join(entry.parentPath, entry.name))).toEqual([join(root, MODULE)]);
    expect((await remove()).code).toBe(0);
    expect(read(MODULE)).toBe("mine\n");
  });

  it.each<[string, (at: string) => void]>([
    ["a file", (at) => writeFileSync(at, "somebody's")],
    ["a link", (at) => symlinkSync("/nowhere", at)],
    ["a directory", (at) => mkdirSync(at)],
  ])("counts before the first time too: %s", async (_, make) => {
    const at = join(root, "usr/bin/vmcopy");
    mkdirSync(dirname(at), { recursive: true });
    make(at);
    const { ino } = lstatSync(at);
    expect((await install("dracut")).code).toBe(1);
    expect(lstatSync(at).ino).toBe(ino);
    expect((await remove()).code).toBe(0);
    expect(lstatSync(at).ino).toBe(ino);
  });

  it("a file that is the same already is a package's: it is not taken away", async () => {
    mkdirSync(join(root, "usr/bin"), { recursive: true });
    writeFileSync(join(root, "usr/bin/vmcopy"), readFileSync(program));
    expect((await install("dracut")).code).toBe(0);
    expect((await remove("dracut")).code).toBe(0);
    expect(readdirSync(root, { recursive: true }).sort()).toEqual(["usr", "usr/bin", "usr/bin/vmcopy"]);
  });
});

it("a newer program takes an older one's place, as it was written", async () => {
  await install("kdump-tools");
  writeFileSync(program, "\x7fELF, a newer one");
  expect((await states(install("kdump-tools", "--json")))["/usr/bin/vmcopy"]).toBe("replaced");
  expect(read("/usr/bin/vmcopy")).toBe("\x7fELF, a newer one");
  expect((await remove()).code).toBe(0);
  expect(readdirSync(root)).toEqual([]);
});

it("two integrations share files: they go with the last", async () => {
  await install("dracut");
  await install("kdump-utils");
  const shared = await states(remove("dracut", "--json"));
  expect([shared[MODULE], shared["/usr/bin/vmcopy"]]).toEqual(["shared", "shared"]);
  expect(existsSync(join(root, MODULE))).toBe(true);
  expect((await states(remove("kdump-utils", "--json")))[MODULE]).toBe("removed");
  expect(readdirSync(root)).toEqual([]);
});

it("--remove alone takes back all, --dry-run says what it would", async () => {
  for (const name of NAMES) await install(name);
  const before = everything();
  const { code, out } = await remove("--dry-run");
  expect([code, everything()]).toEqual([0, before]);
  expect(out).toContain("/usr/bin/vmcopy: to remove\n");
  expect((await remove()).code).toBe(0);
  expect(readdirSync(root)).toEqual([]);
});

describe("a run that was interrupted", () => {
  it("after some files: the next one goes on, and all can be taken back", async () => {
    await install("dracut");
    // As it is between two files: the record is there, with all of them.
    unlinkSync(join(root, MODULE));
    rmSync(join(root, "usr/lib/dracut/modules.d/99vmcopy-squash"), { recursive: true });
    const { code, out } = await install("dracut");
    expect(code).toBe(0);
    expect(out).toContain(`${MODULE} (0755): written\n`);
    unlinkSync(join(root, MODULE));
    expect(await states(remove("--json"))).toMatchObject({ [MODULE]: "gone", "/usr/bin/vmcopy": "removed" });
    expect(readdirSync(root)).toEqual([]);
  });

  it("while a file is replaced: either one is vmcopy's", async () => {
    await install("kdump-tools");
    const at = join(root, "usr/bin/vmcopy");
    renameSync(at, path("older"));
    writeFileSync(program, "\x7fELF, a newer one");
    // Its program cannot be put there, and the record of it is written.
    mkdirSync(`${at}.new/x`, { recursive: true });
    renameSync(path("older"), at);
    expect((await install("kdump-tools")).code).toBe(2);
    expect(JSON.parse(read(RECORD)).files["/usr/bin/vmcopy"].digests).toHaveLength(2);
    rmSync(`${at}.new`, { recursive: true });
    expect((await install("kdump-tools")).code).toBe(0);
    expect(read("/usr/bin/vmcopy")).toBe("\x7fELF, a newer one");
    expect(JSON.parse(read(RECORD)).files["/usr/bin/vmcopy"].digests).toHaveLength(1);
  });
});

it("--json: one object, with what was done to which file", async () => {
  mkdirSync(join(root, "usr/bin"), { recursive: true });
  writeFileSync(join(root, "usr/bin/dracut"), "");
  const { code, out, err } = await install("dracut", "--json");
  expect([code, err]).toEqual([0, ""]);
  const report = JSON.parse(out);
  expect(report).toMatchObject({
    root,
    integration: "dracut",
    action: "install",
    dryRun: false,
    problems: [],
    warnings: [],
  });
  expect(report.files).toContainEqual({ path: MODULE, kind: "text", mode: "755", state: "written" });
  expect(report.files).toHaveLength(7);
  const shown = JSON.parse((await install("dracut", "--json", "--dry-run")).out);
  expect(shown.files.find((file: { path: string }) => file.path === MODULE)).toMatchObject({
    state: "same",
    text: read(MODULE),
  });
});

describe("errors", () => {
  it.each<[string, string]>([
    ["dracutt", "there is no integration dracutt: did you mean dracut?"],
    ["initramfs", "there is no integration initramfs: did you mean initramfs-tools?"],
    [
      "grub",
      "there is no integration grub: one of dracut, kdump-utils, kdump-tools, initramfs-tools is expected",
    ],
  ])("%s", async (name, line) => {
    const { code, err } = await install(name);
    expect([code, err]).toEqual([2, `vmcopy: install: ${line}\n`]);
    expect(readdirSync(root)).toEqual([]);
  });

  it("none is named", async () => {
    const { code, err } = await vmcopy("install", "--root", root);
    expect([code, err]).toEqual([
      2,
      `vmcopy: install: which one is to be installed? One of ${NAMES.join(", ")}\n`,
    ]);
  });

  it("no such root, no directory, no program", async () => {
    const lines: string[] = [];
    for (const args of [
      ["--root", path("none"), "--program", program],
      ["--root", program, "--program", program],
      ["--root", root],
      ["--root", root, "--program", path("none")],
      ["--root", root, "--program", import.meta.path],
    ]) {
      const { code, err } = await vmcopy("install", "dracut", ...args);
      expect(code).toBe(2);
      lines.push(err);
    }
    expect(lines.map((line) => line.replace("vmcopy: install: ", ""))).toEqual([
      `Cannot use ${path("none")} as a root directory: there is none; name the directory that the system is in (--root DIR)\n`,
      `Cannot use ${program} as a root directory: it is no directory; name the directory that the system is in (--root DIR)\n`,
      "Cannot install this program: it runs from its sources; name the one that was built (--program dist/vmcopy)\n",
      expect.stringMatching(/^Cannot read the program to install: ENOENT/),
      `Cannot install ${import.meta.path}: it is no program (no ELF file)\n`,
    ]);
  });

  it("a link that leads out of the root is not followed", async () => {
    mkdirSync(join(root, "usr"));
    mkdirSync(path("outside"), { recursive: true });
    symlinkSync(path("outside"), join(root, "usr/bin"));
    const { code, err } = await install("dracut");
    expect(code).toBe(2);
    expect(err).toContain(
      `a link there leads out of ${root}, to ${path("outside")}; run it inside (chroot ${root})`,
    );
    expect(readdirSync(path("outside"))).toEqual([]);
  });

  it("a record that is none", async () => {
    await install("dracut");
    writeFileSync(
      join(root, RECORD),
      '{"format":1,"files":{"/../x":{"digests":[],"for":["dracut"]}},"directories":[]}',
    );
    const { code, err } = await remove();
    expect(code).toBe(2);
    expect(err).toContain("is not of a format that is known here; move it away");
  });

  const mount = possible("unshare -m true") ? it : it.skip;
  mount("a root that is read-only: what to do, and nothing half", async () => {
    const { code, err } = await shell(
      `exec unshare -m bash -c 'mount -t tmpfs -o ro tmpfs ${root} && exec "$@"' - ${[
        process.execPath,
        join(ROOT, "src/cli.ts"),
        "install",
        "dracut",
        "--root",
        root,
        "--program",
        program,
      ].join(" ")}`,
    );
    expect(code).toBe(2);
    expect(err).toContain(
      "read-only file system (EROFS); mount it for writing, or name another root directory (--root DIR)\n",
    );
  });
});

it("under Deno: the same files, the same words", async () => {
  const args = ["install", "initramfs-tools", "--root", root, "--program", program, "--dry-run"];
  const deno = await run("deno", args);
  const { code, out, err } = await vmcopy(...args);
  expect([deno.exitCode, deno.stdout, deno.stderr]).toEqual([code, out, err]);
  expect(out).toContain("#!/bin/sh");
});
