/**
 * The power cut at any moment of a capture to a raw partition. A disk keeps what was synced, and of what was written
 * since then any sectors: all that was told of is there, and nothing that is not whole says to be. Then hostile
 * images: whatever is changed on one, it is never believed, and never more than one line.
 */
import { beforeAll, describe, expect, it } from "bun:test";
import { existsSync, readFileSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readDmesg } from "../../src/dmesg/dmesg.ts";
import { openMemory } from "../../src/dump/open.ts";
import { PartitionReader } from "../../src/dump/partition-reader.ts";
import { VmcopyError } from "../../src/errors.ts";
import { openForReading } from "../../src/vmcore/vmcore.ts";
import { same, verify } from "../support/engines.ts";
import { libc, temporaryFolder } from "../support/files.ts";
import { mutate } from "../support/mutate.ts";
import { captureRaw, image, takeAll } from "../support/partitions.ts";
import { vmcopy } from "../support/program.ts";
import { property, Random } from "../support/random.ts";
import { writeSampleFile } from "../support/sample.ts";

const canHoldInMemory =
  existsSync("/dev/shm") && statfsSync("/dev/shm").bavail * statfsSync("/dev/shm").bsize > 2 ** 28;
const path = temporaryFolder(canHoldInMemory ? "/dev/shm" : undefined);
const source = path("source");
const device = path("device");
const cut = path("cut");
const out = path("out");
const MIB = 1 << 20;
const SIZE = 16 * MIB;
const SECTOR = 512;
/** Tries of what a disk may keep, at each sync. */
const TRIES = 3;
let log: string;

beforeAll(async () => {
  writeSampleFile(source, { size: 8 * MIB });
  log = (await vmcopy("dmesg", source)).out;
});

interface Write {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** What a disk may hold after a cut: the steps that were told by then, and the image. */
interface Moment {
  readonly told: readonly string[];
  readonly held: Buffer;
}

/** Captures to the device, and gives what the disk may hold at each sync and after each step. */
async function* moments(random: Random, settings: { overwrite?: boolean } = {}): AsyncGenerator<Moment> {
  const durable = readFileSync(device);
  const pending: Write[] = [];
  const told: string[] = [];
  const seen: Moment[] = [];
  const keep = (chance: number) => {
    const held = Buffer.from(durable);
    for (const { offset, bytes } of pending) {
      for (let at = 0; at < bytes.length; at += SECTOR) {
        if (random.chance(chance)) held.set(bytes.subarray(at, at + SECTOR), offset + at);
      }
    }
    seen.push({ told: [...told], held });
  };
  await captureRaw(device, source, settings, {
    said: (line) => {
      told.push(line.replace(/^.*?\] (\w+): .*/, "$1"));
      // Nothing that was told of may still be on its way.
      keep(0);
    },
    rules: {
      pwrite: (call, real) => {
        const [, address = 0, length = 0, offset = 0] = call.args;
        const bytes = new Uint8Array(libc.backend.view(address, length)).slice();
        pending.push({ offset, bytes });
        return real(...call.args);
      },
      fsync: (call, real) => {
        for (let index = 0; index < TRIES; index++) keep(index / (TRIES - 1));
        for (const { offset, bytes } of pending) durable.set(bytes, offset);
        pending.length = 0;
        return real(...call.args);
      },
    },
  });
  expect(told.at(-1)).toBe("final");
  yield* seen;
}

/** What can be taken from an image after a cut. */
async function judge({ told, held }: Moment) {
  writeFileSync(cut, held);
  using file = openForReading(libc, cut);
  const partition = PartitionReader.of(file);
  if (partition === undefined) return { state: "none" as const, told };
  const { report, files, read } = await takeAll(cut, out);
  // Whatever is in the table is right.
  expect(report.problems.filter((line) => !line.startsWith(cut))).toEqual([]);
  if (files.includes("dmesg.txt")) expect(read("dmesg.txt").toString()).toBe(log);
  if (files.includes("vmcore")) expect((await verify(join(out, "vmcore"))).ok).toBe(true);
  if (told.includes("log")) expect(files).toContain("dmesg.txt");
  if (told.includes("crash")) expect(files).toContain("crash.json");
  if (told.includes("dump")) expect(files).toContain("vmcore");
  if (told.includes("mark")) expect(report.state).toBe("complete");
  if (report.state === "complete") expect((await verify(cut)).ok).toBe(true);
  else expect((await verify(cut)).ok).toBe(false);
  return { state: report.state, told, files };
}

describe("the power cut", () => {
  it("on a blank partition: nothing, then incomplete, then whole", async () => {
    image(device, SIZE);
    const states: string[] = [];
    for await (const moment of moments(new Random(1))) {
      const { state, told } = await judge(moment);
      // From the first header on it is known for what it is.
      if (told.includes("target")) expect(state).not.toBe("none");
      states.push(state);
    }
    expect(new Set(states)).toEqual(new Set(["none", "incomplete", "complete"]));
    expect(states.length).toBeGreaterThan(50);
  });

  it("on an older capture: that one whole, then incomplete, then the new one whole", async () => {
    image(device, SIZE);
    await captureRaw(device, source, { level: 1 });
    const older = readFileSync(device);
    const states: string[] = [];
    let isNew = false;
    for await (const moment of moments(new Random(2))) {
      const { state, told } = await judge(moment);
      expect(state).not.toBe("none");
      if (told.includes("target")) isNew = true;
      // Whole without a word of the new one's: the old one, untouched but for a header.
      if (state === "complete" && !told.includes("verify")) {
        expect([isNew, moment.held.subarray(8192).equals(older.subarray(8192))]).toEqual([false, true]);
      }
      states.push(state);
    }
    expect(new Set(states)).toEqual(new Set(["incomplete", "complete"]));
    expect([states[0], states.at(-1)]).toEqual(["complete", "complete"]);
  });

  it("where something else is overwritten: that, nothing, or the capture", async () => {
    image(device, SIZE, 0xaa);
    const states: string[] = [];
    for await (const moment of moments(new Random(3), { overwrite: true })) {
      const { state, told } = await judge(moment);
      if (told.includes("target")) expect(state).not.toBe("none");
      states.push(state);
    }
    expect(new Set(states)).toEqual(new Set(["none", "incomplete", "complete"]));
  });

  it("in the middle, and the next capture goes its way", async () => {
    image(device, SIZE);
    const all: Moment[] = [];
    for await (const moment of moments(new Random(4))) all.push(moment);
    for (const { held } of all.filter((_, index) => index % 7 === 0)) {
      writeFileSync(device, held);
      const { report } = await captureRaw(device, source);
      expect([report.exitCode, (await verify(device)).ok]).toEqual([0, true]);
    }
  });
});

describe("a hostile image", () => {
  let right: Buffer;
  beforeAll(async () => {
    image(device, SIZE);
    await captureRaw(device, source);
    right = readFileSync(device);
    await takeAll(device, path("right"));
  });

  it("with a bit flipped in a header: the other one counts, and what it tells of is right", async () => {
    await property(100, async (random) => {
      const held = Buffer.from(right);
      const at = random.pick([0, 4096]) + random.below(SECTOR);
      held[at] = (held[at] as number) ^ (1 << random.below(8));
      writeFileSync(cut, held);
      // Of a page that does not begin as one of ours nobody says that it is.
      if (at < 8) {
        using file = openForReading(libc, cut);
        expect(PartitionReader.of(file)).toBeUndefined();
        return;
      }
      const { report } = await takeAll(cut, out);
      expect(report.problems.filter((line) => !line.startsWith(cut))).toEqual([]);
      expect(same(join(path("right"), "vmcore"), join(out, "vmcore"))).toBe(true);
    });
  });

  it("changed anywhere: told, and nothing damaged gets a member's name", async () => {
    const end = right.findLastIndex((byte) => byte !== 0);
    const regions = [
      { offset: 0, length: 8192 },
      { offset: 64 << 10, length: 512 << 10 },
      { offset: MIB, length: 8192 },
      { offset: MIB, length: end - MIB },
    ];
    await property(100, async (random) => {
      const { bytes } = mutate(random, right, regions);
      writeFileSync(cut, bytes);
      const changed = right.subarray(0, bytes.length).equals(bytes) ? bytes.length <= end : true;
      let isPartition = false;
      try {
        using file = openForReading(libc, cut);
        isPartition = PartitionReader.of(file) !== undefined;
        if (!isPartition) return;
        const found = await verify(cut);
        if (found.ok) expect(changed && (await differs())).toBe(false);
        const { report, files } = await takeAll(cut, out);
        for (const name of ["dmesg.txt", "crash.json"]) {
          if (files.includes(name)) expect(same(join(path("right"), name), join(out, name))).toBe(true);
        }
        if (report.problems.length === 0) {
          expect(same(join(path("right"), "vmcore"), join(out, "vmcore"))).toBe(true);
        }
        readDmesg(libc, { source: cut });
        using memory = openMemory(libc, [cut]);
        expect(memory.path).toBe(cut);
      } catch (error) {
        if (!(error instanceof VmcopyError)) throw error;
        expect(error.message).not.toContain("\n");
      }
    });
  });

  /** Whether what is taken from the image is not what was captured. */
  async function differs(): Promise<boolean> {
    const { files } = await takeAll(cut, out);
    return files.some((name) => name !== "capture.json" && !same(join(path("right"), name), join(out, name)));
  }

  it("cut off: what is there is taken out, and the rest is told", async () => {
    const cuts = [right.length - SECTOR, 3 * MIB, MIB + 8192, MIB + 4096, MIB, 96 << 10, 8192];
    for (const length of cuts) {
      writeFileSync(cut, right.subarray(0, length));
      const { report, files } = await takeAll(cut, out);
      expect(report.problems[0]).toBe(
        `${cut}: it is cut off: it has ${length} bytes, the partition had ${SIZE}`,
      );
      if (length > MIB) expect(files).toContain("dmesg.txt");
      else expect(files).toContain("dmesg.txt.damaged");
      const found = await vmcopy("verify", cut);
      expect(found.code).toBe(1);
      expect(found.out + found.err).toContain(`it is cut off: it has ${length} bytes, the partition had`);
    }
    writeFileSync(cut, right.subarray(0, 500));
    expect((await vmcopy("copy", cut, path("x"))).err).toMatch(/^vmcopy: copy: [^\n]*damaged[^\n]*\n$/);
  });
});
