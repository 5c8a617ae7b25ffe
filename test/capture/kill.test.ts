/**
 * A capture killed at any moment, by the kernel's SIGKILL: every directory with a name holds a whole dump, everything
 * else is recognisably incomplete, the log is there once that was said, and an old capture goes only for a whole new one.
 */
import { beforeAll, describe, expect, it } from "bun:test";
import { existsSync, readFileSync, rmSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { capture, isWhole, jsonOf, listing, WHOLE } from "../support/captures.ts";
import { temporaryFolder } from "../support/files.ts";
import { commandLine, vmcopy } from "../support/program.ts";
import { Random } from "../support/random.ts";
import { writeSampleFile } from "../support/sample.ts";

const canHoldInMemory =
  existsSync("/dev/shm") && statfsSync("/dev/shm").bavail * statfsSync("/dev/shm").bsize > 2 ** 30;
const path = temporaryFolder(canHoldInMemory ? "/dev/shm" : undefined);
const source = path("source");
const to = path("crash");
const ROUNDS = 40;
const random = new Random(20_130_613);
let log: string;
/** Milliseconds from a capture's first line to its end, on this machine as it is now. */
let whole: number;
/** What was seen in all rounds, so that none of it is left untried. */
const seen = new Set<string>();

beforeAll(async () => {
  writeSampleFile(source, { size: 24 << 20 });
  log = (await vmcopy("dmesg", source)).out;
  // The first one warms up.
  for (let round = 0; round < 2; round++) {
    rmSync(to, { recursive: true, force: true });
    whole = (await killed(60_000)).milliseconds;
  }
});

/**
 * Starts a capture and kills it so many milliseconds after its first line.
 *
 * @returns what it had said, and how long it ran from there
 */
async function killed(milliseconds: number): Promise<{ said: string; milliseconds: number }> {
  const options = ["--source", source, "--to", to, "--name", "new", "--keep", "1", "-j", "1", "--json"];
  const child = Bun.spawn(commandLine("capture", ...options), { stdout: "ignore", stderr: "pipe" });
  let said = "";
  let timer: Timer | undefined;
  let started = 0;
  const decoder = new TextDecoder();
  for await (const piece of child.stderr) {
    if (timer === undefined) started = performance.now();
    timer ??= setTimeout(() => child.kill("SIGKILL"), milliseconds);
    said += decoder.decode(piece, { stream: true });
  }
  await child.exited;
  clearTimeout(timer);
  return { said, milliseconds: performance.now() - started };
}

describe("a capture that is killed", () => {
  it.each(Array.from({ length: ROUNDS }, (_, round) => [round, random.between(0, 1000)] as const))(
    "round %i, after %i thousandths of its time",
    async (_round, thousandths) => {
      rmSync(to, { recursive: true, force: true });
      await capture(to, source, { name: "old" });
      const { said } = await killed((whole * thousandths) / 1000);
      const found = listing(to);
      for (const [name, files] of Object.entries(found)) {
        if (name.endsWith(".incomplete")) continue;
        // The record is written once more when all is done, beside the old one.
        expect([name, files.filter((file) => file !== "capture.json.new")]).toEqual([name, WHOLE]);
        expect([name, await isWhole(join(to, name))]).toEqual([name, true]);
        expect(jsonOf(to, name, "capture.json").state).toBe("complete");
      }
      const now = found.new === undefined ? "new.incomplete" : "new";
      // Gone, or on its way out, only where the new one is whole.
      if (now === "new.incomplete") expect(found.old).toEqual(WHOLE);
      const told = [...said.matchAll(/^\[ *[\d.]+\] (\w+): /gm)].map(([, step]) => step as string);
      if (told.includes("log")) expect(readFileSync(join(to, now, "dmesg.txt"), "utf8")).toBe(log);
      if (told.includes("crash")) expect(jsonOf(to, now, "crash.json").message).toBe("sysrq triggered crash");
      if (told.includes("dump")) expect(await isWhole(join(to, now))).toBe(true);
      if (told.includes("name")) expect(now).toBe("new");
      if (told.includes("keep")) expect(found.old).toBeUndefined();
      seen.add(told.at(-1) ?? "nothing");
    },
  );

  it("was so at many places", () => {
    expect([...seen]).toContain("space");
    expect(seen.size).toBeGreaterThanOrEqual(3);
  });

  it("leaves nothing that the next one stumbles over", async () => {
    const { report } = await capture(to, source, { name: "new", keep: 1 });
    expect(report).toMatchObject({ state: "complete", exitCode: 0 });
    expect(Object.keys(listing(to))).toHaveLength(1);
  });
});
