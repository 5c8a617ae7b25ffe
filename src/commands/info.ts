/** `vmcopy info`: what a vmcore or a dump says of itself, and what its pages are. */
import type { Libc } from "../../ffi/libc.ts";
import { kindOfFile, openMemory } from "../dump/open.ts";
import { PartitionReader } from "../dump/partition-reader.ts";
import { EXIT_DATA, EXIT_OK, VmcopyError } from "../errors.ts";
import { type Description, describeVmcore } from "../info/describe.ts";
import { type PageSummary, summarizePages } from "../info/pages.ts";
import type { Look } from "../ui/style.ts";
import { ElfMemory } from "../vmcore/elf-memory.ts";
import { openForReading } from "../vmcore/vmcore.ts";
import { DEFAULT_SOURCE, type Verb } from "./command.ts";
import { dumpJson, pagesJson, toJson } from "./info-json.ts";
import { dumpText, pagesText } from "./info-pages.ts";
import { partitionJson, partitionText } from "./info-partition.ts";
import { toText, vmcoreinfoText } from "./info-text.ts";

const USAGE = "vmcopy info [options] [source|dump]";

export const info: Verb = {
  describe(command) {
    command
      .summary("show headers, memory map, notes, VMCOREINFO and pages by kind of a vmcore or a dump")
      .description(
        "Shows what a vmcore, or any dump of one, says of itself: size, machine, kernel, time of the crash, each PT_LOAD " +
          "with its addresses, and the notes; then what its pages are, and what each useful dump level would give.",
      )
      .usage("[options] [source|dump]")
      .argument("[paths...]", `vmcore or dump (default ${DEFAULT_SOURCE})`)
      .option("--no-pages", "read headers and notes only")
      .option("--vmcoreinfo", "print VMCOREINFO alone, as KEY=VALUE lines");
  },

  async run({ libc, terminal }, paths, options) {
    const [path = DEFAULT_SOURCE, extra] = paths;
    if (extra !== undefined) throw new VmcopyError("E_USAGE", `too many paths (${extra}); usage: ${USAGE}`);
    const kind = path === DEFAULT_SOURCE ? "elf" : kindOfFile(libc, path);
    const look = terminal.look();
    const partition = kind === "partition" ? partitionInfo(libc, path, look) : undefined;
    if (partition !== undefined && !partition.hasDump) {
      return { exitCode: EXIT_DATA, json: partition.json, text: partition.text };
    }
    using memory = openMemory(libc, [path]);
    const description: Description | undefined =
      memory instanceof ElfMemory && kind !== "flattened" ? describeVmcore(memory.vmcore) : undefined;
    if (options.vmcoreinfo === true) {
      const vmcoreinfo = memory.info.entries;
      return {
        exitCode: EXIT_OK,
        json: Object.fromEntries(vmcoreinfo),
        text: vmcoreinfoText({ vmcoreinfo }),
      };
    }
    let pages: PageSummary | undefined;
    // What is no crashed kernel's memory has no kinds to tell.
    if (options.pages !== false && memory.info.release !== undefined && memory.endPfn > 0) {
      pages = await summarizePages(libc, terminal, memory);
    }
    const about = description === undefined ? dumpText(memory, look) : toText(description, look);
    const head = partition === undefined ? about : `${partition.text}\n${about}`;
    const members = description === undefined ? dumpJson(memory) : toJson(description);
    const json = partition === undefined ? members : { ...members, ...partition.json };
    return {
      exitCode: partition === undefined || partition.isWhole ? EXIT_OK : EXIT_DATA,
      json: pages === undefined ? json : { ...json, pages: pagesJson(pages) },
      text: pages === undefined ? head : `${head}\n${pagesText(pages, memory.pageSize, look)}`,
    };
  },
};

function partitionInfo(libc: Libc, path: string, look: Look) {
  using file = openForReading(libc, path);
  const partition = PartitionReader.of(file);
  if (partition === undefined) return undefined;
  return {
    json: { capture: partitionJson(partition) },
    text: partitionText(partition, look),
    hasDump: partition.dump() !== undefined,
    isWhole: partition.problems().length === 0,
  };
}
