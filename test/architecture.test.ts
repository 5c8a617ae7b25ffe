/**
 * Which folder may import which, and what only some files may do. The rules are data; a violation names the
 * file and the import.
 */
import { describe, expect, it } from "bun:test";
import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { ROOT } from "./support/files.ts";

/** A file, or every file of a folder where it ends with a slash. */
type Place = string;

/** Anybody above ffi may import these. */
const LEAVES: Place[] = [
  "src/errors.ts",
  "src/job.ts",
  "src/version.ts",
  "src/memory-usage.ts",
  "src/units.ts",
  "src/kernel-parameters.ts",
];
/** Programs of their own, at build time. */
const PROGRAMS: Place[] = ["src/pack/build.ts", "src/kernels/build.ts", "src/initramfs/build.ts"];

/** An engine does the work of a command. */
const ENGINE: Place[] = [
  "src/dump/",
  "src/filter/",
  "src/codec/",
  "src/sink/",
  "src/vmcore/",
  "src/kernels/",
  "ffi/",
  ...LEAVES,
];
const ENGINES = ["copy", "verify", "bench", "probe", "sample", "info", "dmesg", "arm", "install"].map(
  (name) => `src/${name}/`,
);
/** Engines that another one, capture, puts together. */
const CAPTURED: Place[] = ["src/copy/", "src/verify/", "src/dmesg/"];

/** From top to bottom: who may import what, besides files of the same folder. The first that fits a file counts. */
const IMPORTS: [from: Place, to: Place[]][] = [
  ["src/cli.ts", ["src/commands/", "src/personalities/personality.ts", "src/ui/", "ffi/", ...LEAVES]],
  // Other programs' command lines: engines below them, as below the commands.
  ["src/personalities/", ["src/personalities/", "src/appliance/", ...ENGINES, ...ENGINE, "src/ui/"]],
  ["src/commands/", [...ENGINES, "src/capture/", ...ENGINE, "src/ui/"]],
  ["src/appliance/", ["src/capture/", ...ENGINE]],
  ["src/capture/", [...CAPTURED, ...ENGINE]],
  // What ships is in the program too, as text.
  ["src/install/", ["dist/", ...ENGINE]],
  // The renderers draw by the means of the terminal's tables.
  ["src/bench/report.ts", [...ENGINE, "src/ui/"]],
  ...ENGINES.map((engine): [Place, Place[]] => [engine, ENGINE]),
  ["src/dump/", ["src/codec/", "src/sink/sink.ts", "src/vmcore/", "src/kernels/", "ffi/", ...LEAVES]],
  ["src/codec/", ["src/kernels/", "ffi/", ...LEAVES]],
  ["src/filter/", ["src/vmcore/", "src/kernels/", "ffi/", ...LEAVES]],
  ["src/sink/", ["src/vmcore/", "ffi/", ...LEAVES]],
  ["src/vmcore/", ["ffi/", ...LEAVES]],
  ["src/ui/", LEAVES],
  ["src/kernels/", []],
  ["src/pack/", ["src/kernels/build.ts"]],
  ["src/initramfs/", ["src/pack/"]],
  ["src/memory-usage.ts", []],
  ["src/errors.ts", []],
  ["src/job.ts", []],
  ["src/version.ts", ["package.json"]],
  ["src/units.ts", []],
  ["src/kernel-parameters.ts", []],
  ["ffi/", []],
];

/** Who may import a package; `node:` modules are free to all. */
const PACKAGES: [name: RegExp, allowed: Place[]][] = [
  [/^bun:/, ["ffi/bun.ts", "src/pack/", "src/kernels/build.ts"]],
  [/^commander$/, ["src/cli.ts", "src/commands/", "src/initramfs/build.ts"]],
  [/^kleur/, ["src/ui/"]],
  [/^smol-toml$/, ["src/capture/"]],
  [/^assemblyscript/, ["src/kernels/build.ts"]],
];

/** Words that only some files may use. */
const WORDS: [word: RegExp, allowed: Place[], why: string][] = [
  [/\bprocess\.(argv|exit\()/, ["src/cli.ts", ...PROGRAMS], "only src/cli.ts knows arguments and exits"],
  [
    /\bconsole\.|\bprocess\.(stdout|stderr)\b/,
    ["src/cli.ts", "src/ui/terminal.ts", ...PROGRAMS],
    "nothing below the program prints but the terminal",
  ],
  [/\bDeno\b/, ["ffi/backend.ts", "ffi/deno.ts"], "only the backend knows the runtime"],
];

const LONGEST = 350;

const files = ["src", "ffi"]
  .flatMap((folder) => [...new Bun.Glob(`${folder}/**/*.ts`).scanSync(ROOT)])
  // Compiled by AssemblyScript, which has rules of its own; and what is generated.
  .filter((file) => !file.startsWith("src/kernels/assembly/") && !file.endsWith(".generated.ts"))
  .sort();

const within = (file: string, place: Place) =>
  place.endsWith("/") ? file.startsWith(place) : file === place;

/** A file's code without lines that are comments. */
function codeOf(file: string): string {
  const lines = readFileSync(join(ROOT, file), "utf8").split("\n");
  return lines.filter((line) => !/^\s*(\/\/|\/\*|\*)/.test(line)).join("\n");
}

/** What a file imports, types too. */
function importsOf(code: string): string[] {
  const found = code.matchAll(
    /(?:^|\n|;)\s*(?:import|export)\b[^;"']*?\bfrom\s*["']([^"']+)["']|\bimport\s*\(?\s*["']([^"']+)["']/g,
  );
  return [...found].map(([, from, plain]) => (from ?? plain) as string);
}

/** Why a file may not import something; undefined where it may. */
function violation(file: string, imported: string): string | undefined {
  if (imported.startsWith("node:")) return undefined;
  if (!imported.startsWith(".")) {
    const rule = PACKAGES.find(([name]) => name.test(imported));
    if (rule === undefined) return `${file} imports ${imported}: no rule allows this package`;
    if (rule[1].some((place) => within(file, place))) return undefined;
    return `${file} imports ${imported}: only ${rule[1].join(", ")} may`;
  }
  const target = normalize(join(dirname(file), imported));
  if (!/\.(ts|json)$|^dist\//.test(target)) return `${file} imports ${imported}: without its extension`;
  if (dirname(target) === dirname(file) && dirname(file) !== "src") return undefined;
  const rule = IMPORTS.find(([from]) => within(file, from));
  if (rule === undefined) return `${file} imports ${imported}: no rule is for this file`;
  if (rule[1].some((place) => within(target, place))) return undefined;
  return `${file} imports ${imported}: ${rule[0]} may import ${rule[1].join(", ") || "nothing"}`;
}

describe("the house", () => {
  it("has a rule for every file", () => {
    expect(files.length).toBeGreaterThan(60);
    expect(files.filter((file) => !IMPORTS.some(([from]) => within(file, from)))).toEqual([]);
  });

  it("imports point down", () => {
    const all = files.flatMap((file) => importsOf(codeOf(file)).map((imported) => violation(file, imported)));
    expect(all.length).toBeGreaterThan(200);
    expect(all.filter((found) => found !== undefined)).toEqual([]);
  });

  it.each(WORDS)("%p only where it belongs", (word, allowed, why) => {
    const found = files
      .filter((file) => !allowed.some((place) => within(file, place)))
      .flatMap((file) => {
        const match = word.exec(codeOf(file));
        return match === null ? [] : [`${file} uses ${match[0]}: ${why}`];
      });
    expect(found).toEqual([]);
  });

  it("every file opens with a comment that says what it is for", () => {
    const silent = files.filter(
      (file) => !/^(#!.*\n)?(\/\*|\/\/)[\s*`]*\w/.test(readFileSync(join(ROOT, file), "utf8")),
    );
    expect(silent).toEqual([]);
  });

  it(`no file is longer than ${LONGEST} lines`, () => {
    const long = files.filter((file) => readFileSync(join(ROOT, file), "utf8").split("\n").length > LONGEST);
    expect(long).toEqual([]);
  });
});

describe("the rules themselves", () => {
  it("see every way to import", () => {
    const code = `import "./a.ts";
import b from "./b.ts";
import type { C } from "./c.ts";
import {
  d,
} from "./d.ts";
export { e } from "./e.ts";
export * from "./f.ts";
const g = await import("./g.ts");`;
    expect(importsOf(code)).toEqual(["a", "b", "c", "d", "e", "f", "g"].map((name) => `./${name}.ts`));
  });

  it.each([
    ["src/vmcore/elf.ts", "../copy/raw.ts"],
    ["src/vmcore/elf.ts", "../ui/table.ts"],
    ["src/copy/raw.ts", "../verify/verify.ts"],
    ["src/copy/raw.ts", "../capture/capture.ts"],
    ["src/capture/capture.ts", "../info/pages.ts"],
    ["src/capture/capture.ts", "../appliance/appliance.ts"],
    ["src/appliance/appliance.ts", "../copy/raw.ts"],
    ["src/commands/capture.ts", "smol-toml"],
    ["src/copy/raw.ts", "../ui/progress.ts"],
    ["src/sink/file.ts", "../dump/manifest.ts"],
    ["ffi/libc.ts", "../src/errors.ts"],
    ["src/pack/build.ts", "../vmcore/elf.ts"],
    ["src/copy/raw.ts", "../commands/copy.ts"],
    ["src/commands/copy.ts", "../cli.ts"],
    ["src/personalities/vmcore-dmesg.ts", "../commands/dmesg.ts"],
    ["src/copy/raw.ts", "../personalities/getopt.ts"],
    ["src/errors.ts", "./job.ts"],
    ["src/copy/raw.ts", "bun:ffi"],
    ["src/copy/raw.ts", "commander"],
    ["src/vmcore/elf.ts", "./notes"],
    ["src/cli.ts", "left-pad"],
  ])("forbid %s to import %s", (file, imported) => {
    expect(violation(file, imported)).toStartWith(`${file} imports ${imported}: `);
  });

  it.each([
    ["src/copy/raw.ts", "../units.ts"],
    ["src/vmcore/elf.ts", "./notes.ts"],
    ["src/vmcore/elf.ts", "../../ffi/file.ts"],
    ["src/verify/verify.ts", "../dump/manifest.ts"],
    ["src/capture/dump.ts", "../copy/raw.ts"],
    ["src/capture/config-file.ts", "smol-toml"],
    ["src/bench/report.ts", "../ui/table.ts"],
    ["src/sink/file.ts", "node:path"],
    ["ffi/bun.ts", "bun:ffi"],
  ])("allow %s to import %s", (file, imported) => {
    expect(violation(file, imported)).toBeUndefined();
  });
});
