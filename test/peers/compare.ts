/**
 * `npm run compare`: vmcopy and its peers in turn on the same input; medians, ratios, targets.
 *
 * The input is the vmcore of a busy 3 GiB machine, made once in the lab, in tmpfs. With --write, the README's
 * table is written too; with --only PART, a part of it (copies, filtered, large, program, capture). Speeds are ratios of whole processes; these are the figures a stranger would check first.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { median } from "../../src/bench/bench.ts";
import { formatDuration, formatSize } from "../../src/units.ts";
import { busyVmcore, idleVmcore } from "../lab/busy.ts";
import { measureCapture } from "../lab/measure.ts";
import { compareFiltered } from "./filtered.ts";
import { compareLarge } from "./large.ts";
import { type Contender, comparePair, runOnce } from "./pairs.ts";
import { type Finding, findingsTable, ratioFinding, rowsBetweenMarks, writeBetweenMarks } from "./results.ts";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
const VMCOPY = join(PROJECT, "dist/vmcopy");
const README = join(PROJECT, "README.md");
const TMPFS = "/dev/shm";
const ROUNDS = 9;
const MIB = 2 ** 20;

const PARTS = ["copies", "filtered", "large", "program", "capture"];
const only = process.argv.includes("--only") ? process.argv[process.argv.indexOf("--only") + 1] : undefined;
if (only !== undefined && !PARTS.includes(only)) {
  console.error(`--only: one of ${PARTS.join(", ")} is expected (${only})`);
  process.exit(2);
}
const wants = (part: string) => only === undefined || only === part;

const work = mkdtempSync(join(TMPFS, "vmcopy-compare-"));
const findings: Finding[] = [];
try {
  const vmcore = join(work, "vmcore");
  if (wants("copies") || wants("filtered")) {
    console.error("the vmcore of a busy 3 GiB machine: made in the lab unless it is there already ...");
    copyDense(await busyVmcore(), vmcore);
  }
  if (wants("copies")) {
    compareCopies(vmcore);
    compareVerifies(vmcore);
  }
  if (wants("filtered")) {
    const idle = join(work, "idle");
    copyDense(await idleVmcore(), idle);
    compareFiltered(VMCOPY, vmcore, idle, work, ROUNDS, show);
  }
  if (wants("large")) await compareLarge(VMCOPY, 3, show);
  if (wants("program")) {
    measureProgram();
    measureMemory();
  }
  if (wants("capture")) findings.push(...(await captureFindings()));
} finally {
  rmSync(work, { recursive: true });
}

const machine = `${cpus()[0]?.model.trim()}, ${cpus().length} CPUs, Linux ${readFileSync("/proc/sys/kernel/osrelease", "utf8").trim()}`;
const date = new Date().toISOString().slice(0, 10);
const text = [
  `Measured by \`npm run compare\` on ${date}: ${machine}; a raw vmcore of a busy 3 GiB guest in tmpfs; whole processes in turn,`,
  `one warm-up and ${ROUNDS} pairs. A ratio is vmcopy's time by the other's: the median of the pairs (smallest-largest), then the`,
  "median times. The capture kernel runs under qemu without KVM.",
  "",
  findingsTable(findings, only === undefined ? [] : rowsBetweenMarks(README, "compare")),
].join("\n");
console.log(text);
if (process.argv.includes("--write")) writeBetweenMarks(README, text, "compare");

function show(finding: Finding): void {
  findings.push(finding);
  console.error(
    `${finding.met ? "met   " : "MISSED"} ${finding.what}: ${finding.measured}, ${finding.target}`,
  );
}

function compareCopies(vmcore: string): void {
  const out = join(work, "out");
  const before = () => {
    for (const path of [out, `${out}.manifest.json`]) rmSync(path, { force: true });
  };
  const sparse = contender("vmcopy copy", [VMCOPY, "copy", "-q", vmcore, out], before);
  const peers: [Contender, number][] = [
    [contender("cp --sparse=always", ["cp", "--sparse=always", vmcore, out], before), 1.0],
    [contender("cp", ["cp", vmcore, out], before), 0.5],
    [contender("makedumpfile -E -d 0", ["makedumpfile", "-E", "-d", "0", vmcore, out], before), 0.5],
  ];
  for (const [peer, most] of peers) {
    show(
      ratioFinding(`copy, sparse, with manifest, to ${peer.name}`, comparePair(sparse, peer, ROUNDS), most),
    );
  }
  before();
}

function compareVerifies(vmcore: string): void {
  const copy = join(work, "copy");
  runOnce(contender("vmcopy copy", [VMCOPY, "copy", "-q", vmcore, copy]));
  const bySource = contender("vmcopy verify", [VMCOPY, "verify", "-q", copy, vmcore]);
  const byManifest = contender("vmcopy verify", [VMCOPY, "verify", "-q", copy]);
  const cmp = comparePair(bySource, contender("cmp", ["cmp", copy, vmcore]), ROUNDS);
  const sha256sum = comparePair(byManifest, contender("sha256sum", ["sha256sum", copy]), 3);
  show(ratioFinding("verify against source, to cmp", cmp, 0.6));
  show(ratioFinding("verify by manifest, to sha256sum", sha256sum, 0.2));
}

function measureProgram(): void {
  const version = contender("vmcopy --version", [VMCOPY, "--version"]);
  runOnce(version);
  const seconds = median(Array.from({ length: 21 }, () => runOnce(version)));
  show({
    what: "vmcopy --version",
    measured: formatDuration(seconds),
    target: "at most 30 ms",
    met: seconds <= 0.03,
  });
  const { size } = statSync(VMCOPY);
  show({
    what: "dist/vmcopy",
    measured: `${(size / 1e6).toFixed(1)} MB`,
    target: "at most 115 MB",
    met: size <= 115e6,
  });
  const image = join(work, "squashfs");
  const options = ["-comp", "zstd", "-Xcompression-level", "19", "-b", "1M", "-noappend", "-quiet"];
  runOnce(contender("mksquashfs", ["mksquashfs", VMCOPY, image, ...options]));
  const squashed = statSync(image).size;
  show({
    what: "dist/vmcopy as a zstd squashfs (1 MiB blocks)",
    measured: `${(squashed / 1e6).toFixed(1)} MB`,
    target: "at most 50 MB",
    met: squashed <= 50e6,
  });
}

/** Peak anonymous memory of a copy, which may not depend on the vmcore's size. */
function measureMemory(): void {
  for (const [name, ram] of [
    ["300 MiB", "300M"],
    ["64 GiB", "64G"],
  ] as const) {
    const sample = join(work, "sample");
    const copy = join(work, "sample-copy");
    runOnce(
      contender("vmcopy sample", [VMCOPY, "sample", "-q", "--force", "--size", "256M", "--ram", ram, sample]),
    );
    const { stdout } = spawnSync(VMCOPY, ["copy", "--json", "--force", sample, copy], { encoding: "utf8" });
    const bytes = Number(JSON.parse(stdout).anonymousRssBytes);
    show({
      what: `peak anonymous memory, copy of a ${name} sample`,
      measured: formatSize(bytes),
      target: "at most 24 MiB",
      met: bytes <= 24 * MIB,
    });
  }
}

/** The same on the real /proc/vmcore, in the capture kernel. */
async function captureFindings(): Promise<Finding[]> {
  console.error("the real /proc/vmcore: booting, crashing and measuring in the lab ...");
  return await measureCapture();
}

function contender(name: string, command: string[], before?: () => void): Contender {
  return before === undefined ? { name, command } : { name, command, before };
}

/** As a plain copy of /proc/vmcore would have left it: without holes. */
function copyDense(from: string, to: string): void {
  spawnSync("cp", ["--sparse=never", from, to], { stdio: "inherit" });
}
