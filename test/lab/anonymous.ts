// What a capture needs besides its dump: anonymous memory of `capture` and of `copy`, on the real /proc/vmcore.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { median } from "../../src/bench/bench.ts";
import { crashAndCapture } from "./lab.ts";

/** Medians of the most anonymous memory of three runs each, in bytes. */
export async function measureAnonymous(): Promise<{ copy: number; capture: number }> {
  const crash = await crashAndCapture({
    memMiB: 1024,
    captureScript: readFileSync(join(import.meta.dir, "anonymous.sh"), "utf8"),
    timeoutSeconds: 600,
  });
  const lines = readFileSync(join(crash.results, "anonymous"), "utf8").trim().split("\n");
  crash.dispose();
  const of = (name: string) =>
    median(
      lines.filter((line) => line.startsWith(`${name} `)).map((line) => Number(line.split(" ")[1]) * 1024),
    );
  return { copy: of("copy"), capture: of("capture") };
}
