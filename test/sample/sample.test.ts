import { describe, expect, it } from "bun:test";
import { fileURLToPath } from "node:url";
import { planMachine } from "../../src/sample/plan.ts";
import { writeSample } from "../../src/sample/sample.ts";
import { PageSource } from "../../src/sample/source.ts";
import { MemoryOutput } from "./memory-output.ts";

const MIB = 2 ** 20;
const PAGE = 4096;

function write(options: Parameters<typeof writeSample>[1]) {
  const output = new MemoryOutput();
  return { output, summary: writeSample(output, options) };
}

describe("writeSample", () => {
  const { output, summary } = write({ size: 128 * MIB });

  it("gives the same bytes for the same options, here and under Deno, and others for another seed", async () => {
    const options = { size: 4 * MIB, seed: 7, cpus: 2 };
    const digest = write(options).output.digest();
    expect(digest).toBe("08094f7204523a08d3d9b5c7044230786ee0be3b9f44fb033908180ef7556ee2");
    expect(write({ ...options, seed: 8 }).output.digest()).not.toBe(digest);
    expect(write({ ...options, seed: 7 + 2 ** 32 }).output.digest()).not.toBe(digest);
    const script = `import { writeSample } from "./src/sample/sample.ts";
      import { createHash } from "node:crypto";
      const hasher = createHash("sha256");
      let next = -1;
      writeSample({
        truncate: (size) => hasher.update(String(size)),
        write: (offset, bytes) => {
          if (offset !== next) hasher.update("@" + offset);
          hasher.update(bytes);
          next = offset + bytes.length;
        },
      }, ${JSON.stringify(options)});
      console.log(hasher.digest("hex"));`;
    const root = fileURLToPath(new URL("../..", import.meta.url));
    const deno = Bun.spawn([`${root}node_modules/.bin/deno`, "eval", "--ext=ts", script], { cwd: root });
    expect((await new Response(deno.stdout).text()).trim()).toBe(digest);
  });

  it("has pages of each kind in the shares of a busy machine", () => {
    const total = Object.values(summary.pages).reduce((sum, count) => sum + count, 0);
    const share = (count: number) => Math.round((100 * count) / total);
    const { zero, text, binary, random, code } = summary.pages;
    expect(share(zero)).toBeWithin(29, 37);
    expect(share(text)).toBeWithin(16, 24);
    expect(share(binary + code)).toBeWithin(30, 40);
    expect(share(random)).toBeWithin(9, 18);
    expect(summary.size).toBe(output.size);
    expect(summary.dataBytes).toBe(output.dataBytes);
    expect(summary.dataBytes).toBe(summary.size - zero * PAGE);
  });

  it("shows the kernel image twice, the same bytes", () => {
    const [alias, ...rams] = summary.segments;
    if (!alias) throw new Error("no segment");
    const ram = rams.find(
      ({ firstPfn, pages }) => alias.firstPfn >= firstPfn && alias.firstPfn < firstPfn + pages,
    );
    if (!ram) throw new Error("no RAM under the kernel image");
    const length = alias.pages * PAGE;
    const first = output.read(alias.position, length);
    expect(first.some((byte) => byte !== 0)).toBe(true);
    expect(first).toEqual(output.read(ram.position + (alias.firstPfn - ram.firstPfn) * PAGE, length));
  });

  it("has no two pages alike, but for the kernel's tables", () => {
    const seen = new Set<bigint>();
    let pages = 0;
    const { reserved } = planMachine({ size: 128 * MIB });
    for (const { kind, position, firstPfn, pages: count } of summary.segments) {
      if (kind === "kernel") continue;
      const bytes = output.read(position, count * PAGE);
      for (let at = 0; at < bytes.length; at += PAGE) {
        const page = bytes.subarray(at, at + PAGE);
        const pfn = firstPfn + at / PAGE;
        const isTable = pfn >= reserved.structsPfn && pfn < reserved.endPfn;
        if (isTable || page.every((byte) => byte === 0)) continue;
        pages++;
        seen.add(Bun.hash.xxHash3(page));
      }
    }
    expect(pages - seen.size).toBeLessThanOrEqual(4);
  });

  it("gives a page the same contents in whatever order pages are asked for", () => {
    const source = new PageSource(planMachine({ size: 128 * MIB }));
    const [, , ram] = summary.segments;
    if (!ram) throw new Error("no RAM");
    for (let index = ram.pages - 1; index > 0; index -= 97) {
      const page = new Uint8Array(PAGE);
      source.fillPage(ram.firstPfn + index, page);
      expect(page).toEqual(output.read(ram.position + index * PAGE, PAGE));
    }
  });

  it("pretends 1 TiB quickly, and holds no more than it was told", () => {
    const start = performance.now();
    const big = write({ size: 64 * MIB, ram: 2 ** 40 });
    expect(performance.now() - start).toBeLessThan(5000);
    expect(big.summary.size).toBeGreaterThan(2 ** 40);
    expect(big.output.dataBytes).toBeWithin(20 * MIB, 64 * MIB);
    const last = big.summary.segments.at(-1);
    expect(last?.physicalAddress).toBe(2n ** 32n);
  });

  it.each([
    { size: 4 * MIB, ram: 2 ** 35 },
    { size: 20 * MIB, ram: 24 * MIB },
    { size: 100 * MIB, ram: 3 * 2 ** 30 },
  ])("holds no more data than size in %o", (options) => {
    const { output: sparse } = write(options);
    expect(sparse.dataBytes).toBeLessThanOrEqual(options.size);
    expect(sparse.size).toBeGreaterThan(options.ram - PAGE);
  });

  it("reports progress up to the whole", () => {
    const reports: [number, number][] = [];
    const { size } = writeSample(new MemoryOutput(), { size: 8 * MIB }, (done, total) =>
      reports.push([done, total]),
    );
    expect(reports.length).toBeGreaterThan(3);
    expect(reports.at(-1)).toEqual([size, size]);
    expect(reports).toEqual(reports.toSorted(([a], [b]) => a - b));
  });

  it("lets an error of the output through", () => {
    const full = {
      truncate() {},
      write() {
        throw new Error("no space");
      },
    };
    expect(() => writeSample(full, { size: 4 * MIB })).toThrow("no space");
  });
});
