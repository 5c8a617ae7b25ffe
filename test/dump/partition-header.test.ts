/** Headers of a raw partition: what is written is read, what was changed is not believed, and no lie gets through. */
import { describe, expect, it } from "bun:test";
import {
  decodePartitionHeader,
  encodePartitionHeader,
  HEADER_SIZE,
  hasPartitionMagic,
  type PartitionHeader,
} from "../../src/dump/partition-header.ts";
import { xxh3 } from "../../src/kernels/xxh3.ts";
import { mutate } from "../support/mutate.ts";
import { property } from "../support/random.ts";

const MIB = 1 << 20;
const HEADER: PartitionHeader = {
  state: "complete",
  sequence: 12,
  size: 64 * MIB,
  members: [
    { name: "dmesg.txt", offset: MIB, length: 1999, digest: 0x0123456789abcdefn },
    { name: "crash.json", offset: MIB + 4096, length: 0, digest: 1n },
    { name: "vmcore", offset: MIB + 8192, length: 32 * MIB, digest: 0n },
    { name: "vmcore.manifest.json", offset: 34 * MIB, length: 2500, digest: (1n << 64n) - 1n },
    { name: "capture.json", offset: 64 << 10, length: 256 << 10, digest: 7n },
  ],
};

/** The same header with some of its bytes changed, and a checksum that is right again. */
function sealed(change: (view: DataView, bytes: Uint8Array) => void, header = HEADER): Uint8Array {
  const bytes = encodePartitionHeader(header);
  const view = new DataView(bytes.buffer);
  change(view, bytes);
  view.setBigUint64(504, xxh3(bytes.subarray(0, 504)), true);
  return bytes;
}

/** Where an entry of the table begins. */
const entry = (index: number) => 40 + index * 56;

describe("a header", () => {
  it("is one sector, and says what was written", () => {
    const bytes = encodePartitionHeader(HEADER);
    expect(bytes).toHaveLength(HEADER_SIZE);
    expect(decodePartitionHeader(bytes)).toEqual(HEADER);
    expect(hasPartitionMagic(bytes)).toBe(true);
  });

  it("lies as it is documented", () => {
    const bytes = encodePartitionHeader(HEADER);
    const view = new DataView(bytes.buffer);
    expect(new TextDecoder().decode(bytes.subarray(0, 8))).toBe("VMCOPYRP");
    expect([8, 12, 32, 36].map((at) => view.getUint32(at, true))).toEqual([1, 3, 5, 0]);
    expect([16, 24].map((at) => view.getBigUint64(at, true))).toEqual([12n, BigInt(64 * MIB)]);
    expect(new TextDecoder().decode(bytes.subarray(entry(3), entry(3) + 32))).toBe(
      "vmcore.manifest.json".padEnd(32, "\0"),
    );
    const fields = [32, 40, 48].map((at) => view.getBigUint64(entry(3) + at, true));
    expect(fields).toEqual([BigInt(34 * MIB), 2500n, (1n << 64n) - 1n]);
    expect(view.getBigUint64(504, true)).toBe(xxh3(bytes.subarray(0, 504)));
  });

  it.each(["incomplete", "log-only", "complete"] as const)("%s, without members", (state) => {
    const header = { ...HEADER, state, members: [] };
    expect(decodePartitionHeader(encodePartitionHeader(header))).toEqual(header);
  });

  it("with any bit flipped is none", () => {
    const right = encodePartitionHeader(HEADER);
    for (let bit = 0; bit < HEADER_SIZE * 8; bit++) {
      const bytes = right.slice();
      bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(() => decodePartitionHeader(bytes)).toThrow(RangeError);
    }
  });

  it("cut off, or of zeros, is none", () => {
    expect(() => decodePartitionHeader(encodePartitionHeader(HEADER).subarray(0, 511))).toThrow(
      "it is cut off",
    );
    expect(() => decodePartitionHeader(new Uint8Array(512))).toThrow("it does not begin as one");
  });
});

describe("a header whose checksum is right, and that lies", () => {
  it.each<[string, (view: DataView, bytes: Uint8Array) => void, string]>([
    ["of another version", (view) => view.setUint32(8, 2, true), "its version is 2, this vmcopy reads 1"],
    ["in no state", (view) => view.setUint32(12, 0, true), "its state is 0"],
    ["in a state to come", (view) => view.setUint32(12, 4, true), "its state is 4"],
    ["with too many members", (view) => view.setUint32(32, 9, true), "it has 9 members"],
    ["with more than there are names of", (view) => view.setUint32(32, 6, true), "no name that is known"],
    ["with a path for a name", (_, b) => b.set(new TextEncoder().encode("../../x\0"), entry(0)), "no name"],
    [
      "with a name twice",
      (_, b) => b.copyWithin(entry(1), entry(0), entry(0) + 32),
      "it has dmesg.txt twice",
    ],
    [
      "with a member over the headers",
      (view) => view.setBigUint64(entry(0) + 32, 0n, true),
      "dmesg.txt lies outside of the partition (offset 0, length 1999)",
    ],
    [
      "with a member behind the end",
      (view) => view.setBigUint64(entry(0) + 32, BigInt(64 * MIB - 100), true),
      "dmesg.txt lies outside of the partition",
    ],
    [
      "with one longer than all",
      (view) => view.setBigUint64(entry(2) + 40, BigInt(Number.MAX_SAFE_INTEGER), true),
      "vmcore lies outside of the partition",
    ],
    [
      "with an offset of 2^63",
      (view) => view.setBigUint64(entry(2) + 32, 1n << 63n, true),
      "its offset of vmcore is 9223372036854775808",
    ],
    [
      "with members at the same place",
      (view) => view.setBigUint64(entry(4) + 32, BigInt(2 * MIB), true),
      "capture.json and vmcore lie at the same place",
    ],
    [
      "with a size of 2^64 - 1",
      (view) => view.setBigUint64(24, (1n << 64n) - 1n, true),
      "partition's size is",
    ],
    ["with no next sequence", (view) => view.setBigUint64(16, (1n << 53n) - 1n, true), "its sequence is"],
  ])("%s", (_, change, reason) => {
    expect(() => decodePartitionHeader(sealed(change))).toThrow(reason);
  });

  it("with a log that would fill memory", () => {
    const size = 2 ** 40;
    const change = (view: DataView) => view.setBigUint64(entry(0) + 40, 2n ** 38n, true);
    const header = { ...HEADER, size, members: HEADER.members.slice(0, 1) };
    expect(() => decodePartitionHeader(sealed(change, header))).toThrow("dmesg.txt has 274877906944 bytes");
  });

  it("in 5000 ways: refused in words, or consistent", async () => {
    await property(5000, (random) => {
      const bytes = sealed((_, own) => own.set(mutate(random, own, [{ offset: 8, length: 480 }]).bytes));
      try {
        const { size, members } = decodePartitionHeader(bytes);
        for (const { offset, length } of members) expect(offset + length).toBeLessThanOrEqual(size);
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        expect(error.message).toMatch(/^[a-z].*[^.]$/);
      }
    });
  });
});
