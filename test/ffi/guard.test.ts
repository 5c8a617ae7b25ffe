/** The SIGBUS handler, on real faults: each case is a process of its own, under Bun and under Deno. */
import { describe, expect, it } from "bun:test";
import { join } from "node:path";
import { FaultGuard } from "../../ffi/guard.ts";
import { BUN, DENO, libc, temporaryFolder } from "../support/files.ts";

const path = temporaryFolder();
const CHILD = join(import.meta.dir, "guard-child.ts");
const RUNTIMES = [
  ["bun", [BUN]],
  ["deno", [DENO, "run", "-A", "--quiet"]],
] as const;

function run(command: readonly string[], what: string) {
  // No core file of a process that is meant to die.
  const shell = ["sh", "-c", 'ulimit -c 0; exec "$@"', "sh"];
  const name = path(`${command.length}-${what}`);
  const { exitCode, signalCode, stdout } = Bun.spawnSync([...shell, ...command, CHILD, what, name], {
    env: { ...process.env, BUN_ENABLE_CRASH_REPORTING: "0" },
    stderr: "ignore",
  });
  return { exitCode, signalCode, output: stdout.toString() };
}

describe.skipIf(process.arch !== "x64").each(RUNTIMES)("under %s", (_, command) => {
  const zeros = Array.from({ length: 11 }, () => 0);
  const bytes = [0xa5, 0xa5, 0xa5, 0xa5, 0xa5, ...zeros];

  it.each(["watched", "memcpy"])("pages that are gone are zeros, and listed: %s", (what) => {
    const { exitCode, output } = run(command, what);
    expect(exitCode).toBe(0);
    expect(JSON.parse(output)).toEqual({
      seen: bytes,
      faults: [5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
      forgotten: 0,
    });
  });

  it("a window of 156 MiB may be gone altogether", () => {
    const { output } = run(command, "many");
    expect(JSON.parse(output)).toEqual({ zeros: 39_995, faults: 39_995, last: 39_999 });
  });

  it("dispose puts the handler back that was there", () => {
    const { output } = run(command, "dispose");
    expect(JSON.parse(output)).toEqual({ replaced: true, restored: true });
  });

  it.each(["elsewhere", "unwatched", "disposed"])(
    "a fault that is not watched ends the program: %s",
    (what) => {
      const { exitCode, signalCode, output } = run(command, what);
      expect(output).toBe("");
      expect(exitCode === 0 && signalCode === undefined).toBeFalse();
      expect(signalCode ?? exitCode).not.toBe(1);
    },
  );
});

it("is active where it has machine code", () => {
  using guard = new FaultGuard(libc);
  expect(guard.active).toBe(process.arch === "x64");
  expect(guard.faults()).toEqual([]);
});
