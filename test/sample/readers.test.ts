/** Other tools read a sample: those of them that are installed. */
import { afterAll, beforeAll, describe, expect, it } from "bun:test";
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PAGE, planMachine } from "../../src/sample/plan.ts";
import { writeSample } from "../../src/sample/sample.ts";
import { locate, RELEASE } from "../../src/sample/symbols.ts";

const OPTIONS = { size: 32 * 2 ** 20, seed: 3, cpus: 2 };
const folder = mkdtempSync(join(tmpdir(), "vmcopy-sample-"));
const file = join(folder, "vmcore");
const run = (...command: string[]) => {
  const { exitCode, stdout, stderr } = Bun.spawnSync(command);
  return { exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
};

beforeAll(() => {
  const fd = openSync(file, "w");
  writeSample(
    {
      truncate: (size) => ftruncateSync(fd, size),
      write: (offset, bytes) => {
        for (let done = 0; done < bytes.length; )
          done += writeSync(fd, bytes, done, bytes.length - done, offset + done);
      },
    },
    OPTIONS,
  );
  closeSync(fd);
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("a sample", () => {
  it.skipIf(!Bun.which("readelf"))("is read by readelf without a warning", () => {
    const { exitCode, stdout, stderr } = run("readelf", "-hlnW", file);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(stdout).toMatch(/Type: +CORE/);
    expect(stdout.match(/NT_PRSTATUS/g)?.length).toBe(OPTIONS.cpus);
    expect(stdout).toContain("VMCOREINFO");
  });

  for (const options of [
    ["-E", "-d", "0"],
    ["-l", "-d", "1"],
  ]) {
    it.skipIf(!Bun.which("makedumpfile"))(`is copied by makedumpfile ${options.join(" ")}`, () => {
      const { exitCode, stderr } = run("makedumpfile", ...options, file, join(folder, options.join("")));
      expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
    });
  }

  it.skipIf(!Bun.which("crash"))("tells crash its release", () => {
    expect(run("crash", "--osrelease", file).stdout.trim()).toBe(RELEASE);
  });

  it.skipIf(!Bun.which("drgn"))(
    "is opened by drgn, which finds the names through the kernel's own address",
    () => {
      const machine = planMachine(OPTIONS);
      const { virtualAddress, pfn, offset } = locate(machine, "init_uts_ns");
      const script = join(folder, "look.py");
      const physical = pfn * PAGE + offset;
      const source = `for at, physical in ((${virtualAddress}, False), (${physical}, True)):
    print(prog.read(at, 5, physical).decode(), prog.read(at + 130, ${RELEASE.length}, physical).decode())`;
      writeFileSync(script, source);
      const { stdout, stderr } = run("drgn", "-q", "-c", file, script);
      expect(stdout || stderr).toBe(`Linux ${RELEASE}\nLinux ${RELEASE}\n`);
    },
  );
});
