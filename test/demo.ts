/**
 * `npm run demo`: everything vmcopy does, on a sample, in under two minutes. Builds dist/vmcopy, then runs the
 * commands a user would type, and says what was done and where things lie.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { formatDuration, formatSize } from "../src/units.ts";

const PROJECT = fileURLToPath(new URL("..", import.meta.url));
const PROGRAM = join(PROJECT, "dist/vmcopy");
const FOLDER = join(PROJECT, "dist/demo");
const started = performance.now();

run("bun", "src/pack/build.ts");
rmSync(FOLDER, { recursive: true, force: true });
mkdirSync(FOLDER, { recursive: true });
const [vmcore, dump, page, chart] = ["vmcore", "dump", "bench.html", "bench.svg"].map((name) =>
  relative(PROJECT, join(FOLDER, name)),
) as [string, string, string, string];
vmcopy("sample", "--size", "256M", vmcore);
vmcopy("info", vmcore);
vmcopy("copy", vmcore, dump);
vmcopy("verify", dump);
vmcopy("verify", dump, vmcore);
vmcopy("bench", "--repeat", "3", "--html", page, "--svg", chart, vmcore);

console.log(`Done in ${formatDuration((performance.now() - started) / 1000)}. What lies where:`);
for (const [path, what] of [
  ["dist/vmcopy", "the program: one static file, to put into an initramfs"],
  [vmcore, "a sample vmcore; a real one is /proc/vmcore, in a kernel that kdump started"],
  [dump, "its copy"],
  [`${dump}.manifest.json`, "what proves the copy whole, on any machine"],
  [page, "the benchmark as a page; open it in a browser"],
  [chart, "its chart"],
] as const) {
  const size = formatSize(statSync(join(PROJECT, path)).size);
  console.log(`  ${path.padEnd(30)} ${size.padStart(8)}  ${what}`);
}
console.log("Next: npm test (all tests, a real kernel crash among them), dist/vmcopy --help");

/** Shows a command, runs it, and ends the demo where it fails. */
function run(program: string, ...args: string[]): void {
  const { status, error } = spawnSync(program, args, { cwd: PROJECT, stdio: "inherit" });
  if (status === 0) return;
  console.error(
    `The demo stopped: ${program} ${args[0]} ended with ${error?.message ?? `exit code ${status}`}`,
  );
  process.exit(1);
}

function vmcopy(...args: string[]): void {
  console.log(`\n$ dist/vmcopy ${args.join(" ")}`);
  run(PROGRAM, ...args);
}
