/** Copies to files: the same bytes for every shape of source and every way of reading and writing it. */
import { beforeAll, describe, expect, it } from "bun:test";
import { existsSync, readFileSync, statSync } from "node:fs";
import { decodeManifest } from "../../src/dump/manifest.ts";
import { chunkSizeFor } from "../../src/vmcore/window.ts";
import { copy, same, sha256, verify } from "../support/engines.ts";
import { temporaryFolder } from "../support/files.ts";
import { SHAPES } from "../support/shapes.ts";

const path = temporaryFolder();
const shapes = Object.keys(SHAPES);
const source = (shape: string) => path(`${shape}.core`);

beforeAll(() => {
  for (const [shape, write] of Object.entries(SHAPES)) write(source(shape));
});

const WAYS: [string, Partial<Parameters<typeof copy>[0]>][] = [
  ["mmap of 4 KiB", { method: "mmap", mapSize: 4096 }],
  ["mmap of 64 KiB", { method: "mmap", mapSize: 64 << 10 }],
  ["mmap of 4 MiB", { method: "mmap", mapSize: 4 << 20 }],
  ["mmap of 64 MiB", { method: "mmap", mapSize: 64 << 20 }],
  ["mmap of 12 KiB", { method: "mmap", mapSize: 12 << 10 }],
  ["mmap, auto", { method: "mmap" }],
  ["read", { method: "read" }],
  ["dense", { sparse: false }],
  ["mmap, dense", { method: "mmap", sparse: false }],
  ["O_DIRECT", { direct: true }],
  ["O_DIRECT, mmap, dense", { direct: true, sparse: false, method: "mmap" }],
  ["nothing chosen", {}],
];

describe.each(WAYS)("%s", (_way, options) => {
  it.each(shapes)("copies %s byte for byte, with a manifest that proves it", async (shape) => {
    const dest = path("dump");
    const report = await copy({ source: source(shape), dest, ...options, force: true });
    expect(same(source(shape), dest)).toBe(true);
    expect(report).toMatchObject({
      source: source(shape),
      dest,
      bytesRead: statSync(dest).size,
      problems: [],
    });
    expect(report.method).toBe(shape === "ELF32" ? "read" : (options.method ?? "read"));
    expect(await verify(dest)).toMatchObject({ ok: true, bytesCompared: statSync(dest).size });
    const bySource = await verify(dest, {
      source: source(shape),
      method: options.method,
      mapSize: options.mapSize,
    });
    expect(bySource).toMatchObject({ ok: true, bytesCompared: statSync(dest).size });
    expect(existsSync(`${dest}.incomplete`)).toBe(false);
    expect(existsSync(`${dest}.incomplete.manifest.json`)).toBe(false);
  });
});

describe("a dump", () => {
  it("is readable by its owner alone, as is its manifest", async () => {
    await copy({ source: source("one segment"), dest: path("mode") });
    for (const name of ["mode", "mode.manifest.json"]) expect(statSync(path(name)).mode & 0o777).toBe(0o600);
  });

  it("is sparse where there are zeros, in a dense source too, and dense when told", async () => {
    const from = source("zeros at the end, in a dense file");
    const zeros = statSync(from).size - 6 * (1 << 20);
    await copy({ source: from, dest: path("sparse") });
    const dense = await copy({ source: from, dest: path("dense"), sparse: false });
    const { size, blocks } = statSync(path("sparse"));
    expect(blocks * 512).toBeLessThan(size - zeros + (1 << 20));
    expect(statSync(path("dense")).blocks * 512).toBeGreaterThanOrEqual(size);
    expect(dense.bytesWritten).toBe(size);
  });

  it("of a sparse source written dense has every block", async () => {
    const from = source("a sparse sample");
    await copy({ source: from, dest: path("dense2"), sparse: false });
    expect(statSync(path("dense2")).blocks * 512).toBeGreaterThanOrEqual(statSync(from).size);
    expect(same(from, path("dense2"))).toBe(true);
  });

  it("counts the zero pages", async () => {
    const report = await copy({ source: source("one segment"), dest: path("zeros") });
    const bytes = readFileSync(source("one segment"));
    let zero = 0;
    for (let at = 0; at < bytes.length; at += 4096) {
      if (bytes.subarray(at, at + 4096).every((byte) => byte === 0)) zero++;
    }
    expect(zero).toBeGreaterThan(1000);
    expect(report.pages).toEqual({ total: bytes.length / 4096, zero });
  });

  it.each(shapes)("has the SHA-256 that other tools give: %s", async (shape) => {
    const dest = path(`${shape}.sha`);
    await copy({ source: source(shape), dest, sha256: true });
    const manifest = decodeManifest(readFileSync(`${dest}.manifest.json`), "manifest");
    expect(manifest.sha256).toBe(sha256(source(shape)));
  });

  it("has a manifest that says where it is from and what it holds", async () => {
    const from = source("a sample");
    await copy({ source: from, dest: path("told") });
    const json = JSON.parse(readFileSync(path("told.manifest.json"), "utf8"));
    const { size } = statSync(from);
    expect(json).toMatchObject({
      format: "vmcopy-manifest",
      version: 1,
      complete: true,
      tool: { name: "vmcopy" },
      source: { path: from, size, kernelRelease: "6.1.0-sample-amd64", crashTime: 1_700_000_000 },
      dump: { format: "raw", dumpLevel: 0, compression: "none", size },
      chunks: { algorithm: "xxh3-64", size: chunkSizeFor(size) },
      sha256: null,
      unreadable: [],
    });
    expect(json.source.segments[0]).toEqual({
      offset: expect.any(Number),
      fileSize: expect.any(Number),
      physicalAddress: expect.stringMatching(/^0x[0-9a-f]+$/),
      virtualAddress: expect.stringMatching(/^0xffffffff[0-9a-f]{8}$/),
    });
    expect(json.chunks.digests.join("")).toHaveLength(16 * Math.ceil(size / chunkSizeFor(size)));
  });

  it("has no manifest when none is wanted, not an older one either", async () => {
    const options = { source: source("one segment"), dest: path("bare") };
    await copy(options);
    const report = await copy({ ...options, force: true, manifest: false });
    expect(report.manifest).toBe(null);
    expect(existsSync(path("bare.manifest.json"))).toBe(false);
    expect(existsSync(path("bare.incomplete.manifest.json"))).toBe(false);
  });
});
