/** Other tools read a sample: those of them that are installed. */
import { afterAll, beforeAll, describe, expect, it } from "bun:test";
import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PAGE, planMachine } from "../../src/sample/plan.ts";
import { writeSample } from "../../src/sample/sample.ts";
import { locate, RELEASE } from "../../src/sample/symbols.ts";
import { commandLine } from "../support/program.ts";

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

  it.skipIf(!Bun.which("makedumpfile"))("has pages of every kind, which makedumpfile counts alike", () => {
    const dump = join(folder, "dump");
    const { stdout } = run("makedumpfile", "-l", "-d", "31", "--message-level", "16", file, dump);
    const count = (name: string) =>
      Number.parseInt(new RegExp(`${name} *: 0x([0-9a-f]+)`).exec(stdout)?.[1] ?? "", 16);
    const copy = run(...commandLine("copy", "--json", "-d", "31", "--dry-run", file, dump));
    const { pages, problems } = JSON.parse(copy.stdout);
    expect(problems).toEqual([]);
    const { cache, cachePrivate, user, free } = pages;
    expect({ cache, cachePrivate, user, free }).toEqual({
      cache: count("Non-private cache pages"),
      cachePrivate: count("Private cache pages"),
      user: count("User process data pages"),
      free: count("Free pages"),
    });
    for (const kind of [cache, cachePrivate, user, free, pages.kept]) expect(kind).toBeGreaterThan(100);
  });

  it("has a log, from the first line to the panic", () => {
    const lines = run(...commandLine("dmesg", file))
      .stdout.trimEnd()
      .split("\n");
    expect(lines[0]).toBe(`[    0.000000] Linux version ${RELEASE} (vmcopy sample) #1 SMP PREEMPT_DYNAMIC`);
    expect(
      lines.filter((line) => line.includes("Kernel panic - not syncing: sysrq triggered crash")),
    ).toHaveLength(1);
    expect(lines.at(-1)).toEndWith(" </TASK>");
    if (!Bun.which("makedumpfile")) return;
    const log = join(folder, "log");
    expect(run("makedumpfile", "--dump-dmesg", file, log).exitCode).toBe(0);
    expect(readFileSync(log, "utf8").trimEnd().split("\n")).toEqual(lines);
  });

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
