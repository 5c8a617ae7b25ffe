/** `vmcopy dmesg`: the crashed kernel's log. */
import { readDmesg } from "../dmesg/dmesg.ts";
import { formatRecord } from "../dmesg/format.ts";
import { EXIT_DATA, EXIT_OK, VmcopyError } from "../errors.ts";
import { DEFAULT_SOURCE, type Verb } from "./command.ts";

export const dmesg: Verb = {
  describe(command) {
    command
      .summary("print the crashed kernel's log")
      .description(
        "Prints the log of the crashed kernel, as dmesg would have, from a vmcore or any dump of one.",
      )
      .usage("[options] [source]")
      .argument("[source]", `a vmcore or a dump (default ${DEFAULT_SOURCE})`)
      .option("--caller", "say which task or CPU each line is from, where the kernel kept it")
      .option("--read", "read with pread instead of mmap");
  },

  async run({ libc, terminal }, paths, options) {
    const [source = DEFAULT_SOURCE, extra] = paths;
    if (extra !== undefined) throw new VmcopyError("E_USAGE", "usage: vmcopy dmesg [options] [source]");
    const method = options.read === true ? "read" : undefined;
    const report = readDmesg(libc, { source, method });
    const { records, problems } = report;
    for (const problem of problems) terminal.warn(`${source}: ${problem}`);
    const decoder = new TextDecoder();
    return {
      exitCode: problems.length > 0 ? EXIT_DATA : EXIT_OK,
      json: {
        source,
        release: report.release,
        records: records.map(({ nanoseconds, text, level, facility, caller, seq }) => ({
          seq,
          seconds: Number(nanoseconds) / 1e9,
          level: level ?? null,
          facility: facility ?? null,
          caller: caller ?? null,
          text: decoder.decode(text),
        })),
        problems,
      },
      text: records.map((record) => formatRecord(record, { caller: options.caller === true })).join(""),
    };
  },
};
