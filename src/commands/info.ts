/** `vmcopy info`: what a vmcore or a dump says of itself. */
import { EXIT_OK, VmcopyError } from "../errors.ts";
import { describeVmcore } from "../info/describe.ts";
import { Vmcore } from "../vmcore/vmcore.ts";
import { DEFAULT_SOURCE, type Verb } from "./command.ts";
import { toJson } from "./info-json.ts";
import { toText, vmcoreinfoText } from "./info-text.ts";

const USAGE = "vmcopy info [options] [source|dump]";

export const info: Verb = {
  describe(command) {
    command
      .summary("show headers, memory map, notes and VMCOREINFO of a vmcore or a dump")
      .description(
        "Shows what a vmcore, or a raw or ELF dump of one, says of itself: size, machine, kernel, time of the crash, " +
          "each PT_LOAD with its addresses, and the notes. Reads headers and notes only.",
      )
      .usage("[options] [source|dump]")
      .argument("[paths...]", `vmcore or dump (default ${DEFAULT_SOURCE})`)
      .option("--vmcoreinfo", "print VMCOREINFO alone, as KEY=VALUE lines");
  },

  async run({ libc, terminal }, paths, options) {
    const [path = DEFAULT_SOURCE, extra] = paths;
    if (extra !== undefined) throw new VmcopyError("E_USAGE", `too many paths (${extra}); usage: ${USAGE}`);
    using vmcore = Vmcore.open(libc, path);
    const description = describeVmcore(vmcore);
    return {
      exitCode: EXIT_OK,
      json: toJson(description),
      text: options.vmcoreinfo === true ? vmcoreinfoText(description) : toText(description, terminal.look()),
    };
  },
};
