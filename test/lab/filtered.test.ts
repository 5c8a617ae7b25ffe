// Filtered dumps of a real kernel that was busy when it crashed: made in its capture kernel and again on the host, and
// held against makedumpfile, crash and drgn.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  copyFileSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { buildProblems, labKernel } from "../../kernel/build.ts";
import { busyMachine } from "./busy.ts";
import { createRun, removeRun } from "./cache.ts";
import { rawDisk } from "./disks.ts";
import { type Capture, type Crash, crashAndCapture } from "./lab.ts";
import { Monitor, monitorDevice } from "./monitor.ts";
import { debianKernel, type Kernel, labProblems, vmcopyPath } from "./packages.ts";
import { run } from "./run.ts";

const MiB = 1024 * 1024;
const memMiB = 1024;
const minutes = 60_000;
const problems = [...labProblems(), ...buildProblems()];
const lab = problems.length > 0 ? describe.skip : describe;
const reason = problems.length > 0 ? ` (left out: ${problems.join("; ")})` : "";
const CODECS = ["none", "zlib", "lzo", "snappy", "zstd"] as const;
const PANIC = "Kernel panic - not syncing: sysrq triggered crash";

/** A kernel whose dumps are looked at, and what makes its memory odd before it is busy. */
interface Case {
  kernel: () => Promise<Kernel>;
  isOdd: boolean;
  /** Whether Debian 12's makedumpfile, 1.7.2, knows this kernel's folios and page types. */
  isKnown: boolean;
}
const KERNELS: [name: string, Case][] = [
  ["Debian's kernel", { kernel: () => debianKernel(), isOdd: false, isKnown: true }],
  ["Linux 6.12", { kernel: () => labKernel("6.12"), isOdd: true, isKnown: false }],
];

for (const [name, { kernel, isOdd, isKnown }] of KERNELS)
  lab(`filtered dumps of a busy machine, ${name}${reason}`, () => {
    let directory: string;
    let capture: Capture;
    /** What dd read from /proc/vmcore. */
    let vmcore: string;
    /** Symbols of the crashed kernel. */
    let symbols: string;
    let truth: Truth;
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
        kernel: await kernel(),
        workload: (isOdd ? readFileSync(join(import.meta.dir, "odd-memory.sh"), "utf8") : "") + busy.workload,
        ...(isOdd ? balloon(at("monitor"), memMiB) : {}),
        captureScript: readFileSync(join(import.meta.dir, "filtered.sh"), "utf8"),
        disks: [...busy.disks, { path: vmcore }],
        timeoutSeconds: 400,
      });
      truncateSync(vmcore, Number(text("size")));
      symbols = (await capture.kernel.symbols()) ?? "";
      truth = await pageKinds(vmcore, symbols, at("ram"));
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
      const leftOut =
        pages.cache + pages.cachePrivate + pages.user + pages.free + pages.hwpoison + pages.offline;
      expect(leftOut + pages.kept).toBe(pages.total);
      expect(report.anonymousRssBytes).toBeLessThan(48 * MiB);
      expect(json("workers").pages).toEqual(pages);
      expect(json("read").pages).toMatchObject({ kept: pages.kept, user: pages.user });
      expect(json("verify")).toMatchObject({ ok: true, problems: [] });
      expect(json("verify-source")).toMatchObject({ ok: true, problems: [], method: "source" });
      expect(text("dmesg.json")).toContain(PANIC);
    });

    test("in the capture kernel, called as makedumpfile and vmcore-dmesg", async () => {
      for (const name of ["vmcore-dmesg", "makedumpfile", "stream"])
        expect([name, text(`${name}.code`).trim(), text(`${name}.err`)]).toEqual([name, "0", ""]);
      expect(text("vmcore-dmesg.json")).toContain(PANIC);
      expect(text("vmcore-dmesg.json")).toBe(await run("vmcore-dmesg", ["vmcore-dmesg", vmcore]));
      const said = text("makedumpfile.json");
      const { pages } = json("filtered");
      expect(said).toContain(`Original pages  : 0x${pages.total.toString(16).padStart(16, "0")}\n`);
      expect(said).toContain(`Free pages              : 0x${pages.free.toString(16).padStart(16, "0")}\n`);
      expect(said).toEndWith("The dumpfile is saved to /out/named.\n\nmakedumpfile Completed.\n");
      expect(text("stream.json")).toEndWith(
        "The dumpfile is saved to /out/named-R.\n\nmakedumpfile Completed.\n",
      );
      for (const name of ["named", "named-R"])
        expect([name, tried("verify", join(capture.results, name), vmcore).exitCode]).toEqual([name, 0]);
    });

    test("the dump of the capture kernel is right against what dd took", async () => {
      const dump = join(capture.results, "dump31");
      expect(JSON.parse(await vmcopy("verify", "verify", "--json", dump, vmcore)).ok).toBe(true);
    });

    test("pages by kind are what the kernel's debug information makes of them", async () => {
      const { pages } = await dumpAs("level31", "-d", "31", "-c", "lzo");
      for (const [kind, count] of Object.entries(truth.kinds))
        expect([kind, pages[kind]]).toEqual([kind, count]);
      expect(pages.unknown).toBe(0);
      if (isOdd) {
        expect(truth.kinds.hwpoison).toBe(1);
        // The block that went offline had some of the balloon's pages.
        expect(truth.kinds.offline).toBeWithin(16 * 256, 64 * 256 + 1);
        expect(truth.hugetlb).toBe(24 * 512);
        expect(truth.userTails).toBeGreaterThan(511);
      }
    });

    test.each([1, 2, 4, 8, 16, 30, 31])(
      "level %d: pages by kind are makedumpfile's",
      async (level) => {
        const { pages } = await dumpAs(`level${level}`, "-d", String(level), "-c", "lzo");
        const theirs = await makedumpfileCounts(level, vmcore, at("theirs"));
        // It counts pages of overlapping PT_LOADs twice, and rounds a PT_LOAD's end down: partial pages are RAM here.
        const { partial, repeated } = await oddPages(vmcore);
        expect(pages.total - theirs.original).toBe(partial - repeated);
        // What it cannot know: hugetlb pages by their type, and of a large folio all pages but the first.
        const missed = isKnown || (level & 8) === 0 ? 0 : truth.hugetlb + truth.userTails;
        const ours = {
          cache: pages.cache,
          cachePrivate: pages.cachePrivate,
          user: pages.user - missed,
          free: pages.free,
        };
        expect({ ...ours, hwpoison: pages.hwpoison, offline: pages.offline }).toEqual(theirs.kinds);
        if ((level & 1) !== 0 && missed === 0) expect(pages.zero - theirs.zero).toBe(0);
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
        writeFileSync(at("look.py"), DRGN.replace("FREE_PAGE", String(truth.freePage)));
        const look = (file: string) => run("drgn", ["drgn", "-q", "-c", file, "-s", symbols, at("look.py")]);
        const [ours, right] = [(await look(at("dump"))).split("\n"), (await look(vmcore)).split("\n")];
        expect(ours.slice(0, 3)).toEqual(right.slice(0, 3));
        expect(Number(right[0])).toBeGreaterThan(20);
        expect(right[3]).toBe("read");
        expect(ours[3]).toBe("fault");
      },
      3 * minutes,
    );

    // Debian 12's crash, 8.0.2, does not know newer kernels: of 6.12 not even the vmcore.
    if (isKnown) {
      const crash = (dump: string) => {
        writeFileSync(at("commands"), "sys\nbt\nquit\n");
        const { stdout, stderr } = Bun.spawnSync(["crash", "-s", "-i", at("commands"), symbols, dump]);
        return stdout.toString() + stderr.toString();
      };

      test.each(["-c zstd", "-c lzo", "-c zstd --flatten", "-f elf"])(
        "crash reads %s: the system, its log and stack, and what was left out",
        async (options) => {
          await dumpAs("dump", "-d", "31", "--no-manifest", ...options.split(" "));
          const report = crash(at("dump"));
          expect(report).toContain(`PANIC: "${PANIC}"`);
          expect(report).toMatch(/#\d+ .*sysrq_handle_crash/);
          if (options !== "-f elf") expect(report).toContain("[PARTIAL DUMP]");
        },
        3 * minutes,
      );

      test.each([10, 50, 90])(
        "crash knows a dump for which the disk had %d hundredths of the room as incomplete, and so does verify",
        async (percent) => {
          await dumpAs("dump", "-d", "31", "-c", "zstd", "--no-manifest");
          const room = Math.floor((statSync(at("dump")).size * percent) / 100);
          mkdirSync(at("full"), { recursive: true });
          const script =
            'mount -t tmpfs -o size=$1 none "$2" && "$3" copy -q -d 31 -c zstd "$4" "$2/dump"; echo $?; cp "$2/dump.incomplete" "$5"';
          const code = await run("fill a disk", [
            ...["unshare", "-rm", "bash", "-c", script, "-"],
            ...[String(room), at("full"), vmcopyPath, vmcore, at("cut")],
          ]);
          expect(code.trim()).toBe("2");
          expect(tried("verify", at("cut")).exitCode).toBe(1);
          expect(crash(at("cut"))).toContain("This dumpfile is incomplete.");
        },
        3 * minutes,
      );
    }

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
        const [refiltered, direct] = [statSync(at("refiltered")).size, statSync(at("direct")).size];
        // ELF has no zero pages any more: there are none to tell of, and where the first page of a block (huge, free) was
        // one, the rest of the block is kept. That nothing is missing was proved against the vmcore.
        if (option === "-E") expect(refiltered).toBeLessThan(statSync(at("theirs")).size / 10);
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

/** A balloon that takes 64 MiB before the crash, and gives them back for the capture kernel. */
function balloon(socket: string, memMiB: number): Pick<Crash, "devices" | "onStep"> {
  let monitor: Monitor;
  return {
    devices: [...monitorDevice(socket), "-device", "virtio-balloon-pci"],
    async onStep(step) {
      if (step === "init1") {
        monitor = await Monitor.open(socket);
        await monitor.run("balloon", { value: (memMiB - 64) * MiB });
      } else if (step === "panic") {
        await monitor.run("balloon", { value: memMiB * MiB });
        monitor.close();
      }
    },
  };
}

/** Number of tasks, length of the log, some memory; then whether page FREE_PAGE can be read. */
const DRGN = `
from drgn import FaultError, Object
from drgn.helpers.linux.pid import for_each_task
from drgn.helpers.linux.printk import get_dmesg
print(len(list(for_each_task(prog))))
print(len(get_dmesg(prog)), hash(prog["init_uts_ns"].name.release.string_().decode()) != 0)
print([bytes(prog.read(task.value_(), 64)).hex()[:16] for task, _ in zip(for_each_task(prog), range(20))])
try:
    prog.read(FREE_PAGE * 4096, 16, physical=True)
    print("read")
except FaultError:
    print("fault")
`;

/** Pages by kind, and of those of users the ones that only a newer reader can tell. */
interface Truth {
  kinds: Record<"cache" | "cachePrivate" | "user" | "free" | "hwpoison" | "offline", number>;
  hugetlb: number;
  userTails: number;
  /** a PFN inside a block of free pages */
  freePage: number;
}

/** What drgn finds in the struct pages by debug information: see page-kinds.py. */
async function pageKinds(vmcore: string, symbols: string, list: string): Promise<Truth> {
  const { segments } = JSON.parse(await run("info", [vmcopyPath, "info", "--json", "--no-pages", vmcore]));
  const ram: [number, number][] = [];
  for (const { physicalAddress, memorySize } of segments) {
    const start = Number(physicalAddress);
    const range: [number, number] = [Math.floor(start / 4096), Math.ceil((start + memorySize) / 4096)];
    // The kernel's text is there once more as a part of RAM.
    if (
      segments.every(
        (other: (typeof segments)[0]) => other.physicalAddress === physicalAddress || !isInside(range, other),
      )
    )
      ram.push(range);
  }
  writeFileSync(list, `${JSON.stringify(ram)}\n`);
  const script = 'drgn -q -c "$1" -s "$2" "$3" < "$4"';
  const path = join(import.meta.dir, "page-kinds.py");
  return JSON.parse(await run("ask drgn", ["bash", "-c", script, "-", vmcore, symbols, path, list]));
}

/** Whether PFNs [start, end) are part of a larger segment. */
function isInside(
  [start, end]: [number, number],
  other: { physicalAddress: string; memorySize: number },
): boolean {
  const first = Number(other.physicalAddress);
  return start * 4096 >= first && end * 4096 <= first + other.memorySize;
}

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
