/** Command lines as getopt_long(3) reads them. */
import { describe, expect, it } from "bun:test";
import { getopt } from "../../src/personalities/getopt.ts";

const SPECS = {
  level: { short: "d", takesArgument: true },
  lzo: { short: "l" },
  force: { short: "f", long: "force" },
  split: { long: "split" },
  splitBlock: { long: "splitblock-size", takesArgument: true },
  stats: { long: "show-stats" },
} as const;

/** Options as name, or name=argument. */
const read = (line: string) => {
  const { options, operands, problem } = getopt(line.split(" ").filter(Boolean), SPECS);
  const given = options.map(({ name, argument }) => (argument === undefined ? name : `${name}=${argument}`));
  return { given: given.join(" "), operands: operands.join(" "), problem };
};

describe("what is read", () => {
  it.each([
    ["a b", "", "a b"],
    ["-d31 a b", "level=31", "a b"],
    ["-d 31 a b", "level=31", "a b"],
    ["-ld31 a b", "lzo level=31", "a b"],
    ["-ld 31 a b", "lzo level=31", "a b"],
    ["-dl a b", "level=l", "a b"],
    ["-lfl", "lzo force lzo", ""],
    ["a -l b -d 1,31", "lzo level=1,31", "a b"],
    ["-l -- -f a", "lzo", "-f a"],
    ["- a", "", "- a"],
    ["-d -1 a", "level=-1", "a"],
    ["-d -- a", "level=--", "a"],
    ["--splitblock-size=64 a", "splitBlock=64", "a"],
    ["--splitblock-size 64 a", "splitBlock=64", "a"],
    ["--splitblock-size= a", "splitBlock=", "a"],
    ["--split a", "split", "a"],
    ["--splitb 64 a", "splitBlock=64", "a"],
    ["--show a", "stats", "a"],
    ["--forc a", "force", "a"],
    ["", "", ""],
  ])("%j", (line, given, operands) => {
    expect(read(line)).toEqual({ given, operands, problem: undefined });
  });
});

describe("what cannot be", () => {
  it.each([
    ["-l -y a", "lzo", "invalid option -- 'y'"],
    ["-ly a", "lzo", "invalid option -- 'y'"],
    ["--foo a", "", "unrecognized option '--foo'"],
    ["--foo=1 a", "", "unrecognized option '--foo'"],
    ["-l -d", "lzo", "option requires an argument -- 'd'"],
    ["--splitblock-size", "", "option '--splitblock-size' requires an argument"],
    ["--split=3 a", "", "option '--split' doesn't allow an argument"],
    ["--s a", "", "option '--s' is ambiguous; possibilities: '--split' '--splitblock-size' '--show-stats'"],
  ])("%j", (line, given, problem) => {
    expect(read(line)).toMatchObject({ given, problem });
  });
});
