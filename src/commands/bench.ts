/** `vmcopy bench`: how fast this vmcore can be read, beside what was measured in 2013. */
import { writeFileSync } from "node:fs";
import { runBench } from "../bench/bench.ts";
import { renderHtml } from "../bench/html.ts";
import { BUFFER } from "../bench/passes.ts";
import { renderText } from "../bench/report.ts";
import { type BenchMode, MODES } from "../bench/rows.ts";
import { renderSvg } from "../bench/svg.ts";
import { EXIT_FAILED, EXIT_OK, VmcopyError } from "../errors.ts";
import { DEFAULT_SOURCE, numberOption, sizeOption, type Verb } from "./command.ts";

export const bench: Verb = {
  describe(command) {
    command
      .summary("measure reading and mapping, beside the figures of 2013")
      .description(
        "Reruns the experiment that brought mmap to /proc/vmcore: read, then map sizes from 4 KiB to 64 MiB, in three modes. " +
          "map: map, write to /dev/null, unmap, the pages never touched (what 2013 measured); touch: one word a page; copy: every byte.",
      )
      .usage("[options] [source]")
      .argument("[source]", `a vmcore (default ${DEFAULT_SOURCE})`)
      .option("--map-sizes <sizes>", "windows: FROM..TO in powers of two, or a list 4K,1M", "4K..64M")
      .option("--read-sizes <sizes>", "block sizes of read, 4M at most", "4K,64K,1M,4M")
      .option("--modes <modes>", "any of read,map,touch,copy", "read,map,touch,copy")
      .option("--bytes <size>", "how much of the memory (default: all)")
      .option("--repeat <number>", "passes over each row; medians are shown", "3")
      .option("--svg <file>", "draw a chart")
      .option("--html <file>", "write one self-contained page");
  },

  async run({ libc, terminal }, paths, options) {
    const { report, problems } = await runBench(libc, terminal, {
      source: paths[0] ?? DEFAULT_SOURCE,
      modes: modesOption(String(options.modes)),
      mapSizes: sizesOption(String(options.mapSizes), "--map-sizes", libc.pageSize),
      readSizes: sizesOption(String(options.readSizes), "--read-sizes", libc.pageSize, BUFFER),
      bytes: options.bytes === undefined ? Number.POSITIVE_INFINITY : sizeOption(options.bytes, "--bytes"),
      repeat: numberOption(options.repeat, "--repeat", 1, 1000),
    });
    for (const problem of problems) terminal.warn(problem);
    if (options.svg !== undefined) writeFile(String(options.svg), renderSvg(report));
    if (options.html !== undefined) writeFile(String(options.html), renderHtml(report));
    return {
      exitCode: report.rows.length === 0 ? EXIT_FAILED : EXIT_OK,
      json: { ...report, problems },
      text: renderText(report, terminal.look()),
    };
  },
};

function modesOption(text: string): BenchMode[] {
  const names = text.split(",");
  const unknown = names.find((name) => !MODES.some((mode) => mode === name));
  if (unknown !== undefined) {
    throw new VmcopyError("E_USAGE", `--modes: any of ${MODES.join(",")} are expected (${unknown})`);
  }
  return MODES.filter((mode) => names.includes(mode));
}

/** `4K..64M`: that and every power of two up to it; `4K,1M`: just these. */
function sizesOption(text: string, name: string, pageSize: number, most = Infinity): number[] {
  const [first, last, more] = text.split("..");
  const sizes: number[] = [];
  if (first !== undefined && last !== undefined && more === undefined) {
    const end = sizeOption(last, name);
    const start = Math.max(1, sizeOption(first, name));
    for (let size = start; size <= end; size *= 2) sizes.push(size);
  } else {
    sizes.push(...text.split(",").map((size) => sizeOption(size, name)));
  }
  const wrong = sizes.find(
    (size) => size % pageSize !== 0 || size === 0 || size > most || !Number.isInteger(Math.log2(size)),
  );
  if (wrong !== undefined || sizes.length === 0) {
    const limit = most < Infinity ? ` to ${most}` : "";
    throw new VmcopyError(
      "E_USAGE",
      `${name}: powers of two from the page size ${pageSize} up${limit} are expected (${wrong ?? text})`,
    );
  }
  return [...new Set(sizes)].sort((a, b) => a - b);
}

function writeFile(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (error) {
    throw new VmcopyError("E_IO", `Cannot write ${path}: ${(error as Error).message}`);
  }
}
