/** Command lines that are wrong: exit code 2, one line that says what is wrong, one JSON object where asked for. */
import { describe, expect, it } from "bun:test";
import { writeFileSync } from "node:fs";
import { temporaryFolder } from "../support/files.ts";
import { run } from "../support/runtimes.ts";
import { buildVmcore } from "../support/vmcores.ts";

const path = temporaryFolder();
const vmcore = path("vmcore");
writeFileSync(vmcore, buildVmcore({ loads: [{ offset: 0, length: 65536 }] }).bytes);
const dest = path("dest");

const CASES: [string, string[], RegExp][] = [
  ["an unknown command", ["cpy", vmcore, dest], /unknown command 'cpy'.*copy/],
  ["an unknown option", ["copy", "--spare", vmcore, dest], /unknown option '--spare'.*--sparse/],
  ["an unknown short option", ["verify", "-z", vmcore], /unknown option '-z'/],
  ["copy: no paths", ["copy"], /missing/],
  ["copy: three paths", ["copy", vmcore, dest, "more"], /too many paths \(more\)/],
  ["verify: no paths", ["verify"], /missing/],
  ["verify: three paths", ["verify", vmcore, dest, "more"], /usage: vmcopy verify/],
  ["bench: two paths", ["bench", vmcore, "more"], /too many arguments/],
  ["info: two paths", ["info", vmcore, "more"], /too many paths \(more\)/],
  ["probe: two paths", ["probe", vmcore, "more"], /too many/],
  ["capture: a path", ["capture", vmcore], /too many arguments/],
  ["capture --keep 0", ["capture", "--keep", "0", "--source", vmcore, "--to", dest], /--keep/],
  [
    "capture --on-failure pray",
    ["capture", "--on-failure", "pray", "--source", vmcore, "--to", dest],
    /pray/,
  ],
  ["capture --name with a slash", ["capture", "--name", "a/b", "--source", vmcore, "--to", dest], /--name/],
  ["arm: no kernel", ["arm"], /--kernel is missing/],
  ["arm: a path", ["arm", "--kernel", vmcore, "more"], /too many arguments/],
  ["arm --kernel of something else", ["arm", "--kernel", vmcore], /has to be a bzImage/],
  ["arm --kernel of nothing", ["arm", "--kernel", dest], /no such file/],
  ["arm --unload and more", ["arm", "--unload", "--kernel", vmcore], /--unload goes with no other option/],
  [
    "arm: two command lines",
    ["arm", "--kernel", vmcore, "--command-line", "a", "--reuse-command-line"],
    /exclude each other/,
  ],
  ["sample: no path", ["sample"], /missing/],
  ["sample: two paths", ["sample", dest, "more"], /too many arguments/],
  ["an unknown format", ["copy", "-f", "zip", vmcore, dest], /zip.*raw/],
  ["an option without its value", ["copy", vmcore, dest, "--map-size"], /--map-size.*missing/],
  ["JSON and the dump on one stream", ["copy", "--json", vmcore, "-"], /--json/],
  ...["0", "1", "5000", "4K5", "-4K", "4Q", "", "1e6", "99999999999999999999G"].map(
    (size): [string, string[], RegExp] => [
      `--map-size ${size}`,
      ["copy", `--map-size=${size}`, vmcore, dest],
      /--map-size/,
    ],
  ),
  ["sample --size", ["sample", "--size", "12Z", dest], /--size/],
  ["sample --size 0", ["sample", "--size", "0", dest], /size/],
  ["sample --ram below --size", ["sample", "--size", "64M", "--ram", "1M", dest], /ram/i],
  ["sample --cpus 0", ["sample", "--cpus", "0", dest], /--cpus/],
  ["sample --seed 1.5", ["sample", "--seed", "1.5", dest], /--seed/],
  ["bench --map-sizes 5K", ["bench", "--map-sizes", "5K", vmcore], /--map-sizes/],
  ["bench --map-sizes 3 words", ["bench", "--map-sizes", "4K..8K..16K", vmcore], /--map-sizes/],
  ["bench --read-sizes 8M", ["bench", "--read-sizes", "8M", vmcore], /--read-sizes/],
  ["bench --modes write", ["bench", "--modes", "write", vmcore], /--modes/],
  ["bench --repeat 0", ["bench", "--repeat", "0", vmcore], /--repeat/],
];

function expectOneLine(stderr: string, words: RegExp): void {
  expect(stderr).toMatch(/^vmcopy: [^\n]+\n$/);
  expect(stderr).toMatch(words);
  expect(stderr).not.toMatch(/\n\s+at |E_INTERNAL|should not happen/);
}

describe("a wrong command line", () => {
  it.concurrent.each(CASES)("%s", async (_, args, words) => {
    const { exitCode, stdout, stderr } = await run("bun", args);
    expect(exitCode).toBe(2);
    expectOneLine(stderr, words);
    if (!args.includes("--json")) expect(stdout).toBe("");
  });

  it("no command: the help, then the line", async () => {
    const { exitCode, stdout, stderr } = await run("bun", []);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
    expect(stderr.trimEnd().split("\n").at(-1)).toMatch(/^vmcopy: a command is missing/);
  });

  it.concurrent.each(CASES.filter((_, i) => i % 3 === 0))("as JSON: %s", async (_, args, words) => {
    const { exitCode, stdout, stderr } = await run("bun", [...args, "--json"]);
    expect(exitCode).toBe(2);
    expect(stdout.trimEnd().split("\n")).toHaveLength(1);
    const { error, ...rest } = JSON.parse(stdout);
    expect(rest).toEqual({});
    expect(error.code).toBe("E_USAGE");
    expect(error.message).toMatch(words);
    expectOneLine(stderr, words);
  });
});

it("leaves nothing behind", async () => {
  expect([...new Bun.Glob("dest*").scanSync(path("."))]).toEqual([]);
});

describe("help and version", () => {
  it.concurrent.each([
    [["--help"], /Exit codes: 0 done/],
    [["copy", "--help"], /--map-size/],
    [["capture", "--help"], /--on-failure.*On a workstation nothing happens to the machine/s],
    [["--version"], /^\d+\.\d+\.\d+\n$/],
  ])("%p is a result", async (args, words) => {
    const { exitCode, stdout, stderr } = await run("bun", args);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(stdout).toMatch(words);
  });
});
