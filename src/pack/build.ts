/**
 * The program of `npm run build`: the WASM kernels, then one bundled and bytecode-compiled executable, then the
 * post-link step that makes it static (static.ts), at dist/vmcopy.
 *
 * `bun src/pack/build.ts [entry] [out]`; the defaults are src/cli.ts and dist/vmcopy.
 *
 * The same sources, Bun and build machine's glibc give the same bytes.
 */

import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { buildKernels } from "../kernels/build.ts";
import { makeStatic } from "./static.ts";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
const CLI = join(PROJECT, "src/cli.ts");

/**
 * What was measured on a program of this one's shape (commander, a subcommand behind `await import()`, FFI): from
 * fork to exit, medians of 30, Bun 1.4.5, an x86-64 virtual machine; and on vmcopy itself, in a squashfs by
 * `mksquashfs -comp zstd -Xcompression-level 19` (128 KiB blocks):
 *
 *     --minify                                 13.5 ms     49.0 MB
 *       and --bytecode --bytecode-depth=0       8.7 ms     49.3 MB
 *       and --bytecode --bytecode-depth=1       7.7 ms     49.9 MB
 *       and --bytecode                          7.3 ms     50.2 MB
 *
 * Whether cjs or esm, split or not, --no-optimize-bytecode or not: no difference. One console.log and no
 * commander: 3.5 ms. Depth 0 it is: bytecode for what runs at once, none for what may never run. At full depth
 * 2.0 MB of it (uncompressed) would be of Bun's own modules, which commander's import of node:child_process
 * brings; memory in a capture kernel is worth more than 1.4 ms. Static costs 1.3 ms: 2.9 MB of libraries copied.
 */
const COMPILE_OPTIONS = [
  "--compile",
  "--minify",
  "--keep-names", // a stack trace of VMCOPY_DEBUG=1 from the field has to say something
  "--bytecode",
  "--bytecode-depth=0",
  "--format=esm", // bytecode's default, cjs, has no await at the top level
  // Whatever lies in the current directory must not change what a program run as root does.
  "--no-compile-autoload-dotenv",
  "--no-compile-autoload-bunfig",
];

/** What was built. */
export interface Built {
  path: string;
  /** Bytes. */
  size: number;
  /** The sonames inside, the dynamic loader's first. */
  embedded: string[];
}

/**
 * Compiles a program and makes it static. The kernels it imports have to be there.
 *
 * @param entry its TypeScript source; what its workers run lies in `workers`, below the entry's folder
 * @param out where the executable goes, mode 0755; whole or not at all
 * @throws Error with the compiler's own words; PackError from the post-link step
 */
export function buildProgram(entry: string, out: string, workers: readonly string[] = []): Built {
  const work = mkdtempSync(join(tmpdir(), "vmcopy-build-"));
  const unfinished = join(dirname(out), `.${basename(out)}.${process.pid}`);
  try {
    // Bun puts the file's name into the program: the temporary file has the final name already.
    const compiled = join(work, basename(out));
    compile(
      [entry, ...workers].map((path) => resolve(path)),
      compiled,
    );
    const { bytes, embedded } = makeStatic(readFileSync(compiled), { programName: basename(out) });
    mkdirSync(dirname(out), { recursive: true });
    writeFileSync(unfinished, bytes);
    chmodSync(unfinished, 0o755); // writeFileSync's mode is subject to the umask
    renameSync(unfinished, out);
    return { path: out, size: bytes.length, embedded };
  } finally {
    rmSync(unfinished, { force: true });
    rmSync(work, { recursive: true });
  }
}

function compile(entries: readonly string[], out: string): void {
  const command = ["build", ...COMPILE_OPTIONS, ...entries, "--outfile", out];
  const { status, error, stderr } = spawnSync(process.execPath, command, { cwd: PROJECT, encoding: "utf8" });
  if (status === 0) return;
  throw new Error(
    `Cannot compile ${relative(PROJECT, entries[0] ?? "")}: ${error?.message ?? stderr.trim()}`,
  );
}

if (import.meta.main) {
  const [entry = CLI, out = join(PROJECT, "dist/vmcopy")] = process.argv.slice(2);
  try {
    await buildKernels();
    const workers = resolve(entry) === CLI ? [join(PROJECT, "src/copy/pack-worker.ts")] : [];
    const { path, size, embedded } = buildProgram(entry, out, workers);
    const mebibytes = (size / 2 ** 20).toFixed(1);
    console.log(
      `${relative(process.cwd(), path)}: ${mebibytes} MiB, static, with ${embedded.join(", ")} inside`,
    );
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
