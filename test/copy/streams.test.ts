/** Copies to standard output and other streams, by the real program. */
import { describe, expect, it } from "bun:test";
import { statSync } from "node:fs";
import { same, sha256 } from "../support/engines.ts";
import { temporaryFolder } from "../support/files.ts";
import { shell, shellLine, vmcopy } from "../support/program.ts";
import { writeSampleFile } from "../support/sample.ts";

const path = temporaryFolder();
const source = path("source");
writeSampleFile(source, { size: 12 << 20 });
const { size } = statSync(source);
const program = shellLine("copy", source, "-");

describe("copy to a stream", () => {
  it("standard output into a file", async () => {
    const { code, out, err } = await shell(`${program} > ${path("out")}`);
    expect([code, out]).toEqual([0, ""]);
    expect(err).toContain("standard output");
    expect(same(source, path("out"))).toBe(true);
  });

  it("standard output into a slow reader", async () => {
    const slow = `python3 -c 'import sys,time,hashlib
h=hashlib.sha256()
while b:=sys.stdin.buffer.read(700000):
  h.update(b); time.sleep(0.01)
print(h.hexdigest())'`;
    const { code, out } = await shell(`set -o pipefail; ${program} | ${slow}`);
    expect([code, out.trim()]).toEqual([0, sha256(source)]);
  });

  it("standard output into a non-blocking pipe that is often full", async () => {
    // The reader makes its end's pipe non-blocking for the writer: O_NONBLOCK is of the open file, so of its write end.
    const run = `import fcntl,os,subprocess,sys,time,hashlib
r,w=os.pipe()
fcntl.fcntl(w,fcntl.F_SETFL,fcntl.fcntl(w,fcntl.F_GETFL)|os.O_NONBLOCK)
p=subprocess.Popen(sys.argv[1:],stdout=w)
os.close(w)
h=hashlib.sha256()
time.sleep(0.3)
while b:=os.read(r,1<<20): h.update(b)
print(h.hexdigest()); sys.exit(p.wait())`;
    const { code, out } = await shell(`python3 -c '${run}' ${program}`);
    expect([code, out.trim()]).toEqual([0, sha256(source)]);
  });

  it("a reader that stops reading ends it with one line and exit code 2", async () => {
    const { code, out, err } = await shell(`${program} | head -c 100000 > /dev/null; exit \${PIPESTATUS[0]}`);
    expect([code, out]).toEqual([2, ""]);
    expect(err).toMatch(/^vmcopy: copy: Cannot write to standard output: .*stopped reading \(EPIPE\).*\n$/);
  });

  it("/dev/null", async () => {
    const { code, out } = await vmcopy("copy", source, "/dev/null", "--json");
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ dest: "/dev/null", bytesWritten: size, manifest: null });
  });

  it("/dev/full, the device that has no space", async () => {
    const { code, out, err } = await vmcopy("copy", source, "/dev/full", "--json");
    expect(code).toBe(2);
    expect(JSON.parse(out).error.code).toBe("E_NO_SPACE");
    expect(err).toMatch(/^vmcopy: copy: Cannot write \/dev\/full: no space left on device \(ENOSPC\).*\n$/);
  });

  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("a pipe that nobody empties does not keep it from %s", async (signal, exitCode) => {
    const script = `exec ${shellLine("copy", source, "-")}`;
    // The second program holds the pipe open and reads nothing.
    const child = Bun.spawn(["bash", "-c", `${script} > >(exec sleep 5 2> /dev/null)`], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    await Bun.sleep(500);
    expect(child.exitCode).toBe(null);
    const signalled = performance.now();
    child.kill(signal);
    await child.exited;
    expect(child.exitCode).toBe(exitCode);
    expect(performance.now() - signalled).toBeLessThan(3000);
    expect(await new Response(child.stderr).text()).toContain(`Stopped by ${signal}`);
  });

  it("a FIFO", async () => {
    const fifo = path("fifo");
    const { code, out } = await shell(
      `mkfifo ${fifo}; sha256sum < ${fifo} & ${shellLine("copy", source, fifo)} >&2; code=$?; wait; exit $code`,
    );
    expect([code, out.split(" ")[0]]).toEqual([0, sha256(source)]);
  });

  it.each([
    [["--json"], /name a file for the dump/],
    [["--resume"], /only a copy to a file can be resumed/],
  ])("not with %p", async (options, message) => {
    const { code, err } = await vmcopy("copy", source, "-", ...options);
    expect(code).toBe(2);
    expect(err).toMatch(message);
  });
});
