/**
 * Compiles the AssemblyScript in assembly/ to one WASM module and writes it, as base64, to
 * kernels.generated.ts, so that it travels inside the program.
 *
 * As a program: `bun src/kernels/build.ts` (npm's "prepare" runs it).
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";

const OPTIONS = ["-O3", "--noAssert", "--runtime", "stub", "--use", "abort=", "--enable", "simd"];

/**
 * Compiles the kernels and writes kernels.generated.ts beside this file.
 *
 * @returns the size of the WASM module in bytes
 * @throws Error with the compiler's own message
 */
export async function buildKernels(): Promise<number> {
  const here = fileURLToPath(new URL(".", import.meta.url));
  const work = await mkdtemp(join(tmpdir(), "vmcopy-kernels-"));
  try {
    const wasmFile = join(work, "kernels.wasm");
    const { error, stderr } = await asc.main([
      "assembly/index.ts",
      ...OPTIONS,
      "--baseDir",
      here,
      "--outFile",
      wasmFile,
    ]);
    if (error) throw new Error(`Cannot compile src/kernels/assembly: ${error.message}\n${stderr}`);
    const wasm = await readFile(wasmFile);
    await writeFile(
      join(here, "kernels.generated.ts"),
      `// Written by src/kernels/build.ts from src/kernels/assembly. Do not edit.\nexport const KERNELS_BASE64 =\n  "${wasm.toString("base64")}";\n`,
    );
    return wasm.length;
  } finally {
    await rm(work, { recursive: true });
  }
}

if (import.meta.main) {
  console.error(`src/kernels/kernels.generated.ts: ${await buildKernels()} bytes of WASM`);
}
