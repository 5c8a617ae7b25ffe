/** `vmcopy copy`: a dump of a vmcore. */
import { Option } from "commander";
import { type CopyReport, copyRaw } from "../copy/raw.ts";
import { EXIT_DATA, EXIT_OK, VmcopyError } from "../errors.ts";
import { formatDuration, formatPercent, formatRate, formatSize } from "../units.ts";
import { mapSizeOption, sourceAndLast, type Verb } from "./command.ts";

const USAGE = "vmcopy copy [options] [source] <dest>";

export const copy: Verb = {
  describe(command) {
    command
      .summary("copy a vmcore to a file, a block device or standard output")
      .description(
        "Copies the memory of a crashed kernel, byte for byte. Writes <dest>.incomplete, syncs it, and gives it its name " +
          "only when it is whole; <dest>.manifest.json then proves it on any machine (vmcopy verify <dest>).",
      )
      .usage("[options] [source] <dest>")
      .argument("<paths...>", "source (default /proc/vmcore) and dest; dest - is standard output")
      .addOption(new Option("-f, --format <format>", "format of the dump").choices(["raw"]).default("raw"))
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

  async run({ libc, terminal }, paths, options) {
    const { source, last: dest } = sourceAndLast(paths, USAGE);
    if (dest === "-" && options.json === true) {
      throw new VmcopyError("E_USAGE", "--json and a dump on standard output: name a file for the dump");
    }
    const report = await copyRaw(libc, terminal, {
      source,
      dest,
      method: options.read === true ? "read" : undefined,
      mapSize: mapSizeOption(options.mapSize, libc.pageSize),
      sparse: options.sparse !== false,
      direct: options.direct === true,
      manifest: options.manifest !== false,
      sha256: options.sha256 === true,
      force: options.force === true,
      resume: options.resume === true,
    });
    return {
      exitCode: report.unreadable.length > 0 ? EXIT_DATA : EXIT_OK,
      json: toJson(report),
      text: toText(report),
      outputTaken: dest === "-",
    };
  },
};

function toJson(report: CopyReport): object {
  const { pages, problems, unreadable, ...rest } = report;
  return {
    source: rest.source,
    dest: rest.dest,
    format: "raw",
    dumpLevel: 0,
    compression: "none",
    method: rest.method,
    mapSize: rest.mapSize,
    bytesRead: rest.bytesRead,
    bytesWritten: rest.bytesWritten,
    seconds: rest.seconds,
    bytesPerSecond: rest.bytesRead / rest.seconds,
    peakRssBytes: rest.peakRssBytes,
    anonymousRssBytes: rest.anonymousRssBytes,
    manifest: rest.manifest,
    // A raw copy tells zero pages from others, and keeps them all.
    pages: {
      total: pages.total,
      zero: pages.zero,
      cache: 0,
      cachePrivate: 0,
      user: 0,
      free: 0,
      hwpoison: 0,
      offline: 0,
      kept: pages.total,
    },
    unreadable,
    problems,
  };
}

function toText(report: CopyReport): string {
  const { dest, bytesRead, bytesWritten, seconds, pages, unreadable, manifest } = report;
  const zeros =
    pages.zero === null ? "" : `; ${formatPercent(pages.zero, pages.total)} of the pages are zeros`;
  const lines = [
    `${report.source} -> ${dest === "-" ? "standard output" : dest}`,
    `  ${formatSize(bytesRead)} read by ${report.method === "mmap" ? "mmap" : "pread"}, ${formatSize(bytesWritten)} written in ${formatDuration(seconds)} (${formatRate(bytesRead / seconds)})${zeros}`,
  ];
  if (unreadable.length > 0) lines.push(`  INCOMPLETE: ${unreadable.length} ranges could not be read`);
  if (manifest !== null) lines.push(`  prove it anywhere: vmcopy verify ${dest}`);
  return `${lines.join("\n")}\n`;
}
