/** `vmcore-dmesg`, of kexec-tools: the crashed kernel's log on standard output, and nothing else there. */
import type { Libc } from "../../ffi/libc.ts";
import { readDmesg } from "../dmesg/dmesg.ts";
import { formatRecord } from "../dmesg/format.ts";
import { EXIT_FAILED, EXIT_OK } from "../errors.ts";
import { writeText } from "../ui/terminal.ts";
import { toStandardOutput } from "./log-output.ts";
import { type Personality, reasonOf } from "./personality.ts";

const EXIT_USAGE = 1;

export const vmcoreDmesg: Personality = async (libc: Libc, args: readonly string[]) => {
  const say = (line: string) => writeText(2, `${line}\n`);
  const [source, extra] = args;
  if (source === undefined || extra !== undefined) {
    say("usage: vmcore-dmesg <kernel core file>");
    return EXIT_USAGE;
  }
  try {
    const { records, problems } = readDmesg(libc, { source });
    for (const problem of problems) say(`vmcore-dmesg: ${source}: ${problem}`);
    toStandardOutput(libc, records.map((record) => formatRecord(record, { indented: false })).join(""));
    return records.length === 0 && problems.length > 0 ? EXIT_FAILED : EXIT_OK;
  } catch (error) {
    say(`vmcore-dmesg: ${reasonOf(error)}`);
    return EXIT_FAILED;
  }
};
