/** Opening a vmcore: what may be one, what is read when, and that nothing stays open after a refusal. */
import { describe, expect, it } from "bun:test";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { STATX } from "../../ffi/structs.ts";
import { VmcopyError } from "../../src/errors.ts";
import { Vmcore } from "../../src/vmcore/vmcore.ts";
import { backend, injected, libc, temporaryFolder } from "../support/files.ts";
import { failAtOffset, failNth, record } from "../support/inject.ts";
import { openBytes } from "../support/open.ts";
import { buildVmcore, PAGE } from "../support/vmcores.ts";

const path = temporaryFolder();
const built = buildVmcore({ loads: [{ offset: 0, length: 5 * PAGE, physicalAddress: 0x100000n }] });

function refusal(open: () => Vmcore): VmcopyError {
  try {
    open()[Symbol.dispose]();
  } catch (error) {
    expect(error).toBeInstanceOf(VmcopyError);
    return error as VmcopyError;
  }
  throw new Error("it was opened");
}

it("gives headers, notes, VMCOREINFO, ranges and physical addresses", () => {
  using vmcore = openBytes(libc, path("vmcore"), built.bytes);
  expect(vmcore.path).toBe(path("vmcore"));
  expect(vmcore.size).toBe(built.bytes.length);
  expect(vmcore.notes.map(({ name }) => name)).toEqual(["CORE", "VMCOREINFO"]);
  expect(vmcore.info.release).toBe("6.12.0-test");
  expect(vmcore.info).toBe(vmcore.info);
  expect(vmcore.ranges.map(({ mappable }) => mappable)).toEqual([false, true]);
  expect(vmcore.physical.at(built.dataAt + 10)).toBe(0x10000a);
  expect(Buffer.compare(vmcore.read(3, 100), built.bytes.subarray(3, 103))).toBe(0);
  expect(vmcore.read(built.bytes.length - 5, 100)).toHaveLength(5);
  expect(vmcore.read(0, 0)).toHaveLength(0);
});

it("reads no notes before they are asked for", () => {
  const damaged = built.bytes.slice();
  damaged.fill(0xff, built.notesAt, built.notesAt + 8);
  using vmcore = openBytes(libc, path("damaged"), damaged);
  expect(() => vmcore.notes).toThrow("n_namesz 4294967295");
  expect(() => vmcore.info).toThrow(VmcopyError);
});

it("reads at most 2 MiB in one piece", () => {
  using vmcore = openBytes(libc, path("vmcore"), built.bytes);
  expect(() => vmcore.read(0, (2 << 20) + 1)).toThrow(RangeError);
});

it("leaves no file open and nothing mapped after a refusal", () => {
  const closed: (readonly number[])[] = [];
  const mapped: (readonly number[])[] = [];
  const unmapped: (readonly number[])[] = [];
  const on = injected({ close: record(closed), mmap: record(mapped), munmap: record(unmapped) });
  mapped.length = 0;
  expect(refusal(() => openBytes(on, path("text"), new Uint8Array(100))).code).toBe("E_NOT_VMCORE");
  expect(closed).toHaveLength(1);
  expect(unmapped.length).toBe(mapped.length);
});

it("says why its headers cannot be read", () => {
  const on = injected({ pread: failAtOffset(0, "EIO") });
  expect(() => openBytes(on, path("bad"), built.bytes)).toThrow("input/output error (EIO)");
  const refusing = injected({ open: failNth(1, "EACCES") });
  const error = refusal(() => openBytes(refusing, path("vmcore"), built.bytes));
  expect(error.code).toBe("E_IO");
  expect(error.message).toBe(`Cannot open ${path("vmcore")}: permission denied (EACCES)`);
});

it.skipIf(existsSync("/proc/vmcore"))("says where a /proc/vmcore comes from, where there is none", () => {
  expect(refusal(() => Vmcore.open(libc, "/proc/vmcore")).message).toMatch(/kdump .* `vmcopy sample FILE`$/);
});

describe("what is neither a file nor a block device is refused at once", () => {
  it.each<[string, (name: string) => void]>([
    ["folder", (name) => mkdirSync(name)],
    // Nobody writes to it: an ordinary open would wait for ever.
    ["fifo", (name) => expect(Bun.spawnSync(["mkfifo", name]).exitCode).toBe(0)],
  ])("%s", (name, make) => {
    make(path(name));
    expect(refusal(() => Vmcore.open(libc, path(name))).message).toContain(
      "neither a file nor a block device",
    );
  });

  it.each(["/dev/zero", "/dev/null"])("%s", (name) => {
    expect(refusal(() => Vmcore.open(libc, name)).code).toBe("E_NOT_VMCORE");
  });
});

it("a file of 2^62 bytes is refused: its offsets would not be exact", () => {
  // Few file systems have files so large: statx only says so here.
  const on = injected({
    statx: (call, real) => {
      const result = real(...call.args);
      const status = new DataView(backend.view(call.args[4] as number, 256));
      status.setBigUint64(STATX.stx_size, 1n << 62n, true);
      return result;
    },
  });
  const error = refusal(() => openBytes(on, path("huge"), built.bytes));
  expect(error.code).toBe("E_NOT_VMCORE");
  expect(error.message).toContain(`its size is ${2 ** 62}, more than 2^53 bytes`);
});

it("is of a file that is opened again after it was replaced", () => {
  using first = openBytes(libc, path("replaced"), built.bytes);
  rmSync(path("replaced"));
  const other = buildVmcore({ loads: [{ offset: 0, length: PAGE }], seed: 9 });
  writeFileSync(path("replaced"), other.bytes);
  using second = Vmcore.open(libc, path("replaced"));
  expect([first.size, second.size]).toEqual([built.bytes.length, other.bytes.length]);
  expect(Buffer.compare(first.read(0, 50_000), built.bytes)).toBe(0);
});
