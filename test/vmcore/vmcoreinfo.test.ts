/** VMCOREINFO's typed look-ups: which base a number has, and what is no number. */
import { describe, expect, it } from "bun:test";
import { Vmcoreinfo } from "../../src/vmcore/vmcoreinfo.ts";

const info = new Vmcoreinfo(
  [
    "OSRELEASE=6.12.0-test+ #1",
    "BUILD-ID=0123abc",
    "PAGESIZE=4096",
    "SYMBOL(init_uts_ns)=ffffffff82a15a40",
    "SYMBOL(prefixed)=0xffffffff81000000",
    "SYMBOL(digits)=10",
    "SYMBOL(bad)=ffffffff8200000g",
    "SYMBOL(long)=1ffffffff82a15a40",
    "SYMBOL(empty)=",
    "KERNELOFFSET=1a000000",
    "SIZE(page)=64",
    "SIZE(bad)=-1",
    "SIZE(large)=4294967296",
    "OFFSET(page.flags)=0",
    "OFFSET(page)=8",
    "LENGTH(zone.free_area)=11",
    "NUMBER(NR_FREE_PAGES)=0",
    "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-129",
    "NUMBER(phys_base)=-1048576",
    "NUMBER(hex)=0xff",
    "NUMBER(bare)=ff",
    "NUMBER(top)=18446744073709551615",
    "NUMBER(words)=not a number",
    "CRASHTIME=1700000000",
    "VALUE=with=equals",
    "=no key",
    "no equals",
    "",
    "LAST=end\0\0\0",
  ].join("\n"),
);

describe("look-ups", () => {
  it.each<[string, unknown, unknown]>([
    ["release", info.release, "6.12.0-test+ #1"],
    ["page size", info.pageSize, 4096],
    ["crash time", info.crashTime, 1_700_000_000],
    ["kernel offset", info.kernelOffset, 0x1a000000n],
    ["a symbol", info.symbol("init_uts_ns"), 0xffffffff82a15a40n],
    ["a symbol with 0x", info.symbol("prefixed"), 0xffffffff81000000n],
    ["a symbol of decimal digits: hexadecimal all the same", info.symbol("digits"), 0x10n],
    ["a symbol that is no number", info.symbol("bad"), undefined],
    ["a symbol of 17 digits", info.symbol("long"), undefined],
    ["an empty symbol", info.symbol("empty"), undefined],
    ["a symbol that is not there", info.symbol("init_uts"), undefined],
    ["a size", info.size("page"), 64],
    ["a negative size", info.size("bad"), undefined],
    ["a size of 2^32", info.size("large"), undefined],
    ["an offset of 0", info.offset("page.flags"), 0],
    ["an offset by its whole name", info.offset("page.fla"), undefined],
    ["a length", info.length("zone.free_area"), 11],
    ["a number of 0", info.number("NR_FREE_PAGES"), 0n],
    ["a negative number", info.number("PAGE_BUDDY_MAPCOUNT_VALUE"), -129n],
    ["phys_base below 0", info.number("phys_base"), -1048576n],
    ["a number with 0x", info.number("hex"), 255n],
    ["a number in hexadecimal digits", info.number("bare"), 255n],
    ["a number is signed, of 64 bits", info.number("top"), -1n],
    ["a number in words", info.number("words"), undefined],
    ["a value with =", info.entries.get("VALUE"), "with=equals"],
    ["a value before NULs", info.entries.get("LAST"), "end"],
  ])("%s", (_, found, wanted) => {
    expect(found).toEqual(wanted as never);
  });

  it("keep keys in their order, and no line without one", () => {
    const keys = [...info.entries.keys()];
    expect(keys.slice(0, 3)).toEqual(["OSRELEASE", "BUILD-ID", "PAGESIZE"]);
    expect(keys).not.toContain("");
    expect(keys).not.toContain("no equals");
  });

  it.each(["0", "4095", "4097", "-4096", "131072", "1e3", "", "4096 bytes"])(
    "PAGESIZE=%s is none",
    (value) => {
      expect(new Vmcoreinfo(`PAGESIZE=${value}\n`).pageSize).toBeUndefined();
    },
  );

  it.each([4096, 8192, 16384, 32768, 65536])("PAGESIZE=%d is one", (value) => {
    expect(new Vmcoreinfo(`PAGESIZE=${value}`).pageSize).toBe(value);
  });

  it("of an empty text find nothing", () => {
    const empty = new Vmcoreinfo("");
    expect([...empty.entries]).toEqual([]);
    expect([empty.release, empty.crashTime, empty.pageSize]).toEqual([undefined, undefined, undefined]);
  });

  it("of a hostile megabyte take no time", () => {
    const digits = "9".repeat(1 << 20);
    const started = performance.now();
    const hostile = new Vmcoreinfo(`NUMBER(x)=${digits}\nCRASHTIME=${digits}\n${"a=b\n".repeat(100_000)}`);
    hostile.number("x");
    expect(hostile.crashTime === undefined || !Number.isFinite(hostile.crashTime)).toBeTrue();
    expect(performance.now() - started).toBeLessThan(2000);
  });
});
