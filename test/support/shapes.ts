/** Vmcores of several shapes, written to files: what a copy has to cope with. */
import { writeFileSync } from "node:fs";
import { writeSampleFile } from "./sample.ts";
import { buildVmcore, PAGE, type VmcoreSpec } from "./vmcores.ts";

const MIB = 1 << 20;

/** 16 MiB of random data but for every third page, which is zeros. */
export const PLAIN: VmcoreSpec = {
  loads: [{ offset: 0, length: 16 * MIB, physicalAddress: 0x100000n }],
  zeroPage: (page) => page % 3 === 0 || (page > 1000 && page < 1100),
};

/** Shapes by name; each writes its file. */
export const SHAPES: Record<string, (path: string) => void> = {
  "a sample": (path) => writeSampleFile(path, { size: 12 * MIB }),
  "a sparse sample": (path) => writeSampleFile(path, { size: 8 * MIB, ram: 300 * MIB, seed: 3 }),
  "one segment": (path) => writeFileSync(path, buildVmcore(PLAIN).bytes),
  "a size that is no multiple of page or chunk": (path) =>
    writeFileSync(path, buildVmcore({ ...PLAIN, tail: 5 * MIB + 1234, seed: 2 }).bytes),
  "zeros at the end, in a dense file": (path) =>
    writeFileSync(path, buildVmcore({ ...PLAIN, zeroPage: (page) => page >= 1500 }).bytes),
  "segments that overlap and end inside pages": (path) =>
    writeFileSync(
      path,
      buildVmcore({
        loads: [
          { offset: 0, length: 3 * MIB + 100 },
          { offset: 2 * MIB, length: 4 * MIB },
          { offset: 6 * MIB + 7 * PAGE + 24, length: 5 * MIB - 1 },
        ],
      }).bytes,
    ),
  ELF32: (path) =>
    writeFileSync(path, buildVmcore({ class: 32, loads: [{ offset: 0, length: 5 * MIB + PAGE }] }).bytes),
  "hardly more than headers": (path) =>
    writeFileSync(path, buildVmcore({ loads: [{ offset: 0, length: 10 }] }).bytes),
};
