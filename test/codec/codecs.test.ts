// Every codec: any page comes back, other people's libraries agree, and no stream makes a decoder hang or leave its place.
import { beforeAll, describe, expect, it } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { Libc } from "../../ffi/libc.ts";
import { Mapping } from "../../ffi/mapping.ts";
import { CODEC_FLAGS, type CodecName } from "../../src/codec/packed.ts";
import { createPacker } from "../../src/codec/packer.ts";
import { CodecError, createUnpacker } from "../../src/codec/unpacker.ts";
import { temporaryFolder } from "../support/files.ts";
import { Random } from "../support/random.ts";
import { writeSampleFile } from "../support/sample.ts";

const libc = await Libc.load();
const path = temporaryFolder();
const CODECS: CodecName[] = ["none", "zlib", "lzo", "snappy", "zstd"];
const COMPRESSING = CODECS.filter((codec) => codec !== "none");
const SIZES = [4096, 16384, 65536];
let realPages: Uint8Array;

beforeAll(() => {
  writeSampleFile(path("sample"), { size: 16 << 20, seed: 5 });
  realPages = readFileSync(path("sample"));
});

/** Pages of many shapes, each from its seed. */
function page(seed: number, size: number): Uint8Array<ArrayBuffer> {
  const random = new Random(seed);
  const out = new Uint8Array(size);
  switch (seed % 8) {
    case 0:
      break; // zeros
    case 1:
      random.fill(out);
      break;
    case 2:
      out.set(realPages.subarray((seed % 200) * 65536, (seed % 200) * 65536 + size));
      break;
    case 3: {
      // A word repeated, but for one byte somewhere.
      new BigUint64Array(out.buffer).fill(BigInt(random.next()));
      if (random.chance(0.5)) out[random.below(size)] = random.below(256);
      break;
    }
    case 4: {
      // A pattern of any period.
      const period = random.between(1, 300);
      for (let i = 0; i < size; i++) out[i] = i < period ? random.below(256) : (out[i - period] as number);
      break;
    }
    case 5:
      // Few different bytes.
      for (let i = 0; i < size; i++) out[i] = random.below(3);
      break;
    case 6: {
      // Stretches copied from far back, of any length, and random ones between.
      random.fill(out);
      for (let i = 0; i < 40; i++) {
        const length = random.between(3, 700);
        const [from, to] = [random.below(size - length), random.below(size - length)];
        out.copyWithin(to, from, from + length);
      }
      break;
    }
    default:
      // Zeros with something at the very end, or the very start.
      out[random.chance(0.5) ? size - 1 - random.below(16) : random.below(16)] = 1 + random.below(255);
  }
  return out;
}

/** Packs pages; for each its flags and bytes, or the word it repeats. */
function pack(codec: CodecName, size: number, pages: readonly Uint8Array[]) {
  using packer = createPacker(libc, codec, size, pages.length);
  const input = new Uint8Array(libc.backend.view(packer.input, pages.length * size));
  for (const [index, bytes] of pages.entries()) input.set(bytes, index * size);
  const { sizes, flags, words, address, length } = packer.pack(pages.length);
  const all = new Uint8Array(libc.backend.view(address, Math.max(1, length))).slice(0, length);
  let at = 0;
  const packed = pages.map((_, index) => {
    const stored = all.slice(at, at + (sizes[index] as number));
    at += stored.length;
    return { flags: flags[index] as number, stored, word: [words[2 * index], words[2 * index + 1]] };
  });
  expect(at).toBe(length);
  return packed;
}

function unpackOne(size: number, flags: number, stored: Uint8Array<ArrayBuffer>): Uint8Array {
  using out = Mapping.buffer(libc, size);
  createUnpacker(libc, size).unpack(flags, stored, out.address);
  return out.bytes(0, size).slice();
}

describe.each(CODECS)("%s", (codec) => {
  it.each(SIZES)("any page of %d bytes comes back", (size) => {
    const pages = Array.from({ length: 128 }, (_, seed) => page(seed, size));
    const packed = pack(codec, size, pages);
    const unpacker = createUnpacker(libc, size);
    using out = Mapping.buffer(libc, size);
    let compressed = 0;
    for (const [index, { flags, stored, word }] of packed.entries()) {
      const right = pages[index] as Uint8Array;
      if (stored.length === 0) {
        const words = new Uint32Array(right.buffer);
        expect(words.every((value, at) => value === word[at % 2])).toBe(true);
        continue;
      }
      unpacker.unpack(flags, stored, out.address);
      expect(Buffer.compare(out.bytes(0, size), right)).toBe(0);
      if (flags === 0) expect(stored.length).toBe(size);
      else {
        expect([flags, stored.length < size]).toEqual([CODEC_FLAGS[codec], true]);
        compressed++;
      }
    }
    expect(compressed > 40).toBe(codec !== "none");
    // Zero pages, and nothing but uniform ones, have no bytes of their own.
    expect(packed[0]?.stored.length).toBe(0);
  });
});

describe.each(COMPRESSING)("damaged %s", (codec) => {
  it("ends in an error or in one page, and nothing else is written", () => {
    const size = 4096;
    const unpacker = createUnpacker(libc, size);
    const guard = 256;
    using memory = Mapping.buffer(libc, size + 2 * guard);
    const all = memory.bytes(0, size + 2 * guard);
    all.fill(0xa5);
    const good = pack(
      codec,
      size,
      Array.from({ length: 64 }, (_, seed) => page(seed, size)),
    ).filter(({ flags }) => flags !== 0);
    let errors = 0;
    for (let seed = 0; seed < 4000; seed++) {
      const random = new Random(seed);
      const { flags, stored } = random.pick(good);
      let bytes = stored.slice();
      for (let i = random.between(1, 4); i > 0; i--) bytes[random.below(bytes.length)] = random.below(256);
      if (random.chance(0.2)) bytes = bytes.slice(0, random.below(bytes.length));
      if (random.chance(0.1))
        bytes = random.fill(new Uint8Array(random.between(1, size))) as Uint8Array<ArrayBuffer>;
      try {
        unpacker.unpack(flags, bytes, memory.address + guard);
      } catch (error) {
        expect(error).toBeInstanceOf(CodecError);
        errors++;
      }
      if (seed % 100 === 0) {
        expect(all.subarray(0, guard).every((byte) => byte === 0xa5)).toBe(true);
        expect(all.subarray(guard + size).every((byte) => byte === 0xa5)).toBe(true);
      }
    }
    expect(errors).toBeGreaterThan(500);
  });
});

it.each(["zlib", "zstd"] as const)("one flipped bit of a %s page is found, or does not matter", (codec) => {
  const size = 4096;
  const pages = Array.from({ length: 40 }, (_, index) => page(8 * index + 4 + (index % 2), size));
  const packed = pack(codec, size, pages);
  let found = 0;
  for (let seed = 0; seed < 600; seed++) {
    const random = new Random(seed);
    const index = random.below(pages.length);
    const { flags, stored } = packed[index] as (typeof packed)[number];
    if (flags === 0) continue;
    const bytes = stored.slice();
    const bit = random.below(8 * bytes.length);
    bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
    try {
      expect(Buffer.compare(unpackOne(size, flags, bytes), pages[index] as Uint8Array)).toBe(0);
    } catch (error) {
      if (!(error instanceof CodecError)) throw error;
      found++;
    }
  }
  expect(found).toBeGreaterThan(300);
});

/** Other people's libraries, by Python: they decode what is packed here, and pack what is decoded here. */
const PYTHON = `
import ctypes, sys, zlib, struct
def load(name):
    return ctypes.CDLL(name)
def lzo_d(data, size):
    out = ctypes.create_string_buffer(size); n = ctypes.c_ulong(size)
    assert load("liblzo2.so.2").lzo1x_decompress_safe(data, ctypes.c_ulong(len(data)), out, ctypes.byref(n), None) == 0
    return out.raw[:n.value]
def lzo_c(data):
    out = ctypes.create_string_buffer(len(data) * 2 + 256); n = ctypes.c_ulong(0); work = ctypes.create_string_buffer(1 << 18)
    assert load("liblzo2.so.2").lzo1x_1_compress(data, ctypes.c_ulong(len(data)), out, ctypes.byref(n), work) == 0
    return out.raw[:n.value]
def snappy_d(data, size):
    out = ctypes.create_string_buffer(size); n = ctypes.c_size_t(size)
    assert load("libsnappy.so.1").snappy_uncompress(data, ctypes.c_size_t(len(data)), out, ctypes.byref(n)) == 0
    return out.raw[:n.value]
def snappy_c(data):
    out = ctypes.create_string_buffer(len(data) * 2 + 256); n = ctypes.c_size_t(len(data) * 2 + 256)
    assert load("libsnappy.so.1").snappy_compress(data, ctypes.c_size_t(len(data)), out, ctypes.byref(n)) == 0
    return out.raw[:n.value]
def zstd_d(data, size):
    lib = load("libzstd.so.1"); lib.ZSTD_decompress.restype = ctypes.c_size_t
    out = ctypes.create_string_buffer(size)
    assert lib.ZSTD_decompress(out, ctypes.c_size_t(size), data, ctypes.c_size_t(len(data))) == size
    return out.raw
def zstd_c(data):
    lib = load("libzstd.so.1"); lib.ZSTD_compress.restype = ctypes.c_size_t
    out = ctypes.create_string_buffer(len(data) * 2 + 256)
    n = lib.ZSTD_compress(out, ctypes.c_size_t(len(out)), data, ctypes.c_size_t(len(data)), 1)
    return out.raw[:n]
CODECS = {1: (lambda d, s: zlib.decompress(d), lambda d: zlib.compress(d, 1)), 2: (lzo_d, lzo_c), 4: (snappy_d, snappy_c), 32: (zstd_d, zstd_c)}
data = sys.stdin.buffer.read(); at = 0; out = []
while at < len(data):
    flags, size, length = struct.unpack_from("<III", data, at); at += 12
    decode, encode = CODECS[flags]
    page = decode(data[at:at + length], size); at += length
    packed = encode(page)
    out.append(struct.pack("<I", len(packed)) + page + packed)
sys.stdout.buffer.write(b"".join(out))
`;

it.each(COMPRESSING)("%s is what the other library reads and writes", (codec) => {
  writeFileSync(path("codecs.py"), PYTHON);
  for (const size of SIZES) {
    const pages = Array.from({ length: 64 }, (_, seed) => page(seed, size));
    const packed = pack(codec, size, pages);
    const used = packed.flatMap(({ flags, stored }, index) =>
      flags === 0 ? [] : [{ index, flags, stored }],
    );
    const input = Buffer.concat(
      used.flatMap(({ flags, stored }) => {
        const head = Buffer.alloc(12);
        head.writeUInt32LE(flags, 0);
        head.writeUInt32LE(size, 4);
        head.writeUInt32LE(stored.length, 8);
        return [head, stored];
      }),
    );
    const { stdout, stderr, exitCode } = Bun.spawnSync(["python3", path("codecs.py")], { stdin: input });
    expect([exitCode, stderr.toString()]).toEqual([0, ""]);
    let at = 0;
    let [ours, theirs] = [0, 0];
    for (const { index, flags, stored } of used) {
      const length = stdout.readUInt32LE(at);
      at += 4;
      expect(Buffer.compare(stdout.subarray(at, at + size), pages[index] as Uint8Array)).toBe(0);
      const back = unpackTheirs(size, flags, stdout.subarray(at + size, at + size + length));
      if (back !== undefined) expect(Buffer.compare(back, pages[index] as Uint8Array)).toBe(0);
      at += size + length;
      ours += stored.length;
      theirs += length;
    }
    expect(at).toBe(stdout.length);
    expect(used.length).toBeGreaterThan(20);
    // Made-up pages: about as small. Real ones are compared by `npm run compare`.
    expect(ours / theirs).toBeLessThan(1.1);
  }
});

/** @returns undefined where it has not become smaller: no dump has such a page */
function unpackTheirs(size: number, flags: number, bytes: Uint8Array): Uint8Array | undefined {
  return bytes.length >= size ? undefined : unpackOne(size, flags, Uint8Array.from(bytes));
}
