/** `vmcopy capture`: the whole of a kdump initramfs's work. */
import { type Action, mayEndMachine, performActions } from "../capture/actions.ts";
import { capture as captureCrash } from "../capture/capture.ts";
import { DEFAULT_CONFIG } from "../capture/config-file.ts";
import { FeedingJob } from "../capture/feeding.ts";
import { gatherSettings } from "../capture/setting-sources.ts";
import { readSetting } from "../capture/settings.ts";
import { startStallTimer } from "../capture/stall.ts";
import { Steps } from "../capture/steps.ts";
import type { CaptureReport } from "../capture/work.ts";
import { EXIT_DATA, VmcopyError } from "../errors.ts";
import { formatDuration } from "../units.ts";
import type { Verb } from "./command.ts";

/** Settings as options: by the names that kernel command line and file have too. */
const NAMES = [
  ["to", "to"],
  ["name", "name"],
  ["level", "level"],
  ["dumpLevel", "dump-level"],
  ["compress", "compress"],
  ["jobs", "jobs"],
  ["verify", "verify"],
  ["keep", "keep"],
  ["final", "final"],
  ["onFailure", "on-failure"],
  ["watchdog", "watchdog"],
  ["wait", "wait"],
  ["overwrite", "overwrite"],
  ["stall", "stall"],
  ["source", "source"],
] as const;

export const capture: Verb = {
  describe(command) {
    command
      .summary("do all of a kdump initramfs's work: log, dump, verify, name, make room, end the machine")
      .description(
        "Saves a crashed kernel, what matters most first: its log, synced; the crash in one page; the dump with its " +
          "manifest, or the next smaller one where the disk has too little room; then the dump is read back from the disk, the " +
          "directory gets its name, and only now old captures go. A step that fails keeps no later one from saving what it can.",
      )
      .usage("[options]")
      .option(
        "--to <place>",
        "DIR; DEVICE:DIR: the device is mounted for it; DEVICE: a raw partition. A device is /dev/..., UUID=, LABEL= or " +
          "PARTLABEL= (default /var/crash)",
      )
      .option(
        "--name <template>",
        "of the directory there: %HOST %DATE %RELEASE %CRASHTIME (default %HOST-%DATE)",
      )
      .option("-d, --level <level>", "dump level, as copy has it (default 31)")
      .option("--dump-level <level>", "the same")
      .option("-c, --compress <codec>", "zstd, zlib, lzo, snappy or none (default zstd)")
      .option("-j, --jobs <n>", "pack on so many threads (default: one a processor, as far as memory allows)")
      .option("--verify", "read the dump back from the disk, past the page cache (the default)")
      .option("--no-verify", "do not")
      .option("--keep <n>", "captures to keep there, this one among them, or all (default all)")
      .option("--final <action>", "reboot, poweroff, halt, shell or none (default none)")
      .option(
        "--on-failure <list>",
        "what to do without a whole dump, with commas: dump-raw and log-only are tried first, then an action, that of " +
          "--final where none is named (default dump-raw,log-only)",
      )
      .option("--watchdog <device>", "feed it while this works, stop it at the end")
      .option("--wait <seconds>", "for the device of --to to appear (default 10)")
      .option("--overwrite", "a raw partition that holds something else than a capture, too")
      .option(
        "--stall <seconds>",
        "end the machine, as a failure does, when nothing has come on for so long, even where a disk hangs; longer " +
          "than one write to it may take (default 0: never; 300 as PID 1)",
      )
      .option("--source <vmcore>", "what to capture (default /proc/vmcore)")
      .option("--config <file>", `settings in TOML (default ${DEFAULT_CONFIG})`)
      .addHelpText("after", HELP);
  },

  async run({ libc, terminal }, _paths, options) {
    const started = performance.now();
    const config = options.config as string | undefined;
    const { settings, warnings } = gatherSettings({ options: givenIn(options), config });
    const mayEnd = mayEndMachine();
    // Where it is to end, no signal ends this program before it.
    if (mayEnd) terminal.catchSignals();
    const job = new FeedingJob(terminal);
    const steps = new Steps(job);
    const stall = await startStallTimer(libc, job, steps, settings, mayEnd);
    const report = await captureCrash(libc, job, { settings, warnings, mayEnd, steps });
    const seconds = (performance.now() - started) / 1000;
    return {
      exitCode: report.exitCode,
      json: toJson(report),
      text: toText(report, seconds),
      afterwards: () => end(report.actions),
    };

    /** The machine is gone after this, where all goes well. */
    function end(actions: readonly Action[]): number {
      const problems = performActions(libc, actions, stall);
      stall?.rest();
      for (const problem of problems) terminal.fail(`capture: ${problem}`);
      return problems.length > 0 ? Math.max(report.exitCode, EXIT_DATA) : report.exitCode;
    }
  },
};

const HELP = `
In the directory: dmesg.txt, crash.json, vmcore, vmcore.manifest.json, capture.json. It is called <name>.incomplete until
the dump is whole.

A raw partition holds one capture, the newest: the same members behind a header that says how far it came. It has to be
blank, or hold a capture. To take them out: vmcopy copy /dev/vdb2 dump, or vmcopy copy /dev/vdb2 DIR for all of them.

dump-raw: where filtering fails, all memory is copied. log-only: where no dump can be had, log and crash.json get the
directory's name; where nothing can be written at all, the end of the log is shown.

The same settings can stand on the kernel's command line (vmcopy.to=/dev/vdb:/crash vmcopy.level=31) and in
${DEFAULT_CONFIG} (to = "/dev/vdb:/crash"). The program's options win, then the kernel's, then the file. A mistake in one
of these is told and passed over: it stops no capture.

On a workstation nothing happens to the machine: reboot, poweroff and halt are done only where there is a /proc/vmcore,
that is in a capture kernel, or as PID 1. To try it: vmcopy sample x; vmcopy capture --source x --to /tmp/crash

Exit codes: 0 all was done, 1 something is not what it should be, 2 nothing could be saved.`;

/** Settings among the program's own options, as text. @throws VmcopyError E_USAGE */
function givenIn(options: Record<string, unknown>): Map<string, string> {
  const given = new Map<string, string>();
  for (const [option, name] of NAMES) {
    const value = options[option];
    if (value === undefined) continue;
    try {
      readSetting(name, String(value));
    } catch (error) {
      if (error instanceof RangeError)
        throw new VmcopyError("E_USAGE", `--${name}: ${error.message} (${String(value)})`);
      throw error;
    }
    given.set(name, String(value));
  }
  return given;
}

/** Where nothing could be saved, or somebody stopped it, with the reason as any error has it. */
function toJson(report: CaptureReport): object {
  const { steps, exitCode } = report;
  const stopped = steps.find(({ code }) => code === "E_INTERRUPTED");
  const failed = stopped ?? steps.find(({ ok }) => !ok);
  if (exitCode <= EXIT_DATA || failed === undefined) return report;
  return { ...report, error: { code: failed.code ?? "E_IO", message: failed.line } };
}

const STATES: Record<CaptureReport["state"], string> = {
  complete: "captured",
  "log-only": "the log is saved, and no dump",
  incomplete: "INCOMPLETE",
  running: "INCOMPLETE",
};

function toText({ state, directory, crash, verified, dump }: CaptureReport, seconds: number): string {
  const checked = verified === true && dump !== null ? ", read back and right" : "";
  const result = directory === null ? "nothing could be saved" : `${directory}: ${STATES[state]}${checked}`;
  const lines = [`${result}, in ${formatDuration(seconds)}`];
  if (crash !== null)
    lines.push(`  ${crash.release ?? "an unknown kernel"}: ${crash.message ?? "no panic in the log"}`);
  return `${lines.join("\n")}\n`;
}
