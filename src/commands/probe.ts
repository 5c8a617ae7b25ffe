/** `vmcopy probe`: what this kernel's /proc/vmcore can do. */
import { EXIT_DATA, EXIT_OK, VmcopyError } from "../errors.ts";
import { probe as probeVmcore } from "../probe/probe.ts";
import { DEFAULT_SOURCE, type Verb } from "./command.ts";
import { toText } from "./probe-text.ts";

const USAGE = "vmcopy probe [options] [source]";

export const probe: Verb = {
  describe(command) {
    command
      .summary("try what this kernel's /proc/vmcore can do")
      .description(
        "Tries each promise of the 13 patches that gave /proc/vmcore its mmap, then the known faults of today's kernels. " +
          "Exit code 1 where a promise is broken.\n\n" +
          "The last check, split, leaves the kernel unable to map some windows across PT_LOADs until it restarts. " +
          "vmcopy makes no such windows, but other programs may then fall back to read: --no-split leaves it out.",
      )
      .usage("[options] [source]")
      .argument("[paths...]", `source (default ${DEFAULT_SOURCE}); on a file, only its shape can be checked`)
      .option("--no-split", "leave out the check that harms later windows across PT_LOADs");
  },

  async run({ libc, terminal }, paths, options) {
    const [source = DEFAULT_SOURCE, extra] = paths;
    if (extra !== undefined) throw new VmcopyError("E_USAGE", `too many paths (${extra}); usage: ${USAGE}`);
    const report = probeVmcore(libc, source, { split: options.split !== false });
    return {
      exitCode: report.promises.some(({ result }) => result === "fail") ? EXIT_DATA : EXIT_OK,
      json: report,
      text: toText(report, terminal.look()),
    };
  },
};
