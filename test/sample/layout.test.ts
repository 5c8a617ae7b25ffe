import { describe, expect, it } from "bun:test";
import { layOut } from "../../src/sample/layout.ts";
import { PAGE, planMachine } from "../../src/sample/plan.ts";
import { readElfHeaders } from "../../src/vmcore/elf.ts";
import { readNotes, readVmcoreinfoText } from "../../src/vmcore/notes.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const TIB = 2 ** 40;

function sample(options: Parameters<typeof planMachine>[0]) {
  const machine = planMachine(options);
  const layout = layOut(machine);
  const file = {
    path: "sample",
    size: layout.size,
    read: (offset: number, length: number) => layout.headers.slice(offset, offset + length),
  };
  return { machine, layout, file, elf: readElfHeaders(file) };
}

describe.each([
  { size: MIB },
  { size: 3 * MIB, cpus: 1 },
  { size: 64 * MIB, seed: 2 },
  { size: 256 * MIB },
  { size: 64 * MIB, ram: 5 * GIB, seed: 9 },
  { size: 64 * MIB, ram: TIB, cpus: 300 },
])("a sample of %o", (options) => {
  const { machine, layout, file, elf } = sample(options);
  const rams = layout.segments.filter(({ kind }) => kind === "ram");

  it("has its headers and notes in whole pages, one PT_NOTE first", () => {
    const [note, ...more] = elf.notes;
    expect(more).toEqual([]);
    expect(note?.index).toBe(0);
    expect(note?.align).toBe(4);
    expect(note?.offset).toBe(Math.ceil((64 + 56 * (1 + elf.loads.length)) / PAGE) * PAGE);
    const end = Math.ceil(((note?.offset ?? 0) + (note?.fileSize ?? 0)) / PAGE) * PAGE;
    expect(end).toBe(layout.segments[0]?.position as number);
    expect(layout.headers.length).toBe(end);
    const padding = layout.headers.subarray((note?.offset ?? 0) + (note?.fileSize ?? 0));
    expect(padding.every((byte) => byte === 0)).toBe(true);
  });

  it("has its objects at page-aligned positions, in whole pages, without gaps up to its end", () => {
    let position = layout.headers.length;
    for (const [index, load] of elf.loads.entries()) {
      const address = load.physicalAddress as bigint;
      const skipped = Number(address % BigInt(PAGE));
      expect(load.offset).toBe(position + skipped);
      expect(load.memorySize).toBe(BigInt(load.fileSize));
      expect(layout.segments[index]?.position).toBe(position);
      position += Math.ceil((skipped + load.fileSize) / PAGE) * PAGE;
    }
    expect(position).toBe(layout.size);
  });

  it("shows its RAM in ascending pieces, borders inside pages among them", () => {
    let end = 0n;
    for (const { physicalAddress, virtualAddress, size } of rams) {
      expect(physicalAddress).toBeGreaterThanOrEqual(end);
      expect(virtualAddress - physicalAddress).toBe(machine.directMap);
      end = physicalAddress + BigInt(size);
    }
    expect(rams.some(({ physicalAddress }) => physicalAddress % 4096n !== 0n)).toBe(true);
    expect(rams.some(({ physicalAddress, size }) => (physicalAddress + BigInt(size)) % 4096n !== 0n)).toBe(
      true,
    );
    const ram = options.ram ?? options.size;
    const bytes = rams.reduce((sum, { size }) => sum + size, 0);
    expect(ram - bytes).toBe(0x400); // low memory's last page is cut
    expect(rams.some(({ firstPfn }) => firstPfn === 0x100000)).toBe(ram > 3 * GIB);
  });

  it("has a kernel image inside one piece of RAM, with its tables behind it", () => {
    const [image] = layout.segments;
    expect(image?.kind).toBe("kernel");
    expect(image?.virtualAddress).toBeGreaterThanOrEqual(0xffffffff81000000n);
    const { kernel, reserved } = machine;
    const holder = rams.find(
      ({ firstPfn, pages }) => firstPfn <= kernel.firstPfn && reserved.endPfn <= firstPfn + pages,
    );
    expect(holder).toBeDefined();
    expect(kernel.virtualAddress - 0xffffffff80000000n + kernel.physBase).toBe(
      BigInt(kernel.firstPfn * PAGE),
    );
  });

  it("has a note for each CPU and VMCOREINFO, which knows the machine", () => {
    const notes = readNotes(file, elf);
    const cpus = notes.filter(({ name, type, size }) => name === "CORE" && type === 1 && size === 336);
    expect(cpus.length).toBe(options.cpus ?? 4);
    expect(notes.length).toBe(cpus.length + 1);
    const text = readVmcoreinfoText(file, notes) as string;
    expect(text.length).toBeLessThanOrEqual(PAGE);
    const values = new Map(
      text
        .trimEnd()
        .split("\n")
        .map((line) => line.split("=") as [string, string]),
    );
    expect(values.get("PAGESIZE")).toBe("4096");
    expect(values.get("OSRELEASE")).toStartWith("6.1.");
    expect(BigInt(values.get("NUMBER(phys_base)") as string)).toBe(machine.kernel.physBase);
    expect(values.get("SYMBOL(_stext)")).toBe(machine.kernel.virtualAddress.toString(16));
    const end = machine.kernel.virtualAddress + BigInt(machine.kernel.pages * PAGE);
    for (const [key, value] of values) {
      if (key.startsWith("SYMBOL") && key !== "SYMBOL(mem_section)")
        expect(BigInt(`0x${value}`)).toBeLessThan(end);
    }
  });
});

describe("planMachine", () => {
  it.each([
    [{ size: 0 }, "size must be a whole number from 1048576"],
    [{ size: 1.5 * MIB + 0.5 }, "size must be a whole number"],
    [{ size: Number.NaN }, "(NaN)"],
    [{ size: 2 ** 60 }, "size must be a whole number"],
    [{ size: 8 * MIB, ram: 2 ** 46 }, "ram must be a whole number"],
    [{ size: 8 * MIB, ram: 4 * MIB }, "ram is smaller than size (4194304 < 8388608)"],
    [{ size: 2 * MIB, ram: 4 * MIB }, "size must be at least 4194304 (2097152)"],
    [{ size: 5 * MIB, ram: 60 * TIB }, "size must be at least"],
    [{ size: 8 * MIB, seed: 0.5 }, "seed must be a whole number"],
    [{ size: 8 * MIB, seed: -1 }, "(-1)"],
    [{ size: 8 * MIB, cpus: 0 }, "cpus must be a whole number from 1 to 8192 (0)"],
  ])("refuses %o", (options, message) => {
    expect(() => planMachine(options)).toThrow(RangeError);
    expect(() => planMachine(options)).toThrow(message);
  });

  it("lets each size it accepts be laid out", () => {
    for (let size = MIB; size < 5 * GIB; size = Math.ceil(size * 1.37)) {
      for (const seed of [0, 1, 2 ** 40]) {
        const { machine, layout } = sample({ size, seed });
        expect(layout.size).toBeGreaterThan(size - PAGE);
        expect(layout.size).toBeLessThan(size * 1.07 + 2 * MIB);
        expect(machine.busyChunks).toBe(machine.totalChunks);
      }
    }
  });
});
