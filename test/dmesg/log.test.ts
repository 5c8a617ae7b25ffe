// The crashed kernel's log: the printk ring in all its states and damages, the record buffer before it.
import { describe, expect, it } from "bun:test";
import { formatRecord } from "../../src/dmesg/format.ts";
import { AddressSpace } from "../../src/vmcore/address-space.ts";
import { clearedBefore, readLog } from "../../src/vmcore/log.ts";
import { FakeMemory } from "../support/fake-memory.ts";
import { libc } from "../support/files.ts";
import { Random } from "../support/random.ts";

const IMAGE = 0xffff_ffff_8000_0000n;
const at = (physical: number) => IMAGE + BigInt(physical);
const KEYS = { "SYMBOL(init_top_pgt)": at(0x1000).toString(16), "NUMBER(phys_base)": 0 };
const RING = {
  ...KEYS,
  "SYMBOL(prb)": at(0x2000).toString(16),
  "SIZE(printk_ringbuffer)": 88,
  "OFFSET(printk_ringbuffer.desc_ring)": 0,
  "OFFSET(printk_ringbuffer.text_data_ring)": 48,
  "OFFSET(prb_desc_ring.count_bits)": 0,
  "OFFSET(prb_desc_ring.descs)": 8,
  "OFFSET(prb_desc_ring.infos)": 16,
  "OFFSET(prb_desc_ring.head_id)": 24,
  "OFFSET(prb_desc_ring.tail_id)": 32,
  "SIZE(prb_desc)": 24,
  "OFFSET(prb_desc.state_var)": 0,
  "OFFSET(prb_desc.text_blk_lpos)": 8,
  "OFFSET(prb_data_blk_lpos.begin)": 0,
  "OFFSET(prb_data_blk_lpos.next)": 8,
  "SIZE(printk_info)": 88,
  "OFFSET(printk_info.seq)": 0,
  "OFFSET(printk_info.ts_nsec)": 8,
  "OFFSET(printk_info.text_len)": 16,
  "OFFSET(printk_info.caller_id)": 20,
  "OFFSET(prb_data_ring.size_bits)": 0,
  "OFFSET(prb_data_ring.data)": 8,
  "OFFSET(atomic_long_t.counter)": 0,
  "SYMBOL(clear_seq)": at(0x2100).toString(16),
  "OFFSET(latched_seq.val)": 8,
};
const PLACE = { ring: 0x3000, descriptors: 0x4000, infos: 0x5000, text: 0x7000 };
const COUNT_BITS = 3;
const SIZE_BITS = 9;
const FINALIZED = 2n;

/** A ring of 8 records and 512 bytes of text, written as the kernel would. */
class Ring {
  readonly memory = new FakeMemory(libc, "x86_64", 4096, [{ start: 0, end: 16 }], RING);
  #position = 0;
  #id = 0;

  constructor() {
    this.memory.put(0x2000, at(PLACE.ring));
    this.memory.view(PLACE.ring).setUint32(0, COUNT_BITS, true);
    this.memory.put(PLACE.ring + 8, at(PLACE.descriptors));
    this.memory.put(PLACE.ring + 16, at(PLACE.infos));
    this.memory.view(PLACE.ring + 48).setUint32(0, SIZE_BITS, true);
    this.memory.put(PLACE.ring + 56, at(PLACE.text));
    this.ends(0, 0);
  }

  ends(tail: number | bigint, head: number | bigint): void {
    this.memory.put(PLACE.ring + 24, BigInt(head));
    this.memory.put(PLACE.ring + 32, BigInt(tail));
  }

  add(text: string, { state = FINALIZED, caller = 7 } = {}): number {
    const bytes = new TextEncoder().encode(text);
    const id = this.#id++;
    const slot = id % 2 ** COUNT_BITS;
    const size = Math.ceil((8 + bytes.length) / 8) * 8;
    let begin = this.#position;
    let next = begin + size;
    let place = begin % 512;
    // What does not fit before the end lies at the start of the next round.
    if (Math.floor((next - 1) / 512) !== Math.floor(begin / 512)) {
      next = Math.ceil(begin / 512) * 512 + size;
      place = 0;
    }
    if (text === "") [begin, next] = [1, 1];
    else {
      this.memory.putBytes(PLACE.text + place + 8, bytes);
      this.#position = next;
    }
    this.memory.put(PLACE.descriptors + slot * 24, (state << 62n) | BigInt(id));
    this.memory.put(PLACE.descriptors + slot * 24 + 8, BigInt(begin));
    this.memory.put(PLACE.descriptors + slot * 24 + 16, BigInt(next));
    const info = PLACE.infos + slot * 88;
    this.memory.put(info, BigInt(id));
    this.memory.put(info + 8, BigInt(id) * 1_000_000_000n + 1_500_000n);
    this.memory.view(info + 16).setUint16(0, bytes.length, true);
    this.memory.view(info + 16).setUint8(3, 6 << 5);
    this.memory.view(info + 20).setUint32(0, caller, true);
    this.ends(Math.max(0, id - 7), id);
    return id;
  }

  read() {
    using space = AddressSpace.of(libc, this.memory);
    return readLog(space);
  }

  texts(): string[] {
    return (this.read()?.records ?? []).map(({ text }) => new TextDecoder().decode(text));
  }
}

describe("the printk ring", () => {
  it("gives its records in order, those that wrapped too, the oldest overwritten", () => {
    const ring = new Ring();
    const said = Array.from({ length: 40 }, (_, index) => `record ${index} ${"x".repeat((index * 7) % 50)}`);
    for (const text of said) ring.add(text);
    expect(ring.texts()).toEqual(said.slice(-8));
    expect(ring.read()?.problems).toEqual([]);
    expect(ring.read()?.records[0]).toMatchObject({ seq: 32, level: 6, caller: "T7" });
  });

  it.each([
    ["reserved", 0n, false],
    ["committed", 1n, true],
    ["finalized", 2n, true],
    ["reusable", 3n, false],
  ])("a %s record", (_, state, isThere) => {
    const ring = new Ring();
    ring.add("first");
    ring.add("second", { state });
    expect(ring.texts()).toEqual(isThere ? ["first", "second"] : ["first"]);
  });

  it.each([0, 1])("where it was cleared is told by value %d of the two", (valid) => {
    const { memory } = new Ring();
    memory.put(0x2100, BigInt(valid + 2));
    memory.put(0x2108, 17n);
    memory.put(0x2110, 18n);
    using space = AddressSpace.of(libc, memory);
    expect(clearedBefore(space)).toBe(17n + BigInt(valid));
  });

  it("a record without text, and one of a CPU", () => {
    const ring = new Ring();
    ring.add("", { caller: 0x8000_0003 });
    expect(ring.texts()).toEqual([""]);
    expect(ring.read()?.records[0]?.caller).toBe("C3");
  });

  it.each<[string, (ring: Ring) => void, RegExp]>([
    ["ends that lie", (ring) => ring.ends(5, 1n << 40n), /records between its ends, more than its 8/],
    [
      "a count of 2^60",
      (ring) => ring.memory.view(PLACE.ring).setUint32(0, 60, true),
      /is damaged: 2\^60 records/,
    ],
    [
      "descriptors elsewhere",
      (ring) => ring.memory.put(PLACE.ring + 8, 0xdead_0000n),
      /records of the log could not be read/,
    ],
    [
      "a ring that is not there",
      (ring) => ring.memory.bad.add(PLACE.ring / 4096),
      /ring \(prb\) cannot be read/,
    ],
    [
      "text that is not there",
      (ring) => ring.memory.bad.add(PLACE.text / 4096),
      /1 records of the log could not be read/,
    ],
  ])("%s: told, and never a hang", (_, damage, message) => {
    const ring = new Ring();
    ring.add("text");
    damage(ring);
    expect(ring.read()?.problems.join()).toMatch(message);
  });

  it("any bytes end in records or problems", () => {
    for (let seed = 0; seed < 400; seed++) {
      const random = new Random(seed);
      const ring = new Ring();
      for (let i = 0; i < 12; i++) ring.add(`record ${i}`);
      for (let i = random.between(1, 6); i > 0; i--) {
        const place = random.pick([PLACE.ring, PLACE.descriptors, PLACE.infos]) + 8 * random.below(24);
        if (place < PLACE.ring + 8 || place >= PLACE.descriptors)
          ring.memory.put(place, BigInt(random.next()) << BigInt(random.below(33)));
      }
      expect(ring.texts().length).toBeLessThanOrEqual(8);
    }
  });
});

describe("the record buffer of Linux 3.5 to 5.9", () => {
  const HEADER = 16;
  function buffer(records: readonly string[], { first = 0, wrapAt = Number.POSITIVE_INFINITY } = {}) {
    const memory = new FakeMemory(libc, "x86_64", 4096, [{ start: 0, end: 16 }], {
      ...KEYS,
      ...{ "SYMBOL(log_buf)": at(0x2000).toString(16), "SYMBOL(log_buf_len)": at(0x2008).toString(16) },
      ...{
        "SYMBOL(log_first_idx)": at(0x2010).toString(16),
        "SYMBOL(log_next_idx)": at(0x2018).toString(16),
      },
      ...{ "SIZE(printk_log)": HEADER, "OFFSET(printk_log.ts_nsec)": 0, "OFFSET(printk_log.len)": 8 },
      "OFFSET(printk_log.text_len)": 10,
    });
    memory.put(0x2000, at(0x3000));
    memory.put(0x2008, 1024n);
    memory.put(0x2010, BigInt(first));
    let place = first;
    for (const [index, text] of records.entries()) {
      const bytes = new TextEncoder().encode(text);
      const size = Math.ceil((HEADER + bytes.length) / 8) * 8;
      if (place >= wrapAt) {
        memory.put(0x3000 + place, 0n);
        memory.put(0x3000 + place + 8, 0n);
        place = 0;
      }
      memory.put(0x3000 + place, BigInt(index) * 1_000_000n);
      memory.view(0x3000 + place + 8).setUint16(0, size, true);
      memory.view(0x3000 + place + 8).setUint16(2, bytes.length, true);
      memory.view(0x3000 + place + 8).setUint8(7, 4 << 5);
      memory.putBytes(0x3000 + place + HEADER, bytes);
      place += size;
    }
    memory.put(0x2018, BigInt(place));
    return memory;
  }
  const read = (memory: FakeMemory) => {
    using space = AddressSpace.of(libc, memory);
    const log = readLog(space);
    return {
      texts: (log?.records ?? []).map(({ text }) => new TextDecoder().decode(text)),
      problems: log?.problems,
    };
  };

  it("gives its records, around the end too", () => {
    expect(read(buffer(["one", "two", "three"]))).toEqual({ texts: ["one", "two", "three"], problems: [] });
    expect(read(buffer(["a", "b", "c", "d"], { first: 960, wrapAt: 1000 })).texts).toEqual([
      "a",
      "b",
      "c",
      "d",
    ]);
    expect(read(buffer([]))).toEqual({ texts: [], problems: [] });
  });

  it("damaged lengths end it, and are told", () => {
    for (const length of [1, 15, 4000, 65535]) {
      const memory = buffer(["one", "two"]);
      memory.view(0x3008).setUint16(0, length, true);
      expect(read(memory).problems?.join()).toMatch(/damaged|no end/);
    }
  });
});

it.each([
  ["plain", "[    1.500000] plain\n"],
  ["two\nlines", "[    1.500000] two\n               lines\n"],
  ["bell \x07, tab\t, é", "[    1.500000] bell \\x07, tab\t, \\xc3\\xa9\n"],
])("%j as dmesg prints it", (text, line) => {
  const record = { seq: 0, nanoseconds: 1_500_000_000n, level: 6, facility: 0, caller: "T1" };
  expect(formatRecord({ ...record, text: new TextEncoder().encode(text) })).toBe(line);
});
