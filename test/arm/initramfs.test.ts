/** What an initramfs becomes: parts made by the programs that make initramfs images, in every order. */
import { describe, expect, it } from "bun:test";
import { writeFileSync } from "node:fs";
import { Libc } from "../../ffi/libc.ts";
import { type Initramfs, readInitramfs } from "../../src/arm/initramfs.ts";
import { cpio } from "../../src/initramfs/cpio.ts";
import { BUN, temporaryFolder } from "../support/files.ts";

const libc = await Libc.load();
const path = temporaryFolder();

/** A program packs well, random bytes do not at all, zeros to nothing: blocks of every kind, and more than one of lz4's. */
const program = new Uint8Array(await Bun.file(BUN).slice(0, 1_500_000).arrayBuffer());
const random = crypto.getRandomValues(new Uint8Array(60_000));
const archive = cpio([
  { path: "init", data: program, mode: 0o755 },
  { path: "random", data: random },
  { path: "zeros", data: new Uint8Array(9_000_000) },
  { path: "more/random", data: random },
]);
const small = cpio([{ path: "etc/vmcopy.toml", data: new TextEncoder().encode('to = "/dev/vdb:/crash"\n') }]);
/** Bytes that files take in pages. */
const SMALL_PAGES = 4096;
const microcode = cpio([{ path: "kernel/x86/microcode/GenuineIntel.bin", data: random.slice(0, 5000) }]);
const MICROCODE_PAGES = 8192;

const PACKERS: [format: string, command: string[]][] = [
  ["gzip", ["gzip", "-c"]],
  ["xz", ["xz", "-c", "-1", "--check=crc32"]],
  ["xz", ["xz", "-c", "-0", "--check=none", "--block-size=1MiB"]],
  ["xz", ["xz", "-c", "-T2", "--check=sha256", "--x86", "--lzma2=preset=1,dict=1MiB"]],
  ["zstd", ["zstd", "-c", "-q", "-3"]],
  ["zstd", ["zstd", "-c", "-q", "-1", "--no-check"]],
  ["lz4", ["lz4", "-c", "-q", "-l"]],
  ["lz4", ["lz4", "-c", "-q", "-l", "-9"]],
];

/** Packed from standard input, as initramfs tools do: zstd then cannot say in front how large the content is. */
function packed(command: readonly string[], input: Uint8Array): Uint8Array {
  const { stdout, exitCode, stderr } = Bun.spawnSync([...command], { stdin: input });
  expect([exitCode, stderr.toString()]).toEqual([0, ""]);
  return new Uint8Array(stdout);
}

const archives = new Map<string, Uint8Array>();

/** Each way once. */
function packedArchive(command: readonly string[]): Uint8Array {
  const key = command.join(" ");
  const known = archives.get(key) ?? packed(command, archive);
  archives.set(key, known);
  return known;
}

async function read(...parts: Uint8Array[]): Promise<Initramfs> {
  writeFileSync(path("initrd"), Buffer.concat(parts));
  return await readInitramfs(libc, path("initrd"));
}

describe("one part", () => {
  it("cpio: files in whole pages", async () => {
    const { bytes, parts, unpacked, problems } = await read(archive);
    const pages = [program.length, 60_000, 9_000_000, 60_000].map((size) => Math.ceil(size / 4096) * 4096);
    expect(unpacked).toBe(pages.reduce((sum, size) => sum + size));
    expect({ bytes, parts, problems }).toEqual({
      bytes: archive.length,
      parts: [{ format: "cpio", bytes: archive.length, unpacked }],
      problems: [],
    });
  });

  it.each(PACKERS)("%s (%p)", async (format, command) => {
    const part = packedArchive(command);
    expect(part.length).toBeLessThan(archive.length * 0.9);
    const { parts, problems } = await read(part);
    expect({ parts, problems }).toEqual({
      parts: [{ format, bytes: part.length, unpacked: archive.length }],
      problems: [],
    });
  });

  it("zstd with the content's size in its header, of each width", async () => {
    for (const length of [100, 5000, 100_000, archive.length]) {
      const part = Bun.zstdCompressSync(archive.subarray(0, length), { level: 3 });
      const descriptor = part[4] as number;
      expect(descriptor & 0xe0).not.toBe(0);
      expect((await read(part)).parts).toEqual([{ format: "zstd", bytes: part.length, unpacked: length }]);
    }
  });

  it("lzma: its header tells the size, or nothing does", async () => {
    const part = packed(["xz", "-c", "-1", "--format=lzma"], archive);
    const unknown = await read(part);
    expect(unknown.parts).toEqual([{ format: "lzma", bytes: part.length, unpacked: undefined }]);
    expect(unknown.problems).toEqual([expect.stringContaining("is not known")]);
    part.set(new Uint8Array(new BigUint64Array([BigInt(archive.length)]).buffer), 5);
    expect(await read(part)).toMatchObject({ unpacked: archive.length, problems: [] });
  });

  it("what is no archive is an old initrd's file system", async () => {
    expect(await read(random)).toMatchObject({ parts: [{ format: "image" }], unpacked: random.length });
  });
});

describe("parts one behind the other", () => {
  it.each(PACKERS)("microcode, %s (%p), an archive behind it", async (format, command) => {
    const part = packedArchive(command);
    // lz4's legacy format has no end: in the kernel too, the next part is found only behind a length of zero.
    const gap = new Uint8Array(8);
    const { bytes, parts, unpacked, problems } = await read(microcode, gap, part, gap, small, gap);
    expect(problems).toEqual([]);
    expect(parts.map((found) => [found.format, found.bytes, found.unpacked])).toEqual([
      ["cpio", microcode.length, MICROCODE_PAGES],
      [format, part.length, archive.length],
      ["cpio", small.length, SMALL_PAGES],
    ]);
    expect(unpacked).toBe(MICROCODE_PAGES + archive.length + SMALL_PAGES);
    expect(bytes).toBe(microcode.length + part.length + small.length + 24);
  });

  it("compressed ones without a gap", async () => {
    const zstd = packed(["zstd", "-c", "-q"], small);
    const gzip = packed(["gzip", "-c"], archive);
    const xz = packed(["xz", "-c", "-0"], microcode);
    const { parts, problems } = await read(xz, zstd, gzip, xz, small);
    expect(problems).toEqual([]);
    expect(parts.map((found) => [found.format, found.bytes, found.unpacked])).toEqual([
      ["xz", xz.length, microcode.length],
      ["zstd", zstd.length, small.length],
      ["gzip", gzip.length, archive.length],
      ["xz", xz.length, microcode.length],
      ["cpio", small.length, SMALL_PAGES],
    ]);
  });
});

describe("damage", () => {
  it.each(PACKERS)("%s (%p) cut off", async (format, command) => {
    const part = packedArchive(command);
    const { parts, problems } = await read(microcode, part.subarray(0, part.length * 0.6));
    expect(parts.at(-1)).toMatchObject({ format, unpacked: undefined });
    expect(problems).toEqual([
      expect.stringMatching(new RegExp(`is damaged: .* \\(${format} at ${microcode.length}\\)$`)),
    ]);
  });

  it("cpio cut off", async () => {
    const { problems } = await read(archive.subarray(0, 1_000_000));
    expect(problems).toEqual([expect.stringContaining("ends too early (cpio at 0)")]);
  });

  it("something else behind an archive", async () => {
    const { parts, problems } = await read(small, new TextEncoder().encode("not an archive"));
    expect(parts.length).toBe(1);
    expect(problems).toEqual([expect.stringContaining(`what is at ${small.length} of `)]);
  });

  it("any bytes end, and never in an unknown error", async () => {
    for (const [, command] of PACKERS) {
      const part = packed(command, small);
      for (let i = 0; i < part.length; i++) {
        const damaged = part.slice();
        damaged[i] = (damaged[i] as number) ^ 0xff;
        await read(damaged, small);
      }
    }
  });
});
