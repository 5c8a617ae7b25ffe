/** The manifest: what is written is read, and nothing that was changed is believed. */
import { describe, expect, it } from "bun:test";
import { Digests } from "../../src/dump/digests.ts";
import { decodeManifest, encodeManifest, type Manifest } from "../../src/dump/manifest.ts";
import { VmcopyError } from "../../src/errors.ts";
import { xxh3 } from "../../src/kernels/xxh3.ts";
import { Random } from "../support/random.ts";

const CHUNK = 4 << 20;

function digests(count: number): Digests {
  const made = new Digests();
  for (let i = 0; i < count; i++) made.push(xxh3(Uint8Array.of(i, i >> 8, i >> 16)));
  return made;
}

function manifest(chunks: number, changes: Partial<Manifest> = {}): Manifest {
  const size = Math.max(0, chunks * CHUNK - 100);
  return {
    complete: true,
    tool: { name: "vmcopy", version: "1.2.3" },
    source: {
      path: '/proc/"digests": []',
      size,
      kernelRelease: "6.1.0-\u00fc",
      crashTime: 1_700_000_000,
      identity: "0123456789abcdef",
      segments: [
        { offset: 4096, fileSize: 8192, physicalAddress: "0x1000", virtualAddress: "0xffffffff81000000" },
        { offset: 12288, fileSize: 0, physicalAddress: null, virtualAddress: "0x0" },
      ],
    },
    dump: { format: "raw", dumpLevel: 0, compression: "none", size },
    chunkSize: CHUNK,
    digests: digests(chunks),
    sha256: null,
    unreadable: [{ offset: 4096, length: 4096, physicalAddress: 4096 }],
    ...changes,
  };
}

/** A manifest with other JSON in it, and its own digest right. */
function sealed(change: (text: string) => string): Uint8Array {
  const text = new TextDecoder().decode(encodeManifest(manifest(3)));
  const body = change(text.slice(0, text.lastIndexOf(',\n  "manifestXxh3"')));
  const digest = xxh3(new TextEncoder().encode(body)).toString(16).padStart(16, "0");
  return new TextEncoder().encode(`${body},\n  "manifestXxh3": "${digest}"\n}\n`);
}

describe("a manifest", () => {
  it.each([0, 1, 2, 63, 64, 65, 128, 257, 1000])("of %i chunks is read as it was written", (chunks) => {
    const written = manifest(chunks);
    const bytes = encodeManifest(written);
    const read = decodeManifest(bytes, "m");
    expect({ ...read, digests: read.digests.toJson("") }).toEqual({
      ...written,
      digests: written.digests.toJson(""),
    });
    // It is the JSON that JSON.stringify would write.
    const text = new TextDecoder().decode(bytes);
    expect(`${JSON.stringify(JSON.parse(text), null, 2)}\n`).toBe(text);
  });

  it("keeps digests that begin with zeros, or are nothing but", () => {
    const odd = new Digests();
    for (const digest of [0n, 1n, 0xffn, 0xffff_ffffn, 1n << 32n, 0xffff_ffff_ffff_ffffn]) odd.push(digest);
    const lines = JSON.parse(new TextDecoder().decode(odd.toJson("")));
    expect(lines).toEqual([
      "0000000000000000" +
        "0000000000000001" +
        "00000000000000ff" +
        "00000000ffffffff" +
        "0000000100000000" +
        "f".repeat(16),
    ]);
    const read = Digests.fromLines(lines);
    expect([0, 1, 2, 3, 4, 5].map((index) => read?.at(index))).toEqual(
      [0, 1, 2, 3, 4, 5].map((index) => odd.at(index)),
    );
  });

  it("is not believed with any byte changed", () => {
    const bytes = encodeManifest(manifest(3));
    const random = new Random(7);
    for (let at = 0; at < bytes.length; at++) {
      for (const mask of [1, 1 << random.below(8), 0xff]) {
        const changed = bytes.slice();
        changed[at] = (changed[at] as number) ^ mask;
        expect(() => decodeManifest(changed, "m"), `byte ${at} ^ ${mask}`).toThrow(VmcopyError);
      }
    }
  });

  it("is not believed cut off anywhere, or with anything behind it", () => {
    const bytes = encodeManifest(manifest(3));
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeManifest(bytes.subarray(0, length), "m"), `${length} bytes`).toThrow(VmcopyError);
    }
    for (const more of ["\n", " ", "}", "\0"]) {
      const longer = new Uint8Array([...bytes, ...new TextEncoder().encode(more)]);
      expect(() => decodeManifest(longer, "m")).toThrow(VmcopyError);
    }
  });

  it.each([
    [
      "another format",
      (text: string) => text.replace("vmcopy-manifest", "other-manifest"),
      /no vmcopy manifest/,
    ],
    [
      "a later version",
      (text: string) => text.replace('"version": 1', '"version": 2'),
      /its version is 2, this vmcopy reads 1/,
    ],
    ["no JSON", (text: string) => text.replace("{", "["), /it is not JSON/],
    [
      "a negative size",
      (text: string) => text.replace(/("none",\s+"size": )\d+/, "$1-1"),
      /the dump's size is -1/,
    ],
    [
      "a size beyond all numbers",
      (text: string) => text.replace(/("none",\s+"size": )\d+/, "$11e99"),
      /the dump's size is 1e\+99/,
    ],
    [
      "chunks of no size",
      (text: string) => text.replace('"size": 4194304', '"size": 0'),
      /the chunks' size is 0/,
    ],
    [
      "too few digests",
      (text: string) => text.replace(/"digests": \[[^\]]*\]/, '"digests": []'),
      /it has 0 digests for 3 chunks/,
    ],
    [
      "a digest that is none",
      (text: string) => text.replace(/"digests": \[\s+"./, "$&z"),
      /its digests cannot be read/,
    ],
    ["other digests", (text: string) => text.replace("xxh3-64", "md5"), /its digests are md5/],
    [
      "an address that is none",
      (text: string) => text.replace('"0x1000"', '"here"'),
      /segments cannot be read/,
    ],
    [
      "a segment that is none",
      (text: string) => text.replace('"segments": [', '"segments": [7,'),
      /segments cannot be read/,
    ],
    [
      "a range that is none",
      (text: string) => text.replace('"unreadable": [', '"unreadable": ["all",'),
      /unreadable ranges cannot be read/,
    ],
  ])("with its own digest right but %s is refused", (_what, change, message) => {
    const bytes = sealed(change);
    expect(() => decodeManifest(bytes, "m")).toThrow(message);
    expect(() => decodeManifest(bytes, "m")).toThrow(VmcopyError);
  });
});
