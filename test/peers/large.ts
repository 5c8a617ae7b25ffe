/** The filter on a machine of 1 TiB beside makedumpfile's, and its memory. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { formatSize } from "../../src/units.ts";
import { pairResult, runProgram } from "./pairs.ts";
import { type Finding, ratioFinding } from "./results.ts";

const MIB = 2 ** 20;
/** makedumpfile says nothing for so long when it has begun to copy: its first pass is over. */
const SILENCE = 3000;

/**
 * @param vmcopy the program @param rounds how often each runs
 * @param show called with each finding as it is made
 */
export async function compareLarge(
  vmcopy: string,
  rounds: number,
  show: (finding: Finding) => void,
): Promise<void> {
  // On a disk: reading the holes of a file in tmpfs through mmap, as makedumpfile does, would fill it.
  const work = mkdtempSync(join(tmpdir(), "vmcopy-compare-"));
  const sample = join(work, "vmcore");
  try {
    runProgram([vmcopy, "sample", "-q", "--ram", "1T", "--size", "128M", sample]);
    const pairs: [number, number][] = [];
    const memory: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const report = JSON.parse(
        runProgram([vmcopy, "copy", "--json", "-q", "-d", "31", "--dry-run", sample, "none"]).stdout,
      );
      memory.push(Number(report.anonymousRssBytes));
      pairs.push([Number(report.filterSeconds), 2 * (await firstPass(sample, join(work, "none")))]);
    }
    const what = "filter alone, sample --ram 1T, to makedumpfile's two passes";
    show(ratioFinding(what, pairResult(pairs), 0.3));
    const most = Math.max(...memory);
    show({
      what: "peak anonymous memory of that",
      measured: formatSize(most),
      target: "at most 32 MiB",
      met: most <= 32 * MIB,
    });
  } finally {
    rmSync(work, { recursive: true });
  }
}

/**
 * Seconds of makedumpfile's steps "Excluding unnecessary pages" until all memory was gone through once; to write a
 * dump it goes through it twice, where it is more than one cycle. Then it is ended: its second pass reads all data.
 */
async function firstPass(vmcore: string, dump: string): Promise<number> {
  const options = ["-f", "--dry-run", "-l", "-d", "31", "--message-level", "20", vmcore, dump];
  const child = spawn("stdbuf", ["-oL", "makedumpfile", ...options], { stdio: ["ignore", "pipe", "ignore"] });
  const steps: number[] = [];
  await new Promise<void>((resolve, reject) => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    child.on("error", reject).on("close", () => resolve());
    child.stdout.on("data", (data: Buffer) => {
      for (const [, seconds] of data.toString().matchAll(/Excluding unnecessary pages\] : ([\d.]+) s/g)) {
        steps.push(Number(seconds));
      }
      clearTimeout(timer);
      timer = setTimeout(() => child.kill("SIGKILL"), SILENCE);
    });
  });
  // The last is the first cycle of the second pass.
  if (steps.length < 3) throw new Error("Cannot measure makedumpfile's filter: its report has no such steps");
  return steps.slice(0, -1).reduce((sum, seconds) => sum + seconds, 0);
}
