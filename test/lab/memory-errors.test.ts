// Memory errors in old memory: the host injects machine checks while a program reads /proc/vmcore. The stock kernel dies
// of the first; with the series read() has zeros to the end of the page, and goes on.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { buildProblems, labKernel, type Series } from "../../kernel/build.ts";
import { createRun, removeRun } from "./cache.ts";
import { type Capture, crashAndCapture } from "./lab.ts";
import { Monitor, monitorDevice } from "./monitor.ts";
import { labProblems } from "./packages.ts";
import { compileWindows, testedVersion } from "./windows.ts";

const minutes = 60_000;
const problems = [...labProblems(), ...buildProblems()];
const labTest = test.skipIf(problems.length > 0);
const reason = problems.length > 0 ? ` (left out: ${problems.join("; ")})` : "";
/** Valid, uncorrected, enabled, with an address, to be acted on: a data load. */
const STATUS = "0xbd80000000000134";
const INJECTIONS = 4;

let directory: string;
beforeAll(() => {
  directory = createRun();
});
afterAll(() => removeRun(directory));

/** Random bytes in memory, so that zeros show. */
const NOISE = "mkdir /noise; mount -t tmpfs noise /noise; dd if=/dev/urandom of=/noise/file bs=1M count=96";

async function injected(series: Series): Promise<Capture> {
  const socket = join(directory, `monitor-${series}`);
  return await crashAndCapture({
    memMiB: 512,
    crashkernel: "128M",
    cpus: 1,
    kernel: await labKernel(testedVersion, series),
    program: null,
    files: { "bin/windows": { from: await compileWindows(directory) } },
    workload: NOISE,
    captureScript: "windows errors > /out/windows",
    resultsMiB: 16,
    machineChecks: true,
    // Recovery of an AMD processor is not the emulator's.
    devices: ["-cpu", "max,la57=off,vendor=GenuineIntel", ...monitorDevice(socket)],
    onLine: (line) => {
      if (line === "LAB: reading") inject(socket);
    },
  });
}

async function inject(socket: string): Promise<void> {
  const monitor = await Monitor.open(socket);
  for (let count = 0; count < INJECTIONS; count++) {
    await Bun.sleep(500);
    const command = `mce 0 1 ${STATUS} 7 0x4000000 0x8c`;
    // After the first on a stock kernel there is nobody left.
    await monitor.run("human-monitor-command", { "command-line": command }).catch(() => {});
  }
  monitor.close();
}

labTest(
  `stock: the capture kernel dies of a memory error in old memory${reason}`,
  async () => {
    await expect(injected("stock")).rejects.toThrow("Fatal machine check");
  },
  3 * minutes,
);

labTest(
  `ours: it goes on, with zeros for what could not be read${reason}`,
  async () => {
    // An error that is delivered beside the copy, to the program or elsewhere in the kernel, ends a run.
    let capture: Capture | undefined;
    for (let tries = 1; capture === undefined; tries++) {
      capture = await injected("ours").catch((error) => {
        if (tries === 4) throw error;
        return undefined;
      });
    }
    const found = readFileSync(join(capture.results, "windows"), "utf8");
    expect(Number(/^pages lost: (\d+)$/m.exec(found)?.[1])).toBe(INJECTIONS);
    expect(found).toContain("bytes wrong: 0\n");
    const said = capture.console.filter((line) => line.includes("vmcore: zeros for unreadable memory"));
    expect(said.at(-1)).toContain(`page ${INJECTIONS} of such`);
    capture.dispose();
  },
  8 * minutes,
);
