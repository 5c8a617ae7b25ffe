// Filtered dumps of a real kernel that was busy when it crashed: made in its capture kernel and again on the host, and
// held against makedumpfile, crash and drgn.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { busyMachine } from "./busy.ts";
import { createRun, removeRun } from "./cache.ts";
import { rawDisk } from "./disks.ts";
import { type Capture, crashAndCapture } from "./lab.ts";
import { labProblems, vmcopyPath } from "./packages.ts";
import { run } from "./run.ts";

const MiB = 1024 * 1024;
const memMiB = 1024;
const minutes = 60_000;
const problems = labProblems();
const lab = problems.length > 0 ? describe.skip : describe;
const reason = problems.length > 0 ? ` (left out: ${problems.join("; ")})` : "";
const CODECS = ["none", "zlib", "lzo", "snappy", "zstd"] as const;
const PANIC = "Kernel panic - not syncing: sysrq triggered crash";

lab(`filtered dumps of a busy machine${reason}`, () => {
  let directory: string;
  let capture: Capture;
  /** What dd read from /proc/vmcore. */
  let vmcore: string;
  /** Symbols of the crashed kernel. */
  let symbols: string;
  const text = (name: string) => readFileSync(join(capture.results, name), "utf8");
  const json = (name: string) => {
    expect({ name, code: text(`${name}.code`).trim(), said: text(`${name}.err`) }).toMatchObject({
      code: "0",
    });
    return JSON.parse(text(`${name}.json`));
  };
  const at = (name: string) => join(directory, name);
  const vmcopy = (what: string, ...args: string[]) => run(what, [vmcopyPath, ...args]);
  const dumpAs = async (name: string, ...args: string[]) =>
    JSON.parse(await vmcopy(`make ${name}`, "copy", "--json", "--force", ...args, vmcore, at(name)));
  /** Exit code and what was said; no error where it is not 0. */
  const tried = (...args: string[]) => {
    const { exitCode, stdout, stderr } = Bun.spawnSync([vmcopyPath, ...args]);
    return { exitCode, out: stdout.toString(), err: stderr.toString() };
  };

  beforeAll(async () => {
    directory = createRun();
    const busy = await busyMachine(directory, memMiB);
    vmcore = at("vmcore");
    rawDisk(vmcore, memMiB * MiB);
    capture = await crashAndCapture({
      ...busy,
      captureScript: readFileSync(join(import.meta.dir, "filtered.sh"), "utf8"),
      disks: [...busy.disks, { path: vmcore }],
      timeoutSeconds: 400,
    });
    truncateSync(vmcore, Number(text("size")));
    symbols = (await capture.kernel.symbols()) ?? "";
  }, 8 * minutes);

  afterAll(() => {
    capture?.dispose();
    removeRun(directory);
  });

  test("in the capture kernel: dump, proof, log", () => {
    const report = json("filtered");
    expect(report).toMatchObject({
      format: "kdump",
      dumpLevel: 31,
      compression: "zstd",
      method: "mmap",
      problems: [],
    });
    const { pages } = report;
    for (const kind of ["zero", "cache", "user", "free"])
      expect([kind, pages[kind] > 0]).toEqual([kind, true]);
    expect(pages.cache + pages.cachePrivate + pages.user + pages.free + pages.kept).toBe(pages.total);
    expect(report.anonymousRssBytes).toBeLessThan(48 * MiB);
    expect(json("workers").pages).toEqual(pages);
    expect(json("read").pages).toMatchObject({ kept: pages.kept, user: pages.user });
    expect(json("verify")).toMatchObject({ ok: true, problems: [] });
    expect(json("verify-source")).toMatchObject({ ok: true, problems: [], method: "source" });
    expect(text("dmesg.json")).toContain(PANIC);
  });

  test("the dump of the capture kernel is right against what dd took", async () => {
    const dump = join(capture.results, "dump31");
    expect(JSON.parse(await vmcopy("verify", "verify", "--json", dump, vmcore)).ok).toBe(true);
  });

  test.each([1, 2, 4, 8, 16, 30, 31])(
    "level %d: pages by kind are makedumpfile's",
    async (level) => {
      const { pages } = await dumpAs(`level${level}`, "-d", String(level), "-c", "lzo");
      const theirs = await makedumpfileCounts(level, vmcore, at("theirs"));
      // It counts pages of overlapping PT_LOADs twice, and rounds a PT_LOAD's end down: partial pages are RAM here.
      const { partial, repeated } = await oddPages(vmcore);
      expect(pages.total - theirs.original).toBe(partial - repeated);
      const ours = {
        cache: pages.cache,
        cachePrivate: pages.cachePrivate,
        user: pages.user,
        free: pages.free,
      };
      expect({ ...ours, hwpoison: pages.hwpoison, offline: pages.offline }).toEqual(theirs.kinds);
      if ((level & 1) !== 0) expect(pages.zero - theirs.zero).toBe(0);
      rmSync(at(`level${level}`));
    },
    2 * minutes,
  );

  test.each(CODECS)(
    "%s: whole by itself and by its source; makedumpfile finds the log in it",
    async (codec) => {
      await dumpAs("dump", "-d", "31", "-c", codec, "--no-manifest");
      expect(tried("verify", "--json", at("dump"))).toMatchObject({ exitCode: 0 });
      expect(tried("verify", "--json", at("dump"), vmcore)).toMatchObject({ exitCode: 0 });
      const right = text("dmesg.json");
      expect(await vmcopy("log", "dmesg", at("dump"))).toBe(right);
      // Debian's makedumpfile is built without snappy and zstd.
      if (codec === "snappy" || codec === "zstd") return;
      await run("extract the log", ["makedumpfile", "--dump-dmesg", "-f", at("dump"), at("log")]);
      expect(readFileSync(at("log"), "utf8")).toBe(right);
    },
  );

  test.each([...CODECS.map((codec) => ["kdump", codec]), ["elf", "none"]])(
    "drgn reads %s, %s: the same tasks, memory and log, and a fault for what was left out",
    async (format, codec) => {
      await dumpAs("dump", "-f", format, "-d", "31", "-c", codec, "--no-manifest");
      writeFileSync(at("look.py"), DRGN);
      const look = (file: string) => run("drgn", ["drgn", "-q", "-c", file, "-s", symbols, at("look.py")]);
      const [ours, right] = [(await look(at("dump"))).split("\n"), (await look(vmcore)).split("\n")];
      expect(ours.slice(0, 3)).toEqual(right.slice(0, 3));
      expect(Number(right[0])).toBeGreaterThan(20);
      expect(right[3]).toBe("read");
      expect(ours[3]).toBe("fault");
    },
    3 * minutes,
  );

  test.each(["zstd", "lzo"])(
    "crash reads %s: the system, its log and stack, and what was left out",
    async (codec) => {
      await dumpAs("dump", "-d", "31", "-c", codec, "--no-manifest");
      writeFileSync(at("commands"), "sys\nbt\nquit\n");
      const report = await run("crash", ["crash", "-s", "-i", at("commands"), symbols, at("dump")]);
      expect(report).toContain(`PANIC: "${PANIC}"`);
      expect(report).toMatch(/#\d+ .*sysrq_handle_crash/);
      expect(report).toContain("[PARTIAL DUMP]");
    },
    3 * minutes,
  );

  test.each([["-c"], ["-l"], [""], ["-E"], ["-F"]])(
    "makedumpfile's own dump (%s) is read, proved and refiltered",
    async (option) => {
      const args = option === "" ? [] : [option];
      if (option === "-F") {
        const { stdout } = Bun.spawnSync(["makedumpfile", "-F", "-d", "1", vmcore]);
        writeFileSync(at("theirs"), stdout);
      } else {
        await run("makedumpfile", ["makedumpfile", "-f", ...args, "-d", "1", vmcore, at("theirs")]);
      }
      expect(tried("verify", "--json", at("theirs"))).toMatchObject({ exitCode: 0 });
      expect(tried("verify", "--json", at("theirs"), vmcore)).toMatchObject({ exitCode: 0 });
      await vmcopy(
        "refilter",
        "copy",
        "-q",
        "--force",
        "-d",
        "31",
        "-c",
        "zstd",
        at("theirs"),
        at("refiltered"),
      );
      expect(tried("verify", "--json", at("refiltered"), vmcore)).toMatchObject({ exitCode: 0 });
      await dumpAs("direct", "-d", "31", "-c", "zstd", "--no-manifest");
      // ELF has no zero pages any more: they cannot be told from those left out.
      const [refiltered, direct] = [statSync(at("refiltered")).size, statSync(at("direct")).size];
      if (option === "-E") expect(refiltered).toBeLessThanOrEqual(direct);
      else expect(refiltered).toBe(direct);
      for (const name of ["theirs", "refiltered", "refiltered.manifest.json"]) rmSync(at(name));
    },
    3 * minutes,
  );

  test.each(["zlib", "zstd"])(
    "%s: a flipped bit in any compressed page is found without a manifest",
    async (codec) => {
      await dumpAs("dump", "-d", "31", "-c", codec, "--no-manifest");
      const size = statSync(at("dump")).size;
      let found = 0;
      for (let place = 1; place <= 12; place++) {
        copyFileSync(at("dump"), at("flipped"));
        const offset = size - Math.floor((size * place) / 26) - 1;
        const byte = new Uint8Array(
          await Bun.file(at("flipped"))
            .slice(offset, offset + 1)
            .arrayBuffer(),
        );
        await run("flip a bit", [
          "bash",
          "-c",
          `printf '\\x${((byte[0] ?? 0) ^ 16).toString(16)}' | dd of=${at("flipped")} bs=1 seek=${offset} conv=notrunc status=none`,
        ]);
        if (tried("verify", at("flipped")).exitCode === 1) found++;
      }
      // Pages that did not become smaller are stored plain: the manifest's part.
      expect(found).toBeGreaterThan(6);
      const { exitCode } = tried("copy", "-q", "--force", "-d", "31", "-c", codec, vmcore, at("proved"));
      expect(exitCode).toBe(0);
      copyFileSync(at("flipped"), at("proved"));
      expect(tried("verify", at("proved")).exitCode).toBe(1);
    },
    3 * minutes,
  );
});

/** Number of tasks, length of the log, some memory; then whether a free page can be read. */
const DRGN = `
from drgn import FaultError, Object
from drgn.helpers.linux.pid import for_each_task
from drgn.helpers.linux.printk import get_dmesg
from drgn.helpers.linux.mm import for_each_page, page_to_pfn
print(len(list(for_each_task(prog))))
print(len(get_dmesg(prog)), hash(prog["init_uts_ns"].name.release.string_().decode()) != 0)
print([bytes(prog.read(task.value_(), 64)).hex()[:16] for task, _ in zip(for_each_task(prog), range(20))])
pages = [page for page, _ in zip(for_each_page(prog), range(200000))]
free = next(page for page in pages[40000:] if page._mapcount.counter.value_() == -129 and page.private.value_() > 3)
try:
    prog.read(page_to_pfn(free).value_() * 4096 + 4096, 16, physical=True)
    print("read")
except FaultError:
    print("fault")
`;

/** What makedumpfile's report says, in pages. */
async function makedumpfileCounts(level: number, vmcore: string, out: string) {
  const report = await run("makedumpfile", [
    ...["makedumpfile", "-f", "--message-level", "16", "-d", String(level), vmcore, out],
  ]);
  rmSync(out);
  const count = (name: string) => {
    const found = new RegExp(`${name}\\s*: 0x([0-9a-f]+)`).exec(report);
    if (found === null) throw new Error(`Cannot find ${name} in makedumpfile's report: ${report}`);
    return Number.parseInt(found[1] as string, 16);
  };
  return {
    original: count("Original pages"),
    zero: count("Pages filled with zero"),
    kinds: {
      cache: count("Non-private cache pages"),
      cachePrivate: count("Private cache pages"),
      user: count("User process data pages"),
      free: count("Free pages"),
      hwpoison: count("Hwpoison pages"),
      offline: count("Offline pages"),
    },
  };
}

/** Pages that a PT_LOAD ends inside of, and those that two have: the kernel's text. */
async function oddPages(vmcore: string): Promise<{ partial: number; repeated: number }> {
  const info = JSON.parse(await run("info", [vmcopyPath, "info", "--json", "--no-pages", vmcore]));
  const ends = info.segments.map(
    (segment: { physicalAddress: string; memorySize: number }) =>
      Number(segment.physicalAddress) + segment.memorySize,
  );
  const partial = ends.filter((end: number) => end % 4096 !== 0).length;
  return { partial, repeated: Math.floor(info.totals.repeatedBytes / 4096) };
}
