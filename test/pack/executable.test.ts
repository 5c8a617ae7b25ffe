/**
 * What `npm run build` makes, built from fixture.ts and run: everywhere, in a chroot that holds nothing but it
 * and /proc, as the first process of a PID namespace before /proc is mounted, and where it cannot start.
 */
import { afterAll, beforeAll, describe, expect, it } from "bun:test";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Built, buildProgram } from "../../src/pack/build.ts";
import { PT_DYNAMIC, PT_INTERP, readElf64 } from "../../src/pack/elf64.ts";

const isRoot = process.getuid?.() === 0;
const itAsRoot = it.skipIf(!isRoot);
const asRoot = isRoot ? "" : " (left out: needs root)";

/** Tests with a tool that may not be there are shown as skipped, with the tool's name. */
function itWith(tool: string, name: string, test: () => void): void {
  const there = Bun.which(tool) !== null;
  it.skipIf(!there)(there ? name : `${name} (left out: needs ${tool})`, test);
}

const folder = mkdtempSync(join(tmpdir(), "vmcopy-test-"));
const program = join(folder, "vmcopy");
let built: Built;

beforeAll(() => {
  built = buildProgram(fileURLToPath(new URL("fixture.ts", import.meta.url)), program);
});
afterAll(() => rmSync(folder, { recursive: true }));

function run(command: string, ...args: string[]) {
  const { status, signal, stdout, stderr } = spawnSync(command, args, { encoding: "utf8" });
  return { status, stdout, stderr, ...(signal && { signal }) };
}

/** A folder to be the root of a program that finds nothing else there, with or without a /proc to mount on. */
function emptyRoot(name: string, withProc: boolean): string {
  const root = join(folder, name);
  mkdirSync(root);
  if (withProc) mkdirSync(join(root, "proc"));
  copyFileSync(program, join(root, "vmcopy"));
  return root;
}

/** The fixture's report, after checking all that is the same wherever it runs. */
function report(result: ReturnType<typeof run>) {
  expect(result).toMatchObject({ status: 0, stderr: "" });
  const found = JSON.parse(result.stdout);
  const n = 3_000_000n; // as in fixture.ts
  const sum = Number((((n - 1n) * n * (2n * n - 1n)) / 6n) % 2n ** 32n);
  expect(found).toMatchObject({ firstByte: 0, unmapped: 0, sum, openLibraries: [] });
  return found;
}

describe("the executable", () => {
  it("is one file, mode 0755, with no temporary file left", () => {
    expect(built.embedded).toContain("libc.so.6");
    expect(statSync(program).mode & 0o777).toBe(0o755);
    expect(statSync(program).size).toBe(built.size);
    expect(readdirSync(folder)).toEqual(["vmcopy"]);
  });

  it("asks for no dynamic loader", () => {
    const types = readElf64(readFileSync(program), "vmcopy").programHeaders.map((header) => header.type);
    expect(types).not.toContain(PT_INTERP);
    expect(types).not.toContain(PT_DYNAMIC);
  });

  itWith("ldd", "is no dynamic executable to ldd, which dracut and mkinitramfs ask", () => {
    expect(run("ldd", program)).toMatchObject({ status: 1, stderr: "\tnot a dynamic executable\n" });
  });

  itWith("strip", "is refused by strip, which dracut calls, and left as it was", () => {
    const copy = join(folder, "stripped");
    copyFileSync(program, copy);
    expect(run("strip", "-g", "-p", copy).status).toBe(1);
    expect(readFileSync(copy).equals(readFileSync(program))).toBe(true);
  });

  it("comes out the same from the same source", () => {
    const again = join(mkdtempSync(join(folder, "again-")), "vmcopy");
    buildProgram(fileURLToPath(new URL("fixture.ts", import.meta.url)), again);
    expect(readFileSync(again).equals(readFileSync(program))).toBe(true);
  });

  it("says what does not compile", () => {
    const missing = join(folder, "missing.ts");
    expect(() => buildProgram(missing, program)).toThrow(/^Cannot compile .*missing\.ts: /);
    expect(statSync(program).size).toBe(built.size);
  });
});

describe("running it", () => {
  it("passes arguments on, and leaves no descriptor of its own libraries open", () => {
    expect(report(run(program, "a", "--b=c", "")).arguments).toEqual(["a", "--b=c", ""]);
  });

  it("does not mind closed standard descriptors, nor a low limit of open files", () => {
    report(run("sh", "-c", 'exec "$0" <&-', program));
    report(run("sh", "-c", 'ulimit -n 32 && exec "$0"', program));
  });

  it("starts and ends in 30 ms, on a machine that is not busy with something else", () => {
    let best = Number.POSITIVE_INFINITY;
    for (let attempt = 0; attempt < 30 && best >= 30; attempt++) {
      const start = performance.now();
      run(program);
      best = Math.min(best, performance.now() - start);
    }
    expect(best).toBeLessThan(30);
  });

  itAsRoot(`needs nothing but itself and /proc${asRoot}`, () => {
    const root = emptyRoot("chroot", true);
    // As initramfs's mount it. The mount ends with its namespace.
    const script = 'mount -t proc -o nosuid,nodev,noexec proc "$0/proc" && exec chroot "$0" /vmcopy x';
    expect(report(run("unshare", "--mount", "sh", "-c", script, root)).arguments).toEqual(["x"]);
  });

  itAsRoot.each([
    ["an empty /proc", true],
    ["no /proc at all", false],
  ])(`mounts /proc as PID 1, given %s${asRoot}`, (name, withProc) => {
    const root = emptyRoot(name.replace("/", ""), withProc);
    const result = run("unshare", "--pid", "--fork", "--mount", "chroot", root, "/vmcopy");
    expect(report(result).pid).toBe(1);
    expect(readdirSync(join(root, "proc"))).toEqual([]);
  });

  itAsRoot(`leaves a /proc that is there alone, as PID 1 of a container${asRoot}`, () => {
    const root = emptyRoot("container", true);
    const script = 'mount -t proc proc "$0/proc" && exec chroot "$0" /vmcopy';
    expect(report(run("unshare", "--pid", "--fork", "--mount", "sh", "-c", script, root)).pid).toBe(1);
  });
});

describe("as PID 1", () => {
  const canMount = isRoot && run("unshare", "--mount", "mount", "-t", "devtmpfs", "dev", folder).status === 0;
  const why = canMount ? "" : " (left out: needs root, and devtmpfs)";
  const start = (root: string, script: string) =>
    run("unshare", "--pid", "--fork", "--mount", "sh", "-c", script, root);

  it.skipIf(!canMount)(`opens the console where the kernel has not, or the runtime /dev/null${why}`, () => {
    const root = emptyRoot("no-console", false);
    // The devtmpfs is this machine's, and its console may not open.
    const { status } = start(root, 'REPORT=/report exec chroot "$0" /vmcopy 0<&- 1>&- 2>&-');
    expect(status).toBe(0);
    const { pid, standard } = JSON.parse(readFileSync(join(root, "report"), "utf8"));
    expect(pid).toBe(1);
    expect(["/dev/console", "/dev/null"]).toContain(standard[0]);
    expect(standard).toEqual(Array(3).fill(standard[0]));
  });

  itAsRoot(`ends the machine where it cannot start: to exit would be a panic${asRoot}`, () => {
    // A PID namespace is ended by reboot(2) as the machine is, and its first process by SIGHUP.
    const result = start(emptyRoot("no-libraries", false), 'ulimit -n 4; exec chroot "$0" /vmcopy');
    expect(result).toMatchObject({ status: null, signal: "SIGHUP" });
    expect(result.stderr).toStartWith("vmcopy: cannot start: no memory file for its libraries");
  });
});

describe("where it cannot start, one line says why", () => {
  itAsRoot(`no /proc, and not PID 1${asRoot}`, () => {
    const result = run("chroot", emptyRoot("no-proc", true), "/vmcopy");
    const stderr = "vmcopy: cannot start: /proc is not mounted (run: mount -t proc proc /proc)\n";
    expect(result).toEqual({ status: 2, stdout: "", stderr });
  });

  it("no descriptor left for its libraries", () => {
    const { status, stderr } = run("sh", "-c", 'ulimit -n 4 && exec "$0"', program);
    expect(status).toBe(2);
    expect(stderr).toMatch(/^vmcopy: cannot start: no memory file for its libraries \(.*\)\n$/);
  });

  itWith("strace", "no memory for them", () => {
    const result = run("strace", "-o", "/dev/null", "-e", "inject=write:error=ENOSPC:when=2", program);
    expect(result.status).toBe(2);
    expect(result.stderr).toMatch(
      /^vmcopy: cannot start: no memory for its libraries \(\d+ MiB are needed\)\n$/,
    );
  });

  itWith("strace", "but a kernel without MFD_EXEC, and interrupted writes, are no reason", () => {
    const inject = ["inject=memfd_create:error=EINVAL:when=1", "inject=write:error=EINTR:when=1..2"];
    report(run("strace", "-o", "/dev/null", ...inject.flatMap((what) => ["-e", what]), program));
  });
});
