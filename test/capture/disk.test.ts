// Captures on real small disks, in a mount namespace of their own: a device that capture mounts itself, one that is
// full, read-only, empty or not there; and a dump read back from the disk, not from the page cache.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { BUN, ROOT, temporaryFolder } from "../support/files.ts";
import { possible, shell, shellLine } from "../support/program.ts";
import { writeSampleFile } from "../support/sample.ts";

const path = temporaryFolder();
const source = path("source");
const image = path("image");
const mount = path("mount");
const MIB = 1 << 20;
const canMount = possible(
  `mkdir -p ${mount} && truncate -s 8M ${path("try")} && mkfs.ext4 -q ${path("try")} && device=$(losetup -f --show ${path("try")}) && { unshare -m mount $device ${mount}; code=$?; losetup -d $device; exit $code; }`,
);
const loops: string[] = [];

beforeAll(() => {
  // 64 MiB of memory: some 60 MiB unfiltered and unpacked, 5 MiB at level 31 packed by zstd.
  writeSampleFile(source, { size: 64 * MIB });
});
beforeEach(() => rmSync(image, { force: true }));
afterAll(async () => {
  for (const loop of loops) await shell(`losetup -d ${loop}`);
});

/** A loop device with a new ext4. @param more arguments of mkfs.ext4 */
async function disk(mib: number, make = "mkfs.ext4 -q -m 0", options = ""): Promise<string> {
  const { out, err } = await shell(
    `truncate -s ${mib}M ${image} && { [ -z '${make}' ] || ${make} ${image}; } && losetup ${options} -f --show ${image}`,
  );
  const device = out.trim();
  if (device === "") throw new Error(`Cannot make a disk: ${err}`);
  loops.push(device);
  return device;
}

interface Ended {
  readonly code: number;
  readonly report: Record<string, unknown> & { steps: { name: string; ok: boolean; line: string }[] };
  readonly err: string;
  /** what find says of the disk afterwards */
  readonly files: string[];
}

/** Captures to a device, in a namespace whose mounts go with it; then looks at what is on the disk. */
async function capture(device: string, options: string[] = [], before = ""): Promise<Ended> {
  const line = shellLine(
    "capture",
    "--source",
    source,
    "--to",
    `${device}:/var/crash`,
    "--name",
    "one",
    "--wait",
    "0",
    "--json",
    ...options,
  );
  const script = `
    ${before}
    ${line} > ${path("report")}; echo $? > ${path("code")}
    grep ' ${device}\\|^${device}' /proc/mounts >&2
    ls -d /run/vmcopy.* /tmp/vmcopy.[0-9]* 2>/dev/null >&2
    mount -o ro ${device} ${mount} 2>/dev/null && find ${mount}/var -mindepth 1 -printf '%P\\n' | sort`;
  const { out, err } = await shell(`unshare -m bash -c "$(cat <<'END'\n${script}\nEND\n)"`);
  const read = async (name: string) => await Bun.file(path(name)).text();
  return {
    code: Number(await read("code")),
    report: JSON.parse(await read("report")),
    err,
    files: out.split("\n").filter((file) => file !== ""),
  };
}

const steps = ({ report }: Ended) => report.steps.map(({ name, ok }) => (ok ? name : `${name}!`)).join(" ");
const lineOf = ({ report }: Ended, name: string) => report.steps.find((step) => step.name === name)?.line;
const IN_ONE = ["capture.json", "crash.json", "dmesg.txt", "vmcore", "vmcore.manifest.json"];
const filesIn = (directory: string, files = IN_ONE) => [
  "crash",
  `crash/${directory}`,
  ...files.map((file) => `crash/${directory}/${file}`),
];

const skipped = canMount ? "" : " (skipped: loop devices and mounts need root)";

describe.skipIf(!canMount)(`a device${skipped}`, () => {
  it("is mounted, written and unmounted; its files are called by its name", async () => {
    const device = await disk(64);
    const ended = await capture(device);
    expect([ended.code, steps(ended)]).toEqual([
      0,
      "read target log crash space dump verify name unmount final",
    ]);
    expect(ended.files).toEqual(filesIn("one"));
    expect(ended.report.directory).toBe(`${device}:/var/crash/one`);
    expect(lineOf(ended, "target")).toMatch(new RegExp(`^${device}:/var/crash/one.incomplete: ext4, `));
    // Nothing is mounted, no mount point is left, no path of one was told.
    expect(ended.err).not.toMatch(/vmcopy\.\d/);
    expect(ended.err).not.toMatch(new RegExp(`^${device} `, "m"));
  });

  it.each([
    ["ext2", "mkfs.ext2 -q"],
    ["one that ends in no journal", "mkfs.ext4 -q -O ^has_journal"],
  ])("with %s is mounted too", async (_, make) => {
    const ended = await capture(await disk(64, make));
    expect([ended.code, lineOf(ended, "target")]).toEqual([0, expect.stringContaining(": ext4, ")]);
  });

  it.each<[string, () => Promise<string>, RegExp]>([
    [
      "that is not there",
      async () => path("no-device"),
      /Cannot mount .*no-device: there is no such device; is its driver loaded/,
    ],
    ["that is a file", async () => source, /Cannot mount .*source: it is no block device; name one/],
    [
      "without a file system",
      async () => await disk(64, ""),
      /holds no file system that this kernel knows; tried: ext4/,
    ],
    [
      "that is read-only",
      async () => await disk(64, "mkfs.ext4 -q", "-r"),
      /read-only.*name one that can be written/,
    ],
  ])("%s: one line, exit code 2, and the end of the log on the console", async (_, make, message) => {
    const ended = await capture(await make());
    expect([ended.code, steps(ended)]).toEqual([2, "read target! final"]);
    expect(lineOf(ended, "target")).toMatch(message);
    expect(ended.err).toContain("Kernel panic - not syncing: sysrq triggered crash\n");
    expect(ended.err).not.toMatch(/vmcopy\.\d/);
  });

  it("that comes late is waited for", async () => {
    const device = await disk(64);
    const link = path("late");
    const ended = await capture(link, ["--wait", "20"], `{ sleep 1; ln -s ${device} ${link}; } &`);
    expect([ended.code, ended.report.directory]).toEqual([0, `${link}:/var/crash/one`]);
  });
});

/** Leaves so many MiB free. */
const fill = (device: string, mib: number) => `
  mount ${device} ${mount}; fallocate -l $(( $(df -B1 --output=avail ${mount} | tail -1) - ${Math.round(mib * MIB)} )) ${mount}/filler; umount ${mount}`;

describe.skipIf(!canMount)(`a disk that is nearly full${skipped}`, () => {
  it.each([
    [30, ["-d", "0", "-c", "none"], "0 zstd"],
    [12, ["-d", "0"], "31 zstd"],
    [12, ["-d", "31", "-c", "none"], "31 zstd"],
  ])("%i MiB for a dump by %p: the next smaller one is %s", async (mib, options, taken) => {
    const device = await disk(160);
    const ended = await capture(device, options, fill(device, mib));
    const { dump, state } = ended.report as unknown as {
      dump: { dumpLevel: number; compression: string; reduced: boolean };
      state: string;
    };
    expect([ended.code, state, `${dump.dumpLevel} ${dump.compression}`, dump.reduced]).toEqual([
      0,
      "complete",
      taken,
      true,
    ]);
    expect(lineOf(ended, "space")).toMatch(
      /are free, too little for -d \d+ -c \w+: the next smaller one is taken, -d \d+ -c \w+, up to /,
    );
    expect(ended.files).toEqual(filesIn("one"));
  });

  it("too full for any dump: log and crash.json, said so, nothing filled to the brim", async () => {
    const device = await disk(64);
    const ended = await capture(device, [], fill(device, 5));
    expect([ended.code, steps(ended)]).toEqual([1, "read target log crash space! name unmount final"]);
    expect(lineOf(ended, "space")).toMatch(
      /^no dump fits: the smallest needs 9\.\d MiB with a margin, 5\.0 MiB are free; free some/,
    );
    expect(ended.files).toEqual(filesIn("one", ["capture.json", "crash.json", "dmesg.txt"]));
  });

  it("with three blocks left: the log has one of them", async () => {
    const device = await disk(64);
    const ended = await capture(device, [], fill(device, 0.012));
    expect([ended.code, steps(ended).split(" ").slice(0, 3)]).toEqual([1, ["read", "target", "log"]]);
    expect(ended.report.state).toBe("log-only");
    expect(ended.files).toContain("crash/one/dmesg.txt");
  });
});

describe.skipIf(!canMount)(`read back${skipped}`, () => {
  it("from the disk: what changed below the file system is found", async () => {
    const device = await disk(64);
    const script = `mount ${device} ${mount} && ${BUN} ${join(ROOT, "test/support/change-disk.ts")} ${source} ${mount} ${device}`;
    const { out, err } = await shell(`unshare -m bash -c "${script}"`);
    expect(err).toBe("");
    // The page cache of the file system still had what was written.
    expect(JSON.parse(out)).toEqual({
      changed: true,
      cached: true,
      verified: false,
      state: "incomplete",
      exitCode: 1,
    });
  });
});
