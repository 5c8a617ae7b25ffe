/** A source with known contents and a dest beside it, cleared before each test: what tests of failing calls need. */
import { beforeEach } from "bun:test";
import { rmSync, statSync, writeFileSync } from "node:fs";
import { temporaryFolder } from "./files.ts";
import type { Rules } from "./inject.ts";
import { PLAIN } from "./shapes.ts";
import { buildVmcore } from "./vmcores.ts";

/** To be called once a test file, at its top. */
export function copyPlace() {
  const path = temporaryFolder();
  const source = path("source");
  const { bytes, dataAt } = buildVmcore(PLAIN);
  writeFileSync(source, bytes);
  const dest = path("dump");
  const incomplete = `${dest}.incomplete`;
  const partial = `${incomplete}.manifest.json`;
  beforeEach(() => {
    for (const name of [dest, incomplete, partial, `${partial}.new`, `${dest}.manifest.json`])
      rmSync(name, { force: true });
  });
  return { path, source, bytes, dataAt, size: statSync(source).size, dest, incomplete, partial };
}

/** A call that fails from its nth time on. */
export const hits =
  (errno: string, from = 1): NonNullable<Rules["fsync"]> =>
  (call, real) =>
    call.nth >= from ? call.fail(errno) : real(...call.args);
