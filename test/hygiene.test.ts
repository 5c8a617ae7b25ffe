/** What no tracked file may hold: hosts of package registries, and places on somebody's machine. */
import { describe, expect, it } from "bun:test";
import { existsSync, lstatSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { ROOT } from "./support/files.ts";

const listed = Bun.spawnSync(["git", "-C", ROOT, "ls-files", "-z"], { stderr: "ignore" });
const isCheckout = listed.exitCode === 0 && listed.stdout.length > 0;

const THIS = "test/hygiene.test.ts";
const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

const FORBIDDEN: [what: string, pattern: RegExp][] = [
  [
    "the host of a package registry",
    /\bregistry\.[a-z0-9-]+\.[a-z]+|\b(npmjs|yarnpkg)\.(org|com)\b|\/\/[^/\s"']*\b(artifactory|nexus|verdaccio|codeartifact)\b/i,
  ],
  ["a registry setting", /^\s*(@[\w-]+:)?registry\s*=/m],
  ["a token", /_authToken|\bnpm_[A-Za-z0-9]{36}\b/],
  ["a home folder", /(^|[\s"'`(=:])\/(home\/[a-z][\w.-]*|Users\/\w[\w.-]*)\//m],
];
// Where this checkout lies, and who looks at it: unless that is a word as common as "/root" or "/app".
for (const [what, path] of [
  ["the folder of this checkout", ROOT],
  ["this user's home folder", homedir()],
] as const) {
  if (path.split("/").length > 2) FORBIDDEN.push([what, new RegExp(`${escaped(path)}(?![\\w-])`)]);
}

/** Tracked text files that are there, with their contents. */
function* textFiles(): Generator<[file: string, text: string]> {
  for (const file of listed.stdout.toString().split("\0")) {
    if (file === "" || file === THIS) continue;
    const path = join(ROOT, file);
    // A file that was just removed is still listed until that is committed.
    if (lstatSync(path, { throwIfNoEntry: false })?.isFile() !== true) continue;
    const bytes = readFileSync(path);
    if (!bytes.includes(0)) yield [file, bytes.toString()];
  }
}

describe.skipIf(!isCheckout)(`tracked files (${isCheckout ? "by git" : "left out: no git checkout"})`, () => {
  it.each(FORBIDDEN)("hold nowhere %s", (_, pattern) => {
    const found: string[] = [];
    let count = 0;
    for (const [file, text] of textFiles()) {
      count++;
      const match = pattern.exec(text);
      if (match !== null) found.push(`${file}: ${match[0].trim()}`);
    }
    expect(count).toBeGreaterThan(100);
    expect(found).toEqual([]);
  });
});

describe("package-lock.json", () => {
  const lock = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8"));
  const packages: [string, Record<string, unknown>][] = Object.entries(lock.packages);

  it("names no host to download from", () => {
    expect(packages.length).toBeGreaterThan(10);
    expect(packages.filter(([, entry]) => "resolved" in entry).map(([name]) => name)).toEqual([]);
  });

  it("has the checksum of every package, but of programs for other platforms that not every registry has", () => {
    const without = packages.filter(([name, entry]) => name !== "" && !("integrity" in entry));
    for (const [name, entry] of without) {
      expect([name, entry.optional, "os" in entry && "cpu" in entry]).toEqual([name, true, true]);
      expect([name, existsSync(join(ROOT, name))]).toEqual([name, false]);
    }
  });
});

it.each<[string, number]>([
  [["registry", "example", "org"].join("."), 0],
  [`https://x.${["npm", "js"].join("")}.org/`, 0],
  [`//host/:${["_auth", "Token"].join("")}=x`, 2],
  [` ${["", "home", "somebody", "src"].join("/")}`, 3],
])("the pattern finds %s", (text, index) => {
  expect((FORBIDDEN[index] as [string, RegExp])[1].test(text)).toBeTrue();
});
