// kdump-compressed and flattened dumps: headers as the C compiler lays them out, and readers that survive damage.
import { beforeAll, describe, expect, it } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { Libc } from "../../ffi/libc.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { copyFiltered, type FilteredOptions } from "../../src/copy/filtered.ts";
import { MAIN_FIELDS, SUB_FIELDS, SUB_SIZE, UTSNAME_AT } from "../../src/dump/kdump-header.ts";
import { openMemory } from "../../src/dump/open.ts";
import { VmcopyError } from "../../src/errors.ts";
import { verifyDump } from "../../src/verify/verify.ts";
import { testJob } from "../support/engines.ts";
import { temporaryFolder } from "../support/files.ts";
import { mutate, type Region } from "../support/mutate.ts";
import { Random } from "../support/random.ts";
import { writeSampleFile } from "../support/sample.ts";

const libc = await Libc.load();
const path = temporaryFolder();
const source = path("sample");
const OPTIONS: Omit<FilteredOptions, "dest"> = {
  ...{ sources: [source], format: "kdump", level: 1, codec: "zstd", flatten: false, jobs: 1, split: 1 },
  ...{ dryRun: false, memory: undefined, direct: false, manifest: false, sha256: false, force: true },
};

beforeAll(async () => {
  writeSampleFile(source, { size: 8 << 20, seed: 3 });
  await copyFiltered(libc, testJob(), { ...OPTIONS, dest: path("kdump") });
  await copyFiltered(libc, testJob(), { ...OPTIONS, dest: path("flat"), flatten: true });
});

const compiler = Bun.which("gcc") ?? Bun.which("cc");

it.skipIf(compiler === null)("headers lie where a C compiler puts them", () => {
  const program = `
#include <stddef.h>
#include <stdio.h>
#include <stdint.h>
#include <sys/time.h>
#include <sys/utsname.h>
struct old_utsname { char f[6][65]; };
struct disk_dump_header {
  char signature[8]; int header_version; struct old_utsname utsname; struct timeval timestamp;
  unsigned int status; int block_size; int sub_hdr_size; unsigned int bitmap_blocks; unsigned int max_mapnr;
  unsigned int total_ram_blocks; unsigned int device_blocks; unsigned int written_blocks; unsigned int current_cpu;
  int nr_cpus;
};
struct kdump_sub_header {
  unsigned long phys_base; int dump_level; int split; unsigned long start_pfn, end_pfn; int64_t offset_vmcoreinfo;
  unsigned long size_vmcoreinfo; int64_t offset_note; unsigned long size_note; int64_t offset_eraseinfo;
  unsigned long size_eraseinfo; unsigned long long start_pfn_64, end_pfn_64, max_mapnr_64;
};
int main() {
${Object.keys(MAIN_FIELDS)
  .map((name) => `  printf("%zu ", offsetof(struct disk_dump_header, ${name}));`)
  .join("\n")}
${Object.keys(SUB_FIELDS)
  .map((name) => `  printf("%zu ", offsetof(struct kdump_sub_header, ${name}));`)
  .join("\n")}
  printf("%zu %zu", offsetof(struct disk_dump_header, utsname), sizeof(struct kdump_sub_header));
}`;
  writeFileSync(path("layout.c"), program);
  expect(Bun.spawnSync([compiler as string, "-o", path("layout"), path("layout.c")]).stderr.toString()).toBe(
    "",
  );
  const offsets = Bun.spawnSync([path("layout")])
    .stdout.toString()
    .split(" ")
    .map(Number);
  const ours = [...Object.values(MAIN_FIELDS), ...Object.values(SUB_FIELDS)].map(([at]) => at as number);
  expect([...ours, UTSNAME_AT, SUB_SIZE]).toEqual(offsets);
});

/** Everything that a reader does with a dump; errors of a damaged one are fine, anything else is not. */
async function useDump(file: string): Promise<"error" | "bad" | "good"> {
  try {
    const report = await verifyDump(libc, testJob(), { dump: file, members: [] });
    using memory = openMemory(libc, [file]);
    using reader = memory.pages();
    using page = Mapping.buffer(libc, memory.pageSize);
    const random = new Random(1);
    for (let i = 0; i < 20; i++) reader.read(random.below(memory.endPfn + 10), 1, page.address);
    return report.ok ? "good" : "bad";
  } catch (error) {
    if (error instanceof VmcopyError) return "error";
    throw error;
  }
}

describe.each([
  ["kdump", 700],
  ["flat", 500],
] as const)("a damaged %s dump", (name, rounds) => {
  it("gives an error, findings or data, and always ends", async () => {
    const bytes = new Uint8Array(readFileSync(path(name)));
    const head: Region[] = [
      { offset: 0, length: 512 },
      { offset: name === "flat" ? 4096 : 4096, length: 256 },
      { offset: 0, length: Math.min(bytes.length, 200_000) },
    ];
    const seen = { error: 0, bad: 0, good: 0 };
    for (let seed = 0; seed < rounds; seed++) {
      const random = new Random(seed);
      const { bytes: hostile, what } = mutate(random, bytes, head);
      writeFileSync(path("hostile"), hostile);
      try {
        seen[await useDump(path("hostile"))]++;
      } catch (error) {
        throw new Error(`seed ${seed}: ${what}: ${(error as Error).stack}`);
      }
    }
    expect(seen.error).toBeGreaterThan(20);
    expect(seen.bad).toBeGreaterThan(20);
  }, 300_000);
});

it("every bit of a page's data counts: zstd", async () => {
  const bytes = new Uint8Array(readFileSync(path("kdump")));
  using memory = openMemory(libc, [path("kdump")]);
  const pages = [...memory.stored(0, memory.endPfn)].reduce((sum, { start, end }) => sum + end - start, 0);
  expect(pages).toBeGreaterThan(1000);
  let found = 0;
  let plain = 0;
  for (let seed = 0; seed < 60; seed++) {
    const random = new Random(seed);
    const at = bytes.length - 1 - random.below(bytes.length >> 1);
    const hostile = new Uint8Array(bytes);
    hostile[at] = (hostile[at] as number) ^ (1 << random.below(8));
    writeFileSync(path("hostile"), hostile);
    const { ok } = await verifyDump(libc, testJob(), { dump: path("hostile"), members: [] });
    if (ok) plain++;
    else found++;
  }
  // Pages that did not become smaller are stored as they are: those the manifest proves.
  expect(found).toBeGreaterThan(plain);
}, 120_000);
