/** The crashed kernel's log, called as makedumpfile --dump-dmesg and as vmcore-dmesg, beside the programs themselves. */
import { afterEach, beforeAll, describe, expect, it } from "bun:test";
import { closeSync, copyFileSync, openSync, readFileSync, statSync, writeSync } from "node:fs";
import { temporaryFolder } from "../support/files.ts";
import { called, shell, vmcopy } from "../support/program.ts";
import { writeSampleFile } from "../support/sample.ts";

const path = temporaryFolder();
const source = path("vmcore");
const dest = path("dump");
const log = path("log");
const ours = (...args: string[]) => called("makedumpfile", ...args);
const theirs = (...args: string[]) => shell(`makedumpfile ${args.join(" ")}`);
const same = (a: string, b: string) => Buffer.compare(readFileSync(a), readFileSync(b)) === 0;

beforeAll(() => {
  writeSampleFile(source, { size: 32 << 20, seed: 5 });
});

afterEach(async () => {
  await shell(`rm -f ${dest}* ${log}*`);
});

describe("the log", () => {
  it("is theirs, byte by byte, from a vmcore and from dumps", async () => {
    expect((await theirs("--dump-dmesg", source, `${log}.right`)).code).toBe(0);
    const right = readFileSync(`${log}.right`, "utf8");
    expect(right).toContain("Kernel panic");
    await ours("-z", "-d", "31", source, dest);
    for (const from of [source, dest]) {
      const { code, out, err } = await ours("--dump-dmesg", "-f", from, log);
      expect([code, err]).toEqual([0, ""]);
      expect(out).toBe(`\nThe dmesg log is saved to ${log}.\n\nmakedumpfile Completed.\n`);
      expect(readFileSync(log, "utf8")).toBe(right);
      expect(statSync(log).mode & 0o777).toBe(0o600);
    }
    expect((await ours("--dump-dmesg", "-F", source)).out).toBe(right);
    expect(await called("vmcore-dmesg", source)).toEqual(await shell(`vmcore-dmesg ${source}`));
  });

  it("--partial-dmesg is theirs too: what came after it was cleared", async () => {
    const cleared = `${dest}.cleared`;
    copyFileSync(source, cleared);
    const { "SYMBOL(clear_seq)": symbol } = JSON.parse(
      (await vmcopy("info", "--json", "--vmcoreinfo", source)).out,
    );
    const { segments } = JSON.parse((await vmcopy("info", "--json", "--no-pages", source)).out);
    const parts = segments.map(
      (segment: { offset: number; fileSize: number; virtualAddress: string; physicalAddress: string }) => ({
        ...segment,
        virtual: BigInt(segment.virtualAddress),
        physical: Number(segment.physicalAddress),
      }),
    );
    const text = parts.find(({ virtual }: { virtual: bigint }) => virtual >= 0xffff_ffff_8000_0000n);
    const physical = text.physical + Number(BigInt(`0x${symbol}`) - text.virtual);
    const file = openSync(cleared, "r+");
    // latched_seq: an odd count says that the second value is the valid one. The kernel's text is in two PT_LOADs.
    const latch = new BigUint64Array([1n, 3n, 20n]);
    for (const part of parts) {
      const at = physical - part.physical;
      if (at >= 0 && at < part.fileSize) writeSync(file, latch, 0, 24, part.offset + at);
    }
    closeSync(file);
    await theirs("--dump-dmesg", "--partial-dmesg", cleared, `${log}.right`);
    expect((await ours("--dump-dmesg", "--partial-dmesg", cleared, log)).err).toBe("");
    expect(same(log, `${log}.right`)).toBe(true);
    const [all, part] = [source, cleared].map(
      async (from) => (await ours("-F", "--dump-dmesg", "--partial-dmesg", from)).out,
    );
    expect((await all)?.endsWith((await part) ?? "")).toBe(true);
    expect((await all)?.split("\n").length).toBe(20 + ((await part)?.split("\n").length ?? 0));
  });
});

describe("vmcore-dmesg", () => {
  it.each<[string[], number, RegExp]>([
    [[], 1, /^usage: vmcore-dmesg/],
    [[source, "more"], 1, /^usage: vmcore-dmesg/],
    [[path("none")], 2, /^vmcore-dmesg: Cannot open .*none: no such file/],
    [[import.meta.path], 2, /^vmcore-dmesg: Cannot read/],
  ])("%p: one line, and nothing on standard output", async (args, code, line) => {
    const ended = await called("vmcore-dmesg", ...args);
    expect([ended.code, ended.out]).toEqual([code, ""]);
    expect(ended.err).toMatch(line);
    expect(ended.err.trimEnd()).not.toContain("\n");
  });
});
