/** A copy killed at any moment, by the kernel's SIGKILL: what it leaves can be gone on with, and ends whole. */
import { beforeAll, describe, expect, it } from "bun:test";
import { existsSync, readFileSync, rmSync, statfsSync, statSync } from "node:fs";
import { join } from "node:path";
import { decodeManifest } from "../../src/dump/manifest.ts";
import { copy, same, verify } from "../support/engines.ts";
import { BUN, temporaryFolder } from "../support/files.ts";
import { commandLine } from "../support/program.ts";
import { Random } from "../support/random.ts";
import { writeSampleFile } from "../support/sample.ts";

const HURRIED = join(import.meta.dir, "../support/hurried-copy.ts");
/** Most rounds are in memory, where no disk slows others down. */
const canHoldInMemory =
  existsSync("/dev/shm") && statfsSync("/dev/shm").bavail * statfsSync("/dev/shm").bsize > 2 ** 31;
const onDisk = temporaryFolder();
const inMemory = canHoldInMemory ? temporaryFolder("/dev/shm") : onDisk;
const source = inMemory("source");
const PLACES = [
  ["in memory", inMemory("dump"), 20, 120],
  ["on disk", onDisk("dump"), 4, 220],
] as const;

beforeAll(() => {
  writeSampleFile(source, { size: 320 << 20, ram: 400 << 20 });
}, 60_000);

/** Starts a copy and kills it so many milliseconds after it began to write. */
async function killed(
  dest: string,
  milliseconds: number,
  hurried: boolean,
  ...options: string[]
): Promise<void> {
  const incomplete = `${dest}.incomplete`;
  const program = hurried ? [BUN, HURRIED, source, dest] : commandLine("copy", source, dest, "-q");
  const before = existsSync(incomplete) ? statSync(incomplete).mtimeMs : 0;
  const child = Bun.spawn([...program, ...options], { stdout: "ignore", stderr: "ignore" });
  while (child.exitCode === null && !(existsSync(incomplete) && statSync(incomplete).mtimeMs !== before)) {
    await Bun.sleep(1);
  }
  await Bun.sleep(milliseconds);
  child.kill("SIGKILL");
  await child.exited;
}

const size = () => statSync(source).size;

/** Bytes that the partial manifest speaks of, undefined where there is none. @throws where it is half-written */
function kept(dest: string): number | undefined {
  const partial = `${dest}.incomplete.manifest.json`;
  if (!existsSync(partial)) return undefined;
  const { digests, chunkSize } = decodeManifest(readFileSync(partial), partial);
  return Math.min(size(), digests.length * chunkSize);
}

describe.each(PLACES)("copy %s, killed at random moments", (_place, dest, count, longest) => {
  const incomplete = `${dest}.incomplete`;
  const partial = `${incomplete}.manifest.json`;
  let resumed = 0;
  const random = new Random(20_130_613);
  const rounds = Array.from(
    { length: count },
    (_, round) => [round, random.below(longest), random.chance(0.3), round % 3 > 0] as const,
  );

  it.each(rounds)(
    "round %i, after %i ms, dense: %p, partial manifests often: %p",
    async (round, milliseconds, dense, hurried) => {
      const options = dense ? ["--no-sparse"] : [];
      for (const name of [dest, incomplete, partial, `${partial}.new`, `${dest}.manifest.json`])
        rmSync(name, { force: true });
      await killed(dest, milliseconds, hurried, ...options);
      // In every other round the one that goes on is killed too.
      if (round % 2 === 0 && !existsSync(dest))
        await killed(dest, milliseconds / 8, hurried, "--resume", ...options);
      const partly = kept(dest);
      if (!existsSync(dest) || partly !== undefined) {
        const { bytesRead } = await copy({ source, dest, resume: true, sparse: !dense });
        // All that was recorded is there: what a process wrote outlives it.
        expect(bytesRead).toBe(size() - (partly ?? 0));
        if (bytesRead < size()) resumed++;
      }
      expect((await verify(dest)).ok).toBe(true);
      expect((await verify(dest, { source })).ok).toBe(true);
      expect([existsSync(incomplete), existsSync(partial)]).toEqual([false, false]);
    },
    30_000,
  );

  it("went on behind what was kept in many rounds", () => {
    expect(resumed).toBeGreaterThanOrEqual(Math.floor(count / 5));
  });

  it("ends with the very bytes of the source", () => {
    expect(same(source, dest)).toBe(true);
  });
});
