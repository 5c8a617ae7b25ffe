/** The loader's ELF file: what it is, and that it does nothing for anyone but PID 1. */
import { afterAll, beforeAll, describe, expect, it } from "bun:test";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assembleLoader, type LoaderPlan } from "../../src/initramfs/loader.ts";
import { ET_EXEC, PF_W, PF_X, PT_INTERP, PT_LOAD, readElf64 } from "../../src/pack/elf64.ts";

const plan: LoaderPlan = {
  source: { kind: "file", path: "/vmcopy.sqsh" },
  fileSystem: "squashfs",
  modules: ["/modules/loop.ko"],
  program: "vmcopy",
  environment: ["NAME=value"],
};
const plans: [string, LoaderPlan][] = [
  ["a file", plan],
  ["the retained initrd", { ...plan, source: { kind: "retained", offset: 512 } }],
  ["a disk", { ...plan, source: { kind: "device", path: "/dev/vdc", seconds: 5 } }],
  ["nothing but the program", { ...plan, modules: [], environment: [] }],
];

describe.each(plans)("the loader for %s", (_, which) => {
  const bytes = assembleLoader(which);
  const elf = readElf64(bytes, "the loader");

  it("is a static program without a segment that is both written and run", () => {
    expect([elf.type, elf.machine]).toEqual([ET_EXEC, 62]);
    expect(elf.programHeaders.some(({ type }) => type === PT_INTERP)).toBe(false);
    const both = PF_W | PF_X;
    expect(elf.programHeaders.filter(({ flags }) => (flags & both) === both)).toEqual([]);
  });

  it("starts within what is mapped to run", () => {
    const [code] = elf.programHeaders.filter(({ type, flags }) => type === PT_LOAD && (flags & PF_X) !== 0);
    expect(code).toMatchObject({ offset: 0, fileSize: bytes.length });
    const { address = 0, fileSize = 0 } = code ?? {};
    expect(elf.entry).toBeGreaterThan(address);
    expect(elf.entry).toBeLessThan(address + fileSize);
  });

  it("is small", () => expect(bytes.length).toBeLessThan(4096));
});

describe("the loader", () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "vmcopy-test-"));
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it.skipIf(process.arch !== "x64")("runs, and refuses to be anyone but PID 1", () => {
    const path = join(directory, "init");
    writeFileSync(path, assembleLoader(plan));
    chmodSync(path, 0o755);
    const { status, stdout, stderr } = spawnSync(path, [], { encoding: "utf8", cwd: directory });
    expect([status, stdout, stderr]).toEqual([
      2,
      "",
      "vmcopy: this is /init of an initramfs: nobody but PID 1 may run it\n",
    ]);
  });

  it("refuses a retained squashfs that starts within a sector", () => {
    const source = { kind: "retained", offset: 100 } as const;
    expect(() => assembleLoader({ ...plan, source })).toThrow("not a multiple of 512 (100)");
  });

  it("refuses more variables than it has room for", () => {
    const environment = Array.from({ length: 200 }, (_, i) => `V${i}=`);
    expect(() => assembleLoader({ ...plan, environment })).toThrow("more than 95 variables (200)");
  });
});
