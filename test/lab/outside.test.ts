// Dumps of a running machine that its host makes from outside: qemu's dump-guest-memory, with the VMCOREINFO that the
// guest hands over (-device vmcoreinfo). They are read, proved, filtered, and opened by drgn.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { buildProblems, labKernel } from "../../kernel/build.ts";
import { busyMachine } from "./busy.ts";
import { createRun, removeRun } from "./cache.ts";
import { qemuCommand } from "./guest.ts";
import { prepare } from "./lab.ts";
import { Monitor, monitorDevice } from "./monitor.ts";
import { labProblems, vmcopyPath } from "./packages.ts";
import { run } from "./run.ts";
import { tasksIn } from "./tasks.ts";

const minutes = 60_000;
const problems = [...labProblems(), ...buildProblems()];
const lab = problems.length > 0 ? describe.skip : describe;
const reason = problems.length > 0 ? ` (left out: ${problems.join("; ")})` : "";
const memMiB = 512;
/** Those of Debian's qemu; it is built without LZO and snappy. */
const FORMATS = ["elf", "kdump-zlib"] as const;

lab(`dumps that qemu makes${reason}`, () => {
  let directory: string;
  let symbols: string;
  const at = (name: string) => join(directory, name);
  const vmcopy = (...args: string[]) => run("run vmcopy", [vmcopyPath, ...args]);

  beforeAll(async () => {
    directory = createRun();
    const kernel = await labKernel("6.12");
    symbols = (await kernel.symbols()) ?? "";
    const busy = await busyMachine(directory, memMiB);
    const socket = at("monitor");
    const { machine } = await prepare(
      {
        ...busy,
        kernel,
        crashkernel: "128M",
        captureScript: "exit 0",
        workload: busy.workload.replace(/^exit 0$/m, "echo 'LAB: busy'; sleep 9999"),
        devices: [...monitorDevice(socket), "-device", "vmcoreinfo"],
      },
      directory,
    );
    const child = Bun.spawn(qemuCommand(machine, "stdio"), { stdin: "ignore", stdout: "pipe" });
    const timer = setTimeout(() => child.kill("SIGKILL"), 3 * minutes);
    try {
      let text = "";
      const decoder = new TextDecoder();
      for await (const bytes of child.stdout) {
        text += decoder.decode(bytes, { stream: true });
        if (text.includes("LAB: busy")) break;
      }
      if (!text.includes("LAB: busy")) throw new Error(`Cannot dump a guest: ${text.slice(-500)}`);
      const monitor = await Monitor.open(socket);
      for (const format of FORMATS) {
        await monitor.run("dump-guest-memory", { paging: false, protocol: `file:${at(format)}`, format });
      }
      monitor.close();
    } finally {
      clearTimeout(timer);
      child.kill("SIGKILL");
      await child.exited;
    }
  }, 5 * minutes);

  afterAll(() => removeRun(directory));

  test.each([...FORMATS])(
    "%s is read, proved and filtered",
    async (format) => {
      const info = JSON.parse(await vmcopy("info", "--json", at(format)));
      expect(info.kernelRelease).toContain("6.12");
      for (const kind of ["cache", "user", "free"]) {
        expect([kind, info.pages[kind] > 1000]).toEqual([kind, true]);
      }
      expect(JSON.parse(await vmcopy("verify", "--json", at(format)))).toMatchObject({
        ok: true,
        problems: [],
      });
      const log = (await vmcopy("dmesg", at(format))).trimEnd().split("\n");
      expect(log.at(-1)).toContain("(vdc): mounted filesystem");
      const dump = at(`${format}.31`);
      const { pages } = JSON.parse(
        await vmcopy("copy", "--json", "-d", "31", "-c", "zstd", at(format), dump),
      );
      // The firmware's own memory is no RAM of the kernel's.
      expect(pages.unknown).toBeLessThan(200);
      expect(pages.kept).toBeLessThan(pages.total / 2);
      expect(JSON.parse(await vmcopy("verify", "--json", dump, at(format)))).toMatchObject({ ok: true });
      expect(await tasksIn(dump, symbols)).toBeGreaterThan(20);
      // Of the ELF itself drgn 0.0.22 cannot translate an address: qemu's PT_LOADs have physical ones only.
      expect(await tasksIn(dump, symbols)).toBe(await tasksIn(at("elf.31"), symbols));
    },
    2 * minutes,
  );
});
