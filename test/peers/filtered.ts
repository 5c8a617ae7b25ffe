/** Filtered dumps beside makedumpfile's: whole processes in turn on one vmcore, sizes, memory. */
import { rmSync, statSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { formatSize } from "../../src/units.ts";
import { type Contender, comparePair, pairResult, runProgram } from "./pairs.ts";
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
/** The whole of a dump of an idle machine. */
const IDLE = ["-d 31 -c zstd of an idle 1 GiB machine, to makedumpfile -c -d 31", 0.5] as const;
/** Sizes by the same codec, and zstd's by zlib's. */
const SIZES: [what: string, ours: string, theirs: string, most: number][] = [
  ["size of -d 31 -c lzo, to makedumpfile -l", "lzo", "-l", 1.01],
  ["size of -d 31 -c zlib, to makedumpfile -c", "zlib", "-c", 1.01],
  ["size of -d 31 -c zstd, to makedumpfile -c", "zstd", "-c", 0.8],
];

/**
 * @param vmcopy the program @param vmcore in memory @param idle another @param work a folder for dumps
 * @param show called with each finding as it is made
 */
export function compareFiltered(
  vmcopy: string,
  vmcore: string,
  idle: string,
  work: string,
  rounds: number,
  show: (finding: Finding) => void,
): void {
  const [ours, theirs] = [join(work, "dump.ours"), join(work, "dump.theirs")];
  const copy = (options: string[], source = vmcore): Contender => ({
    name: "vmcopy copy",
    command: [vmcopy, "copy", "-q", "--no-manifest", "--force", ...options, source, ours],
  });
  const makedumpfile = (options: string[], source = vmcore): Contender => ({
    name: "makedumpfile",
    command: ["makedumpfile", "-f", "--message-level", "0", ...options, source, theirs],
  });
  for (const [what, our, their, most] of TIMES) {
    if (our.includes("2") && cpus().length < 2) continue;
    // A dump of all pages takes seconds: it is not as often made.
    const times = our.includes("31") ? rounds : Math.ceil(rounds / 3);
    show(ratioFinding(what, comparePair(copy(our), makedumpfile(their), times), most));
  }
  const whole = comparePair(
    copy(["-d", "31", "-c", "zstd", "-j", "1"], idle),
    makedumpfile(["-c", "-d", "31"], idle),
    rounds,
  );
  show(ratioFinding(IDLE[0], whole, IDLE[1]));
  const both = comparePair(
    copy(["-d", "1", "-c", "lzo", "-j", "2"]),
    copy(["-d", "1", "-c", "lzo", "-j", "1"]),
    3,
  );
  show(ratioFinding("-d 1 -c lzo, -j 2 to -j 1", both, 0.99));

  for (const [what, codec, option, most] of SIZES) {
    runProgram([...copy(["-d", "31", "-c", codec]).command]);
    runProgram([...makedumpfile([option, "-d", "31"]).command]);
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
      runProgram([vmcopy, "copy", "--json", "-d", "31", "--dry-run", vmcore, "none"]).stdout,
    );
    const said = runProgram([
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
  return ratioFinding(
    'filter alone, to makedumpfile\'s "Excluding unnecessary pages"',
    pairResult(pairs),
    0.4,
  );
}

function anonymousMemory(vmcopy: string, vmcore: string, dump: string): Finding {
  const { stdout } = runProgram([
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
