/** What info says of vmcores: against readelf for a sample, and by hand for crafted ones. */
import { beforeAll, describe, expect, it } from "bun:test";
import { type Description, describeVmcore } from "../../src/info/describe.ts";
import { isoTime } from "../../src/units.ts";
import { Vmcore } from "../../src/vmcore/vmcore.ts";
import { libc, temporaryFolder } from "../support/files.ts";
import { type Crafted, writeCrafted, writeSampleFile } from "../support/sample.ts";

const path = temporaryFolder();
const MIB = 1 << 20;

function described(file: string): Description {
  using vmcore = Vmcore.open(libc, file);
  return describeVmcore(vmcore);
}

function crafted(name: string, options: Crafted): Description {
  writeCrafted(path(name), options);
  return described(path(name));
}

/** What readelf says of a file; binutils is among the packages that the tests need. */
function readelf(option: string, file: string): string {
  const { success, stdout, stderr } = Bun.spawnSync(["readelf", option, "-W", file]);
  if (!success) throw new Error(`readelf ${option}: ${stderr}`);
  return stdout.toString();
}

describe("a sample", () => {
  const file = path("sample.core");
  let found: Description;
  beforeAll(() => {
    writeSampleFile(file, { size: 32 * MIB, ram: 6 * 1024 * MIB, cpus: 5 });
    found = described(file);
  });

  it("has the segments that readelf sees", () => {
    const rows = readelf("-l", file)
      .split("\n")
      .flatMap((line) => {
        const [, ...fields] = /^ +LOAD +(\S+) (\S+) (\S+) (\S+) (\S+) (.{3})/.exec(line) ?? [];
        return fields.length === 0 ? [] : [fields];
      });
    expect(rows.length).toBeGreaterThanOrEqual(6);
    expect(
      found.segments.map((segment) => [
        BigInt(segment.offset),
        segment.virtualAddress,
        segment.physicalAddress as bigint,
        BigInt(segment.fileSize),
        segment.memorySize,
      ]),
    ).toEqual(rows.map((fields) => fields.slice(0, 5).map((field) => BigInt(field))));
    expect(rows.every((fields) => fields[5] === "RWE")).toBe(true);
    expect(found.segments.every(({ flags }) => flags === 7)).toBe(true);
  });

  it("has the notes that readelf sees", () => {
    const rows = readelf("-n", file)
      .split("\n")
      .flatMap((line) => {
        const match = /^ {2}(CORE|VMCOREINFO) +0x([0-9a-f]{8})\t(.*?)(?:\t| \(|$)/.exec(line);
        if (match === null) return [];
        const note: [string, number] = [match[1] as string, Number.parseInt(match[2] as string, 16)];
        return [note];
      });
    expect(rows).toHaveLength(6);
    expect(found.notes.map(({ name, size }) => [name, size])).toEqual(rows);
    expect(found.cpus).toBe(5);
    expect(found.notes[0]?.typeName).toBe("NT_PRSTATUS");
  });

  it("tells kernel, time and machine", () => {
    expect(found.kernelRelease).toBe("6.1.0-sample-amd64");
    expect(isoTime(found.crashTime)).toBe("2023-11-14T22:13:20Z");
    expect(found.pageSize).toBe(4096);
    expect(found.buildId).toMatch(/^[0-9a-f]{40}$/);
    expect(found.elf).toEqual({
      class: 64,
      littleEndian: true,
      machine: "x86_64",
      machineNumber: 62,
      flags: 0,
      incomplete: false,
    });
    expect(found.vmcoreinfo.get("SIZE(page)")).toBe("64");
  });

  it("tells the kernel's image, twice in the file, from RAM", () => {
    const kernel = found.segments.filter(({ kind }) => kind === "kernel");
    expect(kernel).toHaveLength(1);
    expect(kernel[0]?.marks).toContain("overlap");
    expect(found.totals.repeatedBytes).toBe(kernel[0]?.memorySize ?? 0n);
    expect(found.totals.memoryBytes).toBe(found.totals.ramBytes + found.totals.repeatedBytes);
  });
});

describe("the memory map", () => {
  it("sums up RAM, what is there twice, and holes", () => {
    const { segments, totals } = crafted("map.core", {
      loads: [
        { physicalAddress: 0x10_0000n, size: 0x10_0000, virtualAddress: 0xffff_ffff_8100_0000n },
        { physicalAddress: 0x1000n, size: 0x9ec00 },
        { physicalAddress: 0x10_0000n, size: 0x30_0000 },
        { physicalAddress: 0x100_0000n, size: 0x1000 },
      ],
    });
    expect(segments.map(({ kind }) => kind)).toEqual(["kernel", "ram", "ram", "ram"]);
    expect(segments.map(({ marks }) => marks)).toEqual([["overlap"], ["unaligned-end"], ["overlap"], []]);
    expect(totals).toEqual({
      segments: 4,
      fileBytes: 0x49_fc00n,
      memoryBytes: 0x49_fc00n,
      ramBytes: 0x39_fc00n,
      repeatedBytes: 0x10_0000n,
      holes: 2,
      holeBytes: 0x10_0000n - 0x9_fc00n + 0x100_0000n - 0x40_0000n,
      lowestAddress: 0x1000n,
      highestAddress: 0x100_0fffn,
    });
  });

  it("marks neighbours that share a page, but no byte", () => {
    const { segments, totals } = crafted("neighbours.core", {
      loads: [
        { physicalAddress: 0x1000n, size: 0x1800 },
        { physicalAddress: 0x2800n, size: 0x800 },
        { physicalAddress: 0x3000n, size: 0x1000 },
      ],
    });
    expect(segments.map(({ marks }) => marks)).toEqual([
      ["shared-page", "unaligned-end"],
      ["shared-page", "unaligned-start"],
      [],
    ]);
    expect([totals.ramBytes, totals.repeatedBytes, totals.holes]).toEqual([0x3000n, 0n, 0]);
  });

  it("marks a small segment inside a large one, and one that only meets it from within", () => {
    const { segments } = crafted("inside.core", {
      loads: [
        { physicalAddress: 0x1000n, size: 0x10000 },
        { physicalAddress: 0x2000n, size: 0x1000 },
        { physicalAddress: 0x8000n, size: 0x1000 },
        { physicalAddress: 0x11000n, size: 0x1000 },
      ],
    });
    expect(segments.map(({ marks }) => marks)).toEqual([["overlap"], ["overlap"], ["overlap"], []]);
  });

  it.each([32, 64] as const)("leaves unknown addresses out of the sums (ELF%i)", (elfClass) => {
    const { segments, totals, elf } = crafted(`unknown-${elfClass}.core`, {
      class: elfClass,
      machine: elfClass === 32 ? 3 : 62,
      loads: [
        { physicalAddress: 0x1000n, size: 0x1000 },
        { physicalAddress: 0x2000n, size: 0x1000 },
      ],
      change: ([note, one, two]) =>
        [note, one, { ...two, physicalAddress: (1n << BigInt(elfClass)) - 1n }] as never,
    });
    expect(elf.class).toBe(elfClass);
    expect(elf.machine).toBe(elfClass === 32 ? "i386" : "x86_64");
    expect(segments.map(({ kind }) => kind)).toEqual(["ram", "unknown"]);
    expect([totals.fileBytes, totals.ramBytes, totals.repeatedBytes]).toEqual([0x2000n, 0x1000n, 0n]);
  });

  it("calls no segment a kernel text alias that is the only one of its memory", () => {
    const { segments } = crafted("alone.core", {
      loads: [{ physicalAddress: 0x10_0000n, size: 0x1000, virtualAddress: 0xffff_ffff_8100_0000n }],
    });
    expect(segments[0]?.kind).toBe("ram");
  });

  it("finds the kernel of another architecture by _stext", () => {
    const { segments } = crafted("arm.core", {
      machine: 183,
      vmcoreinfo: "OSRELEASE=6.1.0\nPAGESIZE=65536\nSYMBOL(_stext)=ffff800008010000\n",
      loads: [
        { physicalAddress: 0x4000_0000n, size: 0x40_0000, virtualAddress: 0xffff_0000_0000_0000n },
        { physicalAddress: 0x4020_0000n, size: 0x10_0000, virtualAddress: 0xffff_8000_0800_0000n },
      ],
    });
    expect(segments.map(({ kind }) => kind)).toEqual(["ram", "kernel"]);
  });

  it("takes 65,600 segments, which need PN_XNUM, all of them overlapping, in a second", () => {
    const count = 65_600;
    const started = performance.now();
    const { segments, totals } = crafted("many.core", {
      loads: Array.from({ length: count }, (_, i) => ({ physicalAddress: BigInt(i) * 0x800n, size: 0x1000 })),
    });
    expect(performance.now() - started).toBeLessThan(5000);
    expect(segments).toHaveLength(count);
    expect(segments.every(({ marks }) => marks[0] === "overlap")).toBe(true);
    expect(totals.ramBytes).toBe(BigInt(count) * 0x800n + 0x800n);
  });
});

describe("what else the file says", () => {
  const loads = [{ physicalAddress: 0x1000n, size: 0x1000 }];

  it("reads big-endian files", () => {
    const { elf, cpus, segments } = crafted("big.core", { littleEndian: false, machine: 22, loads });
    expect([elf.littleEndian, elf.machine, cpus]).toEqual([false, "s390", 1]);
    expect(segments[0]?.physicalAddress).toBe(0x1000n);
  });

  it("tells makedumpfile's mark of an incomplete dump", () => {
    expect(crafted("incomplete.core", { flags: 1, loads }).elf.incomplete).toBe(true);
    expect(crafted("other-flag.core", { flags: 2, loads }).elf.incomplete).toBe(false);
  });

  it("does not make up what is missing, nor fall over a time that is none", () => {
    const { kernelRelease, crashTime, pageSize, kernelOffset } = crafted("bare.core", {
      vmcoreinfo: "",
      loads,
    });
    expect([kernelRelease, crashTime, pageSize, kernelOffset]).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
    expect(isoTime(undefined)).toBeUndefined();
    const late = crafted("late.core", { vmcoreinfo: "CRASHTIME=99999999999999999\n", loads });
    expect(isoTime(late.crashTime)).toBeUndefined();
  });

  it("names a machine that it does not know by no name", () => {
    expect(crafted("odd.core", { machine: 999, loads }).elf).toMatchObject({
      machine: "unknown",
      machineNumber: 999,
    });
  });
});
