// The experiment of 2013, rerun on real crashed kernels: of each version without mmap on /proc/vmcore, as Debian
// ships it, and with our series.
//
//   npm run experiment                         all kernels; writes RESULTS.md and results.svg
//   npm run experiment -- --version 6.12 --quick    a part of it, or less of each: prints what it found
//
// Both files are written at the very end: a run that is interrupted, or in which a kernel fails, changes nothing.

import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { join } from "node:path";
import { Command, Option } from "commander";
import { installPackages } from "../test/debian.ts";
import { cacheRoot } from "../test/lab/cache.ts";
import { type Kernel, labProblems } from "../test/lab/packages.ts";
import { run } from "../test/lab/run.ts";
import { buildProblems, labKernel, type Series, VERSIONS, type Version } from "./build.ts";
import { renderChart } from "./experiment/chart.ts";
import { countInstructions, GUEST, measureTimes, QUICK, type Timed, WHOLE } from "./experiment/measure.ts";
import { renderResults } from "./experiment/report.ts";
import { type Experiment, fastest, type Host, type KernelResult, type Plan } from "./experiment/results.ts";

const ALL_SERIES: readonly Series[] = ["no-mmap", "stock", "ours"];
/** The raw figures of the last run over all kernels. */
const LAST = join(cacheRoot, "experiment.json");

interface Options {
  version: Version[];
  series: Series[];
  quick?: boolean;
  render?: boolean;
}

const program = new Command("npm run experiment --")
  .description("Reruns the experiment of 2013 on real crashed kernels and writes kernel/RESULTS.md.")
  .addOption(list("--version <versions...>", "kernel versions", VERSIONS))
  .addOption(list("--series <names...>", "patches on top", ALL_SERIES))
  .option("--quick", "fewer bytes, one round, no counting of instructions")
  .option("--render", "measure nothing: write the files anew from the last whole run")
  .showHelpAfterError("(--help lists the options)")
  .action(main);
await program.parseAsync();

async function main(options: Options): Promise<void> {
  try {
    if (options.render) return write(lastRun());
    installPackages();
    const problems = [...labProblems(), ...buildProblems()];
    if (problems.length > 0) throw new Error(`Cannot run the experiment: ${problems.join("; ")}`);
    const experiment = await measureAll(options, options.quick ? QUICK : WHOLE);
    const isWhole = options.version.length * options.series.length === VERSIONS.length * ALL_SERIES.length;
    if (options.quick || !isWhole) return console.log(renderResults(experiment));
    replace(LAST, `${JSON.stringify(experiment, null, 1)}\n`);
    write(experiment);
  } catch (error) {
    console.error(process.env.VMCOPY_DEBUG === "1" ? error : (error as Error).message);
    process.exitCode = 2;
  }
}

interface Built {
  readonly version: Version;
  readonly series: Series;
  readonly kernel: Kernel;
}

async function measureAll({ version: versions, series: names }: Options, plan: Plan): Promise<Experiment> {
  const began = new Date().toISOString();
  // All before anything is timed.
  const built: Built[] = [];
  for (const version of versions) {
    for (const series of names) {
      say(version, series, "building, unless it is there");
      built.push({ version, series, kernel: await labKernel(version, series) });
    }
  }
  const loads: number[] = [];
  const timed: (Built & Timed)[] = [];
  for (const each of built) {
    say(each.version, each.series, "crashing and measuring");
    loads.push(Math.round((loadavg()[0] ?? Number.NaN) * 100) / 100);
    timed.push({ ...each, ...(await measureTimes(each.kernel, plan)) });
  }
  const kernels: KernelResult[] = [];
  // Counts do not care what else the machine does: two guests at a time.
  for (let at = 0; at < timed.length; at += 2) {
    kernels.push(...(await Promise.all(timed.slice(at, at + 2).map((each) => counted(each, plan)))));
  }
  return { began, ended: new Date().toISOString(), host: await thisHost(loads), guest: GUEST, plan, kernels };
}

async function counted({ kernel, ...figures }: Built & Timed, plan: Plan): Promise<KernelResult> {
  if (plan.counts) say(figures.version, figures.series, "counting instructions");
  const counts = await countInstructions(kernel, plan);
  const problems = [...new Set([...figures.wall.problems, ...(counts?.problems ?? [])])];
  const { wall } = figures;
  return {
    ...figures,
    release: wall.kernel,
    wall: fastest(wall),
    counted: counts && fastest(counts),
    problems,
  };
}

async function thisHost(loads: readonly number[]): Promise<Host> {
  const qemu = await run("ask qemu's version", ["qemu-system-x86_64", "--version"]);
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cpus: cpus().length,
    kernel: readFileSync("/proc/sys/kernel/osrelease", "utf8").trim(),
    qemu: /version ([\d.]+)/.exec(qemu)?.[1] ?? "of unknown version",
    loads,
  };
}

function lastRun(): Experiment {
  if (!existsSync(LAST))
    throw new Error(`Cannot write the files anew: no whole run has left its figures (${LAST})`);
  return JSON.parse(readFileSync(LAST, "utf8"));
}

function write(experiment: Experiment): void {
  replace(join(import.meta.dir, "results.svg"), renderChart(experiment));
  replace(join(import.meta.dir, "RESULTS.md"), renderResults(experiment));
}

/** A file is there whole, as it was or as it is to be. */
function replace(path: string, text: string): void {
  const unfinished = `${path}.${process.pid}`;
  try {
    writeFileSync(unfinished, text);
    renameSync(unfinished, path);
  } finally {
    rmSync(unfinished, { force: true });
  }
}

function say(version: Version, series: Series, what: string): void {
  console.error(`${new Date().toTimeString().slice(0, 8)} ${version} ${series}: ${what} ...`);
}

function list<Value extends string>(flags: string, what: string, all: readonly Value[]): Option {
  return new Option(flags, what).choices(all).default([...all], "all");
}
