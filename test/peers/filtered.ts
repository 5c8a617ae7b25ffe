/** Filtered dumps beside makedumpfile's: whole processes in turn on one vmcore, sizes, memory. */
import { spawnSync } from "node:child_process";
import { rmSync, statSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { formatSize } from "../../src/units.ts";
import { type Contender, comparePair, type PairResult } from "./pairs.ts";
import { type Finding, ratioFinding } from "./results.ts";

const MIB = 2 ** 20;

/** What is compared: our options, makedumpfile's, and the largest ratio of times. */
const TIMES: [what: string, ours: string[], theirs: string[], most: number][] = [
  ["-d 31 -c lzo, to makedumpfile -l -d 31", ["-d", "31", "-c", "lzo", "-j", "1"], ["-l", "-d", "31"], 1.0],
  [
    "-d 31 -c snappy, to makedumpfile -l -d 31",
    ["-d", "31", "-c", "snappy", "-j", "1"],
    ["-l", "-d", "31"],
    1.0,
  ],
  ["-d 31 -c zlib, to makedumpfile -c -d 31", ["-d", "31", "-c", "zlib", "-j", "1"], ["-c", "-d", "31"], 0.6],
  ["-d 31 -c zstd, to makedumpfile -c -d 31", ["-d", "31", "-c", "zstd", "-j", "1"], ["-c", "-d", "31"], 0.6],
  ["-d 1 -c lzo, to makedumpfile -l -d 1", ["-d", "1", "-c", "lzo", "-j", "1"], ["-l", "-d", "1"], 1.0],
  ["-d 1 -c lzo -j 2, to makedumpfile -l -d 1", ["-d", "1", "-c", "lzo", "-j", "2"], ["-l", "-d", "1"], 0.6],
];
/** Sizes by the same codec, and zstd's by zlib's. */
const SIZES: [what: string, ours: string, theirs: string, most: number][] = [
  ["size of -d 31 -c lzo, to makedumpfile -l", "lzo", "-l", 1.01],
  ["size of -d 31 -c zlib, to makedumpfile -c", "zlib", "-c", 1.01],
  ["size of -d 31 -c zstd, to makedumpfile -c", "zstd", "-c", 0.8],
];

/**
 * @param vmcopy the program @param vmcore in memory @param work a folder for dumps
 * @param show called with each finding as it is made
 */
export function compareFiltered(
  vmcopy: string,
  vmcore: string,
  work: string,
  rounds: number,
  show: (finding: Finding) => void,
): void {
  const [ours, theirs] = [join(work, "dump.ours"), join(work, "dump.theirs")];
  const copy = (options: string[]): Contender => ({
    name: "vmcopy copy",
    command: [vmcopy, "copy", "-q", "--no-manifest", "--force", ...options, vmcore, ours],
  });
  const makedumpfile = (options: string[]): Contender => ({
    name: "makedumpfile",
    command: ["makedumpfile", "-f", "--message-level", "0", ...options, vmcore, theirs],
  });
  for (const [what, our, their, most] of TIMES) {
    if (our.includes("2") && cpus().length < 2) continue;
    // A dump of all pages takes seconds: it is not as often made.
    const times = our.includes("31") ? rounds : Math.ceil(rounds / 3);
    show(ratioFinding(what, comparePair(copy(our), makedumpfile(their), times), most));
  }
  const both = comparePair(
    copy(["-d", "1", "-c", "lzo", "-j", "2"]),
    copy(["-d", "1", "-c", "lzo", "-j", "1"]),
    3,
  );
  show(ratioFinding("-d 1 -c lzo, -j 2 to -j 1", both, 0.99));

  for (const [what, codec, option, most] of SIZES) {
    run([...copy(["-d", "31", "-c", codec]).command]);
    run([...makedumpfile([option, "-d", "31"]).command]);
    const [a, b] = [statSync(ours).size, statSync(theirs).size];
    const ratio = a / b;
    const measured = `${ratio.toFixed(3)}; ${formatSize(a)} / ${formatSize(b)}`;
    show({ what, measured, target: `at most ${most}`, met: ratio <= most });
  }
  show(filterOnly(vmcopy, vmcore, theirs, rounds));
  show(anonymousMemory(vmcopy, vmcore, ours));
  for (const file of [ours, theirs]) rmSync(file, { force: true });
}

/** The filter alone beside makedumpfile's steps of the name, each as the program says it. */
function filterOnly(vmcopy: string, vmcore: string, theirs: string, rounds: number): Finding {
  const pairs: [number, number][] = [];
  for (let round = 0; round <= rounds; round++) {
    const report = JSON.parse(
      run([vmcopy, "copy", "--json", "-d", "31", "--dry-run", vmcore, "none"]).stdout,
    );
    const said = run([
      "makedumpfile",
      "-f",
      "--dry-run",
      "--message-level",
      "31",
      "-d",
      "31",
      vmcore,
      theirs,
    ]);
    const steps = `${said.stdout}${said.stderr}`.matchAll(
      /STEP \[Excluding unnecessary pages\] : ([\d.]+) seconds/g,
    );
    const seconds = [...steps].reduce((sum, [, value]) => sum + Number(value), 0);
    if (seconds === 0) throw new Error("Cannot measure makedumpfile's filter: its report has no such step");
    if (round > 0) pairs.push([report.filterSeconds, seconds]);
  }
  const ratios = pairs.map(([a, b]) => a / b).sort((a, b) => a - b);
  const middle = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
  const result: PairResult = {
    ours: middle(pairs.map(([a]) => a)),
    theirs: middle(pairs.map(([, b]) => b)),
    ratio: middle([...ratios]),
    spread: [ratios[0] ?? Number.NaN, ratios.at(-1) ?? Number.NaN],
  };
  return ratioFinding('filter alone, to makedumpfile\'s "Excluding unnecessary pages"', result, 0.4);
}

function anonymousMemory(vmcopy: string, vmcore: string, dump: string): Finding {
  const { stdout } = run([
    vmcopy,
    "copy",
    "--json",
    "--force",
    "-d",
    "31",
    "-c",
    "zstd",
    "-j",
    "1",
    vmcore,
    dump,
  ]);
  const bytes = Number(JSON.parse(stdout).anonymousRssBytes);
  rmSync(`${dump}.manifest.json`, { force: true });
  return {
    what: "peak anonymous memory, -d 31 -c zstd -j 1",
    measured: formatSize(bytes),
    target: "at most 48 MiB",
    met: bytes <= 48 * MIB,
  };
}

/** @throws Error where it fails */
function run([program = "", ...args]: string[]): { stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: "utf8", maxBuffer: 64 * MIB });
  if (status !== 0)
    throw new Error(`Cannot measure ${program} ${args.join(" ")}: ${stderr.slice(-300)} (exit ${status})`);
  return { stdout, stderr };
}
