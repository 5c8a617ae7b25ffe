/** probe on a pretended /proc/vmcore: each promise breaks for its own reason, and each fault shows. */
import { describe, expect, it } from "bun:test";
import { closeSync, openSync } from "node:fs";
import { probe } from "../../src/probe/probe.ts";
import { temporaryFolder } from "../support/files.ts";
import { PAGE, writeCrafted, writeSampleFile } from "../support/sample.ts";
import { PretendedKernel, type Ways } from "./kernel.ts";

const path = temporaryFolder();
const sample = path("sample.core");
const { segments, size } = writeSampleFile(sample, { size: 24 << 20 });
/** Where the first PT_LOAD begins, and with it old memory. */
const memory = segments[0]?.position as number;
const NOTES = PAGE;
const borders = [NOTES, ...segments.map(({ position }) => position)];

function probed(ways: Ways = {}, split = true) {
  const kernel = new PretendedKernel(borders, size, ways);
  const report = probe(kernel.libc, sample, { split, now: kernel.now });
  const results = report.promises.map(({ result }) => result);
  return {
    kernel,
    report,
    failed: report.promises.filter((_, index) => results[index] === "fail").map(({ patch }) => patch),
    seen: (patch: number) => report.promises[patch - 1]?.seen ?? "",
    fault: (name: string) => report.faults.find((row) => row.name === name),
  };
}

describe("a kernel that keeps the promises", () => {
  const { kernel, report, failed, seen, fault } = probed();

  it("has a row for each of the 13 patches, and none that fails", () => {
    expect(report.promises.map(({ patch }) => patch)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
    expect(failed).toEqual([]);
    const passed = report.promises.filter(({ result }) => result === "pass").map(({ patch }) => patch);
    expect(passed).toEqual([1, 2, 3, 7, 9, 10, 11, 12, 13]);
  });

  it("tells what it saw", () => {
    expect(seen(7)).toContain("reads across 7 borders agree");
    expect(seen(13)).toMatch(/^1\d windows /);
    expect(seen(13)).toEndWith(
      " at start, middle and end of 6 PT_LOADs agree with read; PROT_WRITE: EPERM; PROT_EXEC: EPERM; " +
        "PROT_WRITE shared: EPERM; mprotect to PROT_WRITE: EACCES; across the end: EINVAL; behind the end: EINVAL",
    );
  });

  it("shows today's faults", () => {
    expect(report.faults.map(({ name, result }) => [name, result])).toEqual([
      ["overlap", "present"],
      ["spanning", "present"],
      ["read", "present"],
      ["split", "present"],
    ]);
    expect(fault("overlap")?.seen).toEndWith("fails: EAGAIN");
    expect(fault("split")?.seen).toContain(
      "mapped, and fails since the middle of another was unmapped: EAGAIN",
    );
    expect(fault("read")?.seen).toContain("20.0 us in reads of one page, 19.0 us in one read of 256");
  });

  it("leaves no window behind", () => {
    expect(kernel.held.size).toBe(0);
  });
});

describe("promises that are broken", () => {
  it.each<[string, Ways, number[], string]>([
    ["no mmap at all", { mmap: "ENODEV" }, [13], "mmap fails (ENODEV)"],
    ["headers that cannot be mapped", { mmapAt: { offset: 0, errno: "EAGAIN" } }, [1], "offset 0: EAGAIN"],
    ["notes that cannot be mapped", { mmapAt: { offset: NOTES, errno: "EAGAIN" } }, [9], "EAGAIN"],
    ["writing granted", { grantsWrite: true }, [13], "PROT_WRITE: granted, not EPERM"],
    ["shared writing granted", { grantsShared: true }, [13], "PROT_WRITE shared: granted, not EPERM"],
    ["executing granted", { grantsExec: true }, [13], "PROT_EXEC: granted, not EPERM"],
    ["mprotect granted", { grantsMprotect: true }, [13], "mprotect to PROT_WRITE: granted, not EACCES"],
    [
      "no end",
      { grantsPastTheEnd: true },
      [13],
      "across the end: granted, not EINVAL; behind the end: granted",
    ],
    ["reads without an end", { endless: true }, [7], "behind it 4096"],
    ["headers that differ", { flip: { offset: 70, longer: 64 * 56 } }, [1], "mmap and read differ"],
    ["memory that differs", { flip: { offset: memory + PAGE } }, [13], "mmap and read differ"],
    [
      "reads across a border that differ",
      { flip: { offset: memory, longer: 2048 } },
      [7, 13],
      "differs from two",
    ],
    ["old memory that cannot be read", { unreadable: memory + PAGE }, [13], "read of"],
  ])("%s", (_name, ways, broken, reason) => {
    const { failed, seen } = probed(ways);
    expect(failed).toEqual(broken);
    expect(seen(broken[0] as number)).toContain(reason);
  });

  it("a page that raises SIGBUS", () => {
    const empty = openSync(path("empty"), "w+");
    const { failed, seen } = probed({ badWindow: { offset: memory, emptyFile: empty } });
    closeSync(empty);
    expect(failed).toEqual([13]);
    expect(seen(13)).toBe(`SIGBUS at offset ${memory}`);
  });

  it("ragged ends that differ", () => {
    // The last page of the low memory's PT_LOAD, behind its last byte: no other check looks there.
    const low = segments[1] as (typeof segments)[number];
    const { failed } = probed({ flip: { offset: low.position + low.pages * PAGE - 8 } });
    expect(failed).toEqual([12, 13]);
  });
});

it("does not ask of ELF32 what the series promised for ELF64 only", () => {
  const file = path("elf32.core");
  const bytes = writeCrafted(file, { class: 32, loads: [{ physicalAddress: 0x1000n, size: 0x8000 }] });
  const kernel = new PretendedKernel([PAGE, 2 * PAGE], bytes, { mmap: "ENODEV" });
  const { promises } = probe(kernel.libc, file, { split: true, now: kernel.now });
  const failed = promises.filter(({ result }) => result === "fail");
  expect(failed).toEqual([]);
  expect(promises[4]?.result).toBe("pass");
  expect(promises[12]?.seen).toBe("mmap fails (ENODEV); the series maps ELF64 vmcores only");
});

describe("faults that are not there", () => {
  it("none in a kernel that reserves old memory as a whole", () => {
    const { report } = probed({ mended: true, readMany: 5 });
    expect(report.faults.map(({ result }) => result)).toEqual(["absent", "absent", "absent", "absent"]);
  });

  it("split alone, where partial unmapping is tracked (7.3)", () => {
    const { fault } = probed({ keepsSplit: true });
    expect([fault("overlap")?.result, fault("split")?.result]).toEqual(["present", "absent"]);
  });

  it("slowness, where a clock does not show it", () => {
    const { fault } = probed({ uncachedCopy: 0.6 });
    expect(fault("spanning")?.result).toBe("absent");
    expect(fault("spanning")?.seen).toContain("600 ns, inside one PT_LOAD 500 ns");
  });

  it("none of a kernel without mmap", () => {
    const { report } = probed({ mmap: "ENODEV" });
    expect(report.faults.map(({ result }) => result)).toEqual(Array(4).fill("not applicable"));
  });
});

describe("the check that harms", () => {
  it("unmaps three pieces of one window, and nothing else in parts", () => {
    expect(probed().kernel.partial).toBe(1);
  });

  it("is left out when told to", () => {
    const { kernel, fault } = probed({}, false);
    expect(kernel.partial).toBe(0);
    expect(fault("split")).toMatchObject({ result: "not applicable", seen: "left out (--no-split)" });
    expect(fault("overlap")?.result).toBe("present");
  });

  it("finds what an earlier run did", () => {
    const kernel = new PretendedKernel(borders, size);
    probe(kernel.libc, sample, { split: true, now: kernel.now });
    const again = probe(kernel.libc, sample, { split: true, now: kernel.now });
    const row = (name: string) => again.faults.find((fault) => fault.name === name);
    expect(again.promises.every(({ result }) => result !== "fail")).toBe(true);
    expect(row("overlap")).toMatchObject({ result: "not applicable" });
    expect(row("split")?.seen).toContain("fails already: EAGAIN");
    expect(kernel.partial).toBe(1);
  });
});
