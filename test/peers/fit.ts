/**
 * `npm run fit`: how small a crash kernel may be, for each way to have vmcopy in it, and for makedumpfile. Crashes real
 * kernels in the lab, some twenty times: a quarter of an hour, and a few minutes more where the images are not in the
 * cache. `-- --only NAME,NAME` does a part; with --write, the README's table is written too.
 *
 * Sizes and what works are the same on any machine; seconds are of an emulated one.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { formatSize } from "../../src/units.ts";
import { measureAnonymous } from "../lab/anonymous.ts";
import { cacheRoot } from "../lab/cache.ts";
import { attempt, type Figures, ROWS, type Row } from "../lab/layout-rows.ts";
import { leastMemory } from "../lab/least.ts";
import { type Finding, findingsTable, markdownTable, writeBetweenMarks } from "./results.ts";

const README = fileURLToPath(new URL("../../README.md", import.meta.url));
const RAW = join(cacheRoot, "fit.json");
/** MiB: all rows are timed with this one, but those that need more. */
const ROOMY = 256;
const MOST = 448;
const ANONYMOUS = "anonymous";
const MIB = 2 ** 20;

/** What is known of a row. */
interface Measured {
  readonly what: string;
  /** bytes */
  readonly initramfs: number;
  /** MiB; null where none worked */
  readonly least: number | null;
  readonly fails: number | null;
  readonly atLeast: Figures | null;
  /** with crashkernel=256M */
  readonly roomy: Figures | null;
}

interface Results {
  rows: Record<string, Measured>;
  anonymous?: { copy: number; capture: number };
}

const names = [...ROWS.map(({ name }) => name), ANONYMOUS];
const only = process.argv.includes("--only")
  ? (process.argv[process.argv.indexOf("--only") + 1] ?? "").split(",")
  : names;
const unknown = only.filter((name) => !names.includes(name));
if (unknown.length > 0) {
  console.error(`--only: some of ${names.join(", ")} are expected (${unknown.join(", ")})`);
  process.exit(2);
}

// Rows that are not measured anew stay as they were.
const results: Results = existsSync(RAW) ? JSON.parse(readFileSync(RAW, "utf8")) : { rows: {} };
for (const row of ROWS.filter(({ name }) => only.includes(name))) {
  results.rows[row.name] = await measure(row);
  keep();
}
if (only.includes(ANONYMOUS)) {
  say(ANONYMOUS, "copy and capture, three times each");
  results.anonymous = await measureAnonymous();
  keep();
}

const text = report();
console.log(text);
if (process.argv.includes("--write")) writeBetweenMarks(README, text, "fit");

async function measure(row: Row): Promise<Measured> {
  say(row.name, "the image");
  const ready = await row.prepare();
  const tried = new Map<number, Figures | undefined>();
  const crash = async (memMiB: number) => {
    if (tried.has(memMiB)) return tried.get(memMiB);
    say(row.name, `crashkernel=${memMiB}M`);
    const figures = await attempt(ready, memMiB, (line) => say(row.name, line));
    tried.set(memMiB, figures);
    return figures;
  };
  const roomy = await crash(ROOMY);
  const least = await leastMemory(crash, row.likely, MOST);
  return {
    what: row.what,
    initramfs: ready.initramfs,
    least: least?.works ?? null,
    fails: least?.fails ?? null,
    atLeast: least?.result ?? null,
    roomy: roomy ?? null,
  };
}

function report(): string {
  const rows = ROWS.flatMap(({ name }) => results.rows[name] ?? []);
  const table = markdownTable(
    [
      "layout",
      "initramfs",
      "least crashkernel=",
      "vmcopy resident (anonymous)",
      "least available",
      "panic to dump",
      `with ${ROOMY}M`,
    ],
    rows.map(({ what, initramfs, least, atLeast, roomy }) => [
      what,
      `${(initramfs / 1e6).toFixed(1)} MB`,
      least === null ? `more than ${MOST}M` : `${least}M`,
      memoryOf(atLeast),
      bytes(atLeast?.leastAvailable),
      seconds(atLeast),
      seconds(roomy),
    ]),
    true,
  );
  const machine = `${cpus()[0]?.model.trim()}, ${cpus().length} CPUs`;
  const date = new Date().toISOString().slice(0, 10);
  return [
    `Measured by \`npm run fit\` on ${date}: ${machine}; a 1 GiB guest under qemu without KVM, Debian's kernel unless said, all`,
    "but the first row with `rootfstype=ramfs`. A dump is `-d 31`, on an ext4 disk, and read back there but for makedumpfile's.",
    "Memory and times are those with the least crashkernel=, the last column with a roomy one.",
    "",
    table,
    "",
    findingsTable(findings()),
  ].join("\n");
}

function findings(): Finding[] {
  const { rows, anonymous } = results;
  const found: Finding[] = [];
  const size = (name: string, what: string) => {
    const row = rows[name];
    if (row === undefined) return;
    const measured = `${(row.initramfs / 1e6).toFixed(1)} MB`;
    found.push({ what, measured, target: "at most 42 MB", met: row.initramfs <= 42e6 });
  };
  const least = (name: string, what: string, most: number) => {
    const row = rows[name];
    if (row === undefined) return;
    const measured = row.least === null ? `more than ${MOST}M` : `${row.least}M`;
    found.push({ what, measured, target: `at most ${most}M`, met: row.least !== null && row.least <= most });
  };
  size("ramfs-xz", "a complete initramfs, /init alone, xz");
  size("squashfs", "a complete initramfs, squashfs");
  least("squashfs", "crashkernel=, from the initramfs alone", 160);
  least("disk", "crashkernel=, from a disk", 96);
  if (anonymous !== undefined) {
    const more = anonymous.capture - anonymous.copy;
    found.push({
      what: "anonymous memory of capture beyond copy's",
      measured: `${(more / MIB).toFixed(1)} MiB (${formatSize(anonymous.capture)} / ${formatSize(anonymous.copy)})`,
      target: "at most 4 MiB",
      met: more <= 4 * MIB,
    });
  }
  return found;
}

function memoryOf(figures: Figures | null): string {
  if (figures?.peakRss == null) return "-";
  return `${bytes(figures.peakRss)}${figures.anonymous === null ? "" : ` (${bytes(figures.anonymous)})`}`;
}

function bytes(value: number | null | undefined): string {
  return value == null ? "-" : `${(value / MIB).toFixed(1)} MiB`;
}

function seconds(figures: Figures | null): string {
  return figures === null ? "-" : `${figures.seconds.toFixed(1)} s`;
}

function say(name: string, what: string): void {
  console.error(`${new Date().toTimeString().slice(0, 8)} ${name}: ${what} ...`);
}

function keep(): void {
  mkdirSync(cacheRoot, { recursive: true });
  writeFileSync(RAW, `${JSON.stringify(results, null, 2)}\n`);
}
