/**
 * What `npm test` runs, on a machine with Node, npm and nothing else: Debian packages, build, style, all tests.
 *
 * Ends with `N passed, N failed, N skipped`. A test that is left out is named, with what it lacks; with
 * VMCOPY_REQUIRE_ALL=1 (as in CI) it is a failure.
 */
import { spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { installPackages } from "./debian.ts";

const PROJECT = fileURLToPath(new URL("..", import.meta.url));
/** Bun gives up on a test after this long, in milliseconds: a busy machine is no failure, a hang is one. */
const TIMEOUT = 120_000;
const requireAll = process.env.VMCOPY_REQUIRE_ALL === "1";
let failedSteps = 0;

const missing = installPackages();
if (missing.length > 0) {
  console.log(`Not installed: ${missing.join(" ")}. Tests that need them are left out.`);
  console.log(`To run them all: apt-get install ${missing.join(" ")}`);
}
// The WASM kernels come first: the type checker wants to see what is generated.
step("build", ["bun", "src/pack/build.ts"]);
step("types", ["tsc"]);
step("format and lint", ["biome", "check", "--error-on-warnings"]);
const { passed, failed, skipped } = await runTests(process.argv.slice(2));
const leftOut = skipped > 0 && requireAll;
if (leftOut) console.log(`${skipped} tests were left out; none may be (VMCOPY_REQUIRE_ALL=1)`);
console.log(`${passed} passed, ${failed + failedSteps + (leftOut ? skipped : 0)} failed, ${skipped} skipped`);
process.exitCode = failed + failedSteps > 0 || leftOut || passed === 0 ? 1 : 0;

/** Runs a program of node_modules; a failure is counted and the rest goes on. */
function step(name: string, command: string[]): void {
  const [program = "", ...args] = command;
  console.log(`${name}: ${command.join(" ")}`);
  const { status } = spawnSync(program, args, { cwd: PROJECT, stdio: ["ignore", "inherit", "inherit"] });
  if (status === 0) return;
  console.log(`${name} failed (exit code ${status})`);
  failedSteps++;
}

/** Runs `bun test`, shows what it prints, and reads its closing lines. */
async function runTests(paths: string[]): Promise<{ passed: number; failed: number; skipped: number }> {
  const child = spawn("bun", ["test", "--timeout", String(TIMEOUT), ...paths], {
    cwd: PROJECT,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let tail = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (data: Buffer) => {
      process.stdout.write(data);
      tail = (tail + data.toString()).slice(-4000);
    });
  }
  const status = await new Promise<number | null>((resolve) => child.on("close", resolve));
  const count = (word: string) => Number(new RegExp(`^\\s*(\\d+) ${word}$`, "m").exec(tail)?.[1] ?? 0);
  const result = {
    passed: count("pass"),
    failed: count("fail") + count("error"),
    skipped: count("skip") + count("todo"),
  };
  // A runner that died, or tests that ended it without a closing line, are no success.
  if (status !== 0 && result.failed === 0) result.failed = 1;
  return result;
}
