// The lab itself: its archives and readers without a guest, then what it does when a run fails, is too slow, or
// is killed from outside.

import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { cpio } from "../../src/initramfs/cpio.ts";
import { cacheRoot, contentKey, createRun, removeRun } from "./cache.ts";
import { diskOf, readDisk } from "./disks.ts";
import { milestoneOf } from "./guest.ts";
import { crashAndCapture } from "./lab.ts";
import { readTimes } from "./measure.ts";
import { isStatic, labProblems } from "./packages.ts";
import { findProgram } from "./run.ts";

const problems = labProblems();
const lab = problems.length > 0 ? describe.skip : describe;
const reason = problems.length > 0 ? ` (left out: ${problems.join("; ")})` : "";
const bytes = (text: string) => new TextEncoder().encode(text);

test("a console line announces a milestone or none", () => {
  expect(milestoneOf("LAB: init1")).toBe("init1");
  expect(milestoneOf("[    3.1] Kernel panic - not syncing: sysrq triggered crash")).toBe("panic");
  expect(milestoneOf("LAB: failed: kexec")).toBeUndefined();
  expect(milestoneOf("say LAB: done")).toBeUndefined();
});

test("a content key depends on the parts and where they end", () => {
  expect(contentKey(["ab", "c"])).toBe(contentKey(["ab", bytes("c")]));
  expect(contentKey(["ab", "c"])).not.toBe(contentKey(["a", "bc"]));
});

test("times of the capture kernel are read by name; an unknown name is refused", () => {
  expect(readTimes("dd 1.00 3.50\nnull 4.00 4.25\n")).toEqual({
    dd: [2.5],
    dd_disk: [],
    null: [0.25],
    disk: [],
  });
  expect(() => readTimes("cp 1 2")).toThrow("unknown name (cp 1 2)");
});

test("a cpio archive starts with its directories and is padded to 4 bytes", () => {
  const archive = cpio([{ path: "a/b/file", data: bytes("hello"), mode: 0o600 }]);
  const text = new TextDecoder("latin1").decode(archive);
  const names = [...text.matchAll(/070701[0-9a-f]{104}([^\0]+)\0/g)].map(([, name]) => name);
  expect(names).toEqual(["a", "a/b", "a/b/file", "TRAILER!!!"]);
  expect(archive.length % 4).toBe(0);
  // Mode, size and the data of the third entry.
  const entry = text.slice(text.indexOf("a/b/file") - 110);
  expect(entry.slice(14, 22)).toBe((0o100600).toString(16).padStart(8, "0"));
  expect(entry.slice(54, 62)).toBe("00000005");
  expect(entry.slice(120, 128)).toBe("hello\0\0\0");
});

lab(`the lab on this machine${reason}`, () => {
  test.each([
    [["--mem", "12"], "a whole number of MiB from 256 to 65536 is expected"],
    [["--crashkernel", "much"], "a size such as 256M is expected"],
    [["--kernel", "./no-such-image"], "no such kernel image (./no-such-image)"],
  ])("npm run lab -- %j says what is wrong", async (args, message) => {
    const child = Bun.spawn([process.execPath, join(import.meta.dir, "console.ts"), ...args], {
      stderr: "pipe",
    });
    expect(await new Response(child.stderr).text()).toContain(message);
    expect(await child.exited).not.toBe(0);
  });

  test("busybox reads the cpio archive", async () => {
    const archive = cpio([
      { path: "dev", directory: true },
      { path: "bin/tool", data: bytes("#!/bin/sh\n"), mode: 0o755 },
      { path: "bin/alias", link: "tool" },
    ]);
    const child = Bun.spawn([findProgram("busybox") ?? "", "cpio", "-tv"], {
      stdin: archive,
      stdout: "pipe",
    });
    const lines = (await new Response(child.stdout).text()).trim().split("\n");
    expect(lines.map((line) => line.replace(/ .* /, " "))).toEqual([
      "drwxr-xr-x dev",
      "drwxr-xr-x bin",
      "-rwxr-xr-x bin/tool",
      "lrwxrwxrwx tool",
    ]);
    expect(await child.exited).toBe(0);
  });

  test("a static program is told from one that needs a loader", () => {
    expect(isStatic(findProgram("busybox") ?? "")).toBe(true);
    expect(isStatic(findProgram("mke2fs") ?? "")).toBe(false);
  });

  test("what is put on a disk comes back", async () => {
    const directory = createRun();
    try {
      const image = join(directory, "disk.img");
      await diskOf(image, { "a/b": bytes("content"), empty: bytes("") });
      const out = join(directory, "out");
      await readDisk(image, out);
      expect(readdirSync(out).sort()).toEqual(["a", "empty"]);
      expect(readFileSync(join(out, "a/b"), "utf8")).toBe("content");
    } finally {
      removeRun(directory);
    }
  });

  test("a run that takes too long is killed; console and milestones are kept", async () => {
    const crash = { memMiB: 512, crashkernel: "128M", captureScript: "", program: null };
    const error = await crashAndCapture({ ...crash, workload: "sleep 99", timeoutSeconds: 5 }).catch(String);
    expect(error).toContain("no end after 5 s");
    const kept = keptBy(String(error));
    expect(readFileSync(join(kept, "console.log"), "utf8")).toContain("Linux version");
    expect(JSON.parse(readFileSync(join(kept, "milestones.json"), "utf8"))).toMatchObject({
      failure: "no end after 5 s",
    });
    rmSync(kept, { recursive: true });
    expect(guestsOf(process.pid)).toEqual([]);
  }, 60_000);

  test("a failed capture script is reported with its exit code", async () => {
    const crash = { memMiB: 512, crashkernel: "128M", program: null };
    const error = await crashAndCapture({ ...crash, captureScript: "exit 7" }).catch(String);
    expect(error).toContain("the capture script ended with exit code 7");
    rmSync(keptBy(String(error)), { recursive: true });
  }, 60_000);

  test("a crash kernel that is too small is said to be so", async () => {
    const crash = { memMiB: 512, crashkernel: "32M", program: null };
    const error = await crashAndCapture({ ...crash, captureScript: "" }).catch(String);
    expect(error).toMatch(/kexec: .*32 MiB reserved/);
    rmSync(keptBy(String(error)), { recursive: true });
  }, 60_000);

  test.each(["SIGINT", "SIGTERM", "SIGKILL"] as const)(
    "no guest outlives a runner ended by %s",
    async (signal) => {
      const code = `
      import { crashAndCapture } from ${JSON.stringify(join(import.meta.dir, "lab.ts"))};
      await crashAndCapture({ memMiB: 512, crashkernel: "128M", captureScript: "", program: null, workload: "sleep 99" });
    `;
      const runner = Bun.spawn([process.execPath, "-e", code], { stdout: "ignore", stderr: "ignore" });
      const guests = await until(() => guestsOf(runner.pid));
      expect(guests.length).toBe(1);
      runner.kill(signal);
      await runner.exited;
      await until(() => guests.filter((pid) => !isRunning(pid)));
      const left = readdirSync(join(cacheRoot, "runs")).filter((name) => name.startsWith(`${runner.pid}-`));
      // Nothing can be tidied up after SIGKILL: the next run does.
      if (signal === "SIGKILL") removeRun(createRun());
      else expect(left).toEqual([]);
      expect(
        readdirSync(join(cacheRoot, "runs")).filter((name) => name.startsWith(`${runner.pid}-`)),
      ).toEqual([]);
    },
    60_000,
  );
});

function keptBy(message: string): string {
  const path = /console log and milestones: (.*)\)/.exec(message)?.[1] ?? "";
  expect(dirname(path)).toBe(join(cacheRoot, "failed"));
  expect(existsSync(path)).toBe(true);
  return path;
}

/** Process ids of the qemu processes that a process has started. */
function guestsOf(parent: number): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => {
      try {
        const [, comm, ppid] = /^\d+ \((.*)\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8")) ?? [];
        return comm?.startsWith("qemu-system") && Number(ppid) === parent;
      } catch {
        return false; // no process, or one that is gone
      }
    });
}

function isRunning(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

/** The first list that is not empty; asks until then. */
async function until(ask: () => number[]): Promise<number[]> {
  for (let list = ask(); ; list = ask()) {
    if (list.length > 0) return list;
    await Bun.sleep(50);
  }
}
