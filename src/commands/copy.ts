/** `vmcopy copy`: a dump of a vmcore. */
import { Option } from "commander";
import { copyFiltered } from "../copy/filtered.ts";
import { copyRaw } from "../copy/raw.ts";
import { rearrange } from "../copy/rearrange.ts";
import { takeOut } from "../copy/take-out.ts";
import { kindOfFile } from "../dump/open.ts";
import { EXIT_DATA, EXIT_OK, VmcopyError } from "../errors.ts";
import { DEFAULT_SOURCE, mapSizeOption, type Outcome, sourceAndLast, type Verb } from "./command.ts";
import { CODECS, copyPlan, FORMATS } from "./copy-plan.ts";
import { filteredJson, filteredText, rawJson, rawText } from "./copy-report.ts";
import { takenJson, takenText } from "./take-out-report.ts";

const USAGE = "vmcopy copy [options] [source] <dest>";

export const copy: Verb = {
  describe(command) {
    command
      .summary("copy a vmcore to a file, a block device or standard output")
      .description(
        "Copies the memory of a crashed kernel: byte for byte, or with -d or -c the pages that matter, compressed. Writes " +
          "<dest>.incomplete, syncs it, and gives it its name only when it is whole; <dest>.manifest.json then proves it on " +
          "any machine (vmcopy verify <dest>). A source may be a dump: it is filtered and compressed anew, and a flattened " +
          "one without other options is rearranged. From a raw partition with a capture (vmcopy capture --to DEVICE) its dump is " +
          "taken out, or all that is there where dest is a directory.",
      )
      .usage("[options] [source] <dest>")
      .argument(
        "<paths...>",
        "source (default /proc/vmcore) and dest; dest - is standard output, as it is for /proc/vmcore alone",
      )
      .addOption(
        new Option(
          "-f, --format <format>",
          "raw: byte for byte; kdump: kdump-compressed; elf: filtered ELF (default: raw, or kdump with -d or -c)",
        ).choices(FORMATS),
      )
      .option(
        "-d, --dump-level <level>",
        "leave out: 1 zero pages, 2 page cache, 4 page cache with private data too, 8 user, 16 free; 31 all",
      )
      .addOption(
        new Option("-c, --compress <codec>", "compress pages (default for kdump: zstd)").choices(CODECS),
      )
      .option("--flatten", "write a flattened stream, as kdump to standard output always is")
      .option(
        "-j, --jobs <n>",
        "pack on so many threads, each with some 30 MiB of memory (default: one a processor)",
      )
      .option("--split <n>", "write a split set, <dest>.1 to <dest>.<n>")
      .option("--reassemble", "the sources are the members of a split set: make one dump of them")
      .option("--dry-run", "tell what would be kept; write nothing")
      .option("--memory <size>", "memory for the filter, 64K to 32M (default: by free memory)")
      .option("--map-size <size>", "bytes mapped at once, or auto: found by measuring", "auto")
      .option("--read", "read with pread instead of mmap")
      .option("--direct", "write past the page cache (O_DIRECT)")
      .option("--sparse", "leave zero pages out as holes (the default)")
      .option("--no-sparse", "write zero pages too, and reserve the space first")
      .option("--manifest", "write <dest>.manifest.json (the default for files)")
      .option("--no-manifest", "write none")
      .option("--sha256", "put the SHA-256 of the whole dump into the manifest")
      .option("--resume", "go on with <dest>.incomplete, after checking what is there")
      .option("--force", "replace an existing dump, or an incomplete one");
  },

  async run({ libc, terminal }, paths, options): Promise<Outcome> {
    const plan = copyPlan(options);
    const { sources, dest } = sourcesAndDest(paths, options);
    if (dest === "-" && options.json === true && !(plan.pages?.dryRun ?? false)) {
      throw new VmcopyError("E_USAGE", "--json and a dump on standard output: name a file for the dump");
    }
    const common = {
      dest,
      method: options.read === true ? ("read" as const) : undefined,
      mapSize: mapSizeOption(options.mapSize, libc.pageSize),
      direct: options.direct === true,
      manifest: options.manifest !== false,
      sha256: options.sha256 === true,
      force: options.force === true,
    };
    const outputTaken = dest === "-";
    if (plan.pages !== undefined) {
      const report = await copyFiltered(libc, terminal, { ...common, ...plan.pages, sources });
      const exitCode = report.incomplete ? EXIT_DATA : EXIT_OK;
      return { exitCode, json: filteredJson(report), text: filteredText(report), outputTaken };
    }
    const [source = DEFAULT_SOURCE] = sources;
    const rawOptions = {
      ...common,
      source,
      sparse: options.sparse !== false,
      resume: options.resume === true,
    };
    const kind = source === DEFAULT_SOURCE ? "elf" : kindOfFile(libc, source);
    if (kind === "kdump") {
      throw new VmcopyError(
        "E_USAGE",
        `${source} is a kdump-compressed dump: say what to make of it, -d or -c for another one, -f elf for ELF`,
      );
    }
    if (kind === "partition") {
      if (rawOptions.resume)
        throw new VmcopyError(
          "E_USAGE",
          "--resume: what is taken from a partition is taken anew; use --force",
        );
      const report = await takeOut(libc, terminal, rawOptions);
      const exitCode = report.problems.length > 0 ? EXIT_DATA : EXIT_OK;
      return { exitCode, json: takenJson(report), text: takenText(report), outputTaken };
    }
    const engine = kind === "flattened" ? rearrange : copyRaw;
    const report = await engine(libc, terminal, rawOptions);
    const exitCode = report.unreadable.length > 0 ? EXIT_DATA : EXIT_OK;
    return { exitCode, json: rawJson(report), text: rawText(report), outputTaken };
  },
};

/** @throws VmcopyError E_USAGE */
function sourcesAndDest(paths: string[], options: Record<string, unknown>) {
  if (options.reassemble === true) {
    if (paths.length < 3) {
      throw new VmcopyError(
        "E_USAGE",
        "--reassemble: name the members of the set, two or more, and the dump to make",
      );
    }
    return { sources: paths.slice(0, -1), dest: paths.at(-1) as string };
  }
  // Nobody copies to /proc/vmcore: kdump-utils names it alone, and takes the dump from standard output.
  if (paths.length === 1 && paths[0] === DEFAULT_SOURCE) return { sources: [DEFAULT_SOURCE], dest: "-" };
  const { source, last } = sourceAndLast(paths, USAGE);
  return { sources: [source], dest: last };
}
