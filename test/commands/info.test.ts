/** vmcopy info as people and programs see it: text, JSON, exit codes, and the same from Bun and Deno. */
import { beforeAll, describe, expect, it } from "bun:test";
import { writeFileSync } from "node:fs";
import { toText } from "../../src/commands/info-text.ts";
import { describeVmcore } from "../../src/info/describe.ts";
import { Vmcore } from "../../src/vmcore/vmcore.ts";
import { BUN, DENO, libc, ROOT, temporaryFolder } from "../support/files.ts";
import { writeCrafted, writeSampleFile } from "../support/sample.ts";

const path = temporaryFolder();
const sample = path("sample.core");
beforeAll(() => {
  writeSampleFile(sample, { size: 16 << 20 });
});

function run(...args: string[]): { exitCode: number; out: string; err: string } {
  const { exitCode, stdout, stderr } = Bun.spawnSync([BUN, "src/cli.ts", ...args], { cwd: ROOT });
  return { exitCode, out: stdout.toString(), err: stderr.toString() };
}

function text(file: string, columns: number): string {
  using vmcore = Vmcore.open(libc, file);
  return toText(describeVmcore(vmcore), { columns, colours: false });
}

describe("vmcopy info", () => {
  it("prints one JSON object, addresses in hexadecimal", () => {
    const { exitCode, out } = run("info", "--json", sample);
    expect(exitCode).toBe(0);
    const json = JSON.parse(out);
    expect(json).toMatchObject({
      path: sample,
      elf: { class: 64, littleEndian: true, machine: "x86_64" },
      kernelRelease: "6.1.0-sample-amd64",
      crashTime: 1_700_000_000,
      crashTimeIso: "2023-11-14T22:13:20Z",
      pageSize: 4096,
      cpus: 4,
    });
    expect(json.segments[0].virtualAddress).toMatch(/^0xffffffff[0-9a-f]{8}$/);
    expect(json.segments[1].physicalAddress).toBe("0x1000");
    expect(json.vmcoreinfo["SIZE(page)"]).toBe("64");
    expect(json.totals.segments).toBe(json.segments.length);
  });

  it("gives the same JSON under Deno", () => {
    const deno = Bun.spawnSync([DENO, "run", "-A", "src/cli.ts", "info", "--no-pages", "--json", sample], {
      cwd: ROOT,
    });
    expect(deno.exitCode).toBe(0);
    expect(deno.stdout.toString()).toBe(run("info", "--no-pages", "--json", sample).out);
  });

  it("prints VMCOREINFO alone when asked", () => {
    const { out } = run("info", "--vmcoreinfo", sample);
    expect(out).toStartWith("OSRELEASE=6.1.0-sample-amd64\nBUILD-ID=");
    expect(
      out
        .trimEnd()
        .split("\n")
        .every((line) => /^[^=]+=/.test(line)),
    ).toBe(true);
  });

  it("refuses what is no vmcore with one line and exit code 2", () => {
    writeFileSync(
      path("text"),
      "this is not a vmcore, but it is long enough to hold an ELF header, is it not?",
    );
    const { exitCode, out, err } = run("info", path("text"));
    expect([exitCode, out]).toEqual([2, ""]);
    expect(err).toMatch(/^vmcopy: info: Cannot read .*: no ELF header \(it begins with 74 68 69 73\)\n$/);
    expect(JSON.parse(run("info", "--json", path("text")).out).error.code).toBe("E_NOT_VMCORE");
  });

  it("refuses a second path", () => {
    const { exitCode, err } = run("info", sample, "other");
    expect(exitCode).toBe(2);
    expect(err).toContain("too many paths (other)");
  });

  it("lets no control character of the file through", () => {
    // CSI as one byte (0x9b), as ESC [, and a title sequence; in keys, values and the release.
    const vmcoreinfo = "OSRELEASE=6.1\x1b[2J\x9b31m\nKEY\x1b]0;x\x07=va\rlue\x7f\n";
    const file = path("hostile.core");
    writeCrafted(file, { vmcoreinfo, loads: [{ physicalAddress: 0n, size: 4096 }] });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    const control = /[\x00-\x09\x0b-\x1f\x7f-\x9f]/;
    for (const args of [[], ["--vmcoreinfo"], ["--json"]]) {
      const { exitCode, out } = run("info", ...args, file);
      expect(exitCode).toBe(0);
      expect(out).not.toMatch(control);
      if (args[0] === "--json") expect(JSON.stringify(JSON.parse(out))).not.toContain("\\u00");
    }
  });
});

describe("the text", () => {
  it.each([60, 80, 100, 132])("fits %i columns", (columns) => {
    const lines = text(sample, columns).split("\n");
    const { segments } = (() => {
      using vmcore = Vmcore.open(libc, sample);
      return describeVmcore(vmcore);
    })();
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(columns);
    // Figures are never left out, nor cut.
    for (const { physicalAddress } of segments) {
      expect(lines.some((line) => line.includes(`0x${physicalAddress?.toString(16)}-`))).toBe(true);
    }
  });

  it("shows 40 segments and says how many more there are", () => {
    const file = path("many.core");
    const loads = Array.from({ length: 100 }, (_, i) => ({
      physicalAddress: BigInt(i) * 0x2000n,
      size: 0x1000,
    }));
    writeCrafted(file, { loads });
    const shown = text(file, 80);
    expect(shown.match(/^ *\d+ +RAM /gm)).toHaveLength(40);
    expect(shown).toContain("... and 60 more segments: --json has them all");
    expect(shown).toContain("99 holes");
    expect(JSON.parse(run("info", "--json", file).out).segments).toHaveLength(100);
  });

  it("says what is incomplete, unknown or not said", () => {
    const file = path("poor.core");
    writeCrafted(file, {
      flags: 1,
      vmcoreinfo: "",
      loads: [{ physicalAddress: 0x1000n, size: 0x1000 }],
      change: ([note, load]) => [note, { ...load, physicalAddress: (1n << 64n) - 1n }] as never,
    });
    const shown = text(file, 80);
    expect(shown).toContain("INCOMPLETE");
    expect(shown).toMatch(/unknown .* no p_paddr\n/);
    expect(shown).toContain("Of no segment the physical address is known.");
    expect(shown).toMatch(/kernel +not said/);
  });
});
