/** `vmcopy verify`: whether a dump is whole and right. */
import { EXIT_DATA, EXIT_OK, VmcopyError } from "../errors.ts";
import { formatCount, formatDuration, formatRate, formatSize } from "../units.ts";
import { type VerifyReport, verifyDump } from "../verify/verify.ts";
import { mapSizeOption, type Verb } from "./command.ts";

/** Mismatches that the text lists. */
const LISTED = 10;

export const verify: Verb = {
  describe(command) {
    command
      .summary("prove a dump whole: by its manifest, or against its source")
      .description(
        "Reads all of a dump back and compares it with its manifest, <dump>.manifest.json; with a source, byte by byte with that, " +
          "and what the dump has not is proved to be what its level leaves out. A dump of pages without a manifest is checked by " +
          "itself: every page is decoded.",
      )
      .usage("[options] <dump> [source]")
      .argument("<paths...>", "dump, and the vmcore it was copied from (default: the manifest is used)")
      .option("--members <files>", "the other members of a split set, with commas between them")
      .option("--map-size <size>", "bytes of the source mapped at once, or auto: found by measuring", "auto")
      .option("--read", "read the source with pread instead of mmap");
  },

  async run({ libc, terminal }, paths, options) {
    const [dump, source, extra] = paths;
    if (dump === undefined || extra !== undefined) {
      throw new VmcopyError("E_USAGE", "usage: vmcopy verify [options] <dump> [source]");
    }
    const report = await verifyDump(libc, terminal, {
      dump,
      source,
      members: typeof options.members === "string" ? options.members.split(",") : [],
      method: options.read === true ? "read" : undefined,
      mapSize: mapSizeOption(options.mapSize, libc.pageSize),
    });
    const { seconds, bytesCompared } = report;
    return {
      exitCode: report.ok ? EXIT_OK : EXIT_DATA,
      json: { ...report, bytesPerSecond: bytesCompared / seconds },
      text: toText(report),
    };
  },
};

function toText(report: VerifyReport): string {
  const { dump, ok, bytesCompared, seconds, mismatches, mismatchCount, mismatchedBytes, problems } = report;
  const against = report.source ?? report.manifest;
  const how = against === null ? "decoded, and held against itself," : `compared with ${against}`;
  const compared = `${formatSize(bytesCompared)} ${how} in ${formatDuration(seconds)} (${formatRate(bytesCompared / seconds)})`;
  const lines = [`${dump}: ${ok ? "whole and right" : "NOT as it should be"}`, `  ${compared}`];
  for (const problem of problems) lines.push(`  ${problem}`);
  if (mismatchCount > 0) {
    lines.push(
      `  differing: ${bytesOf(mismatchedBytes)} in ${formatCount(mismatchCount)} ${mismatchCount === 1 ? "place" : "places"}`,
    );
    for (const { offset, length, physicalAddress } of mismatches.slice(0, LISTED)) {
      const where = physicalAddress === null ? "" : `, physical address 0x${physicalAddress.toString(16)}`;
      lines.push(`    offset ${offset} (0x${offset.toString(16)}), ${bytesOf(length)}${where}`);
    }
    if (mismatchCount > LISTED) lines.push(`    and ${formatCount(mismatchCount - LISTED)} more`);
  }
  return `${lines.join("\n")}\n`;
}

function bytesOf(count: number): string {
  return `${formatCount(count)} ${count === 1 ? "byte" : "bytes"}`;
}
