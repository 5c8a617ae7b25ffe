/**
 * A copy whose clock runs a hundred times too fast, as a program of its own: partial manifests are written every few
 * windows, where the real program writes one every two seconds. Arguments: source, dest, then --resume, --no-sparse.
 */

import { Libc } from "../../ffi/libc.ts";
import { copyRaw } from "../../src/copy/raw.ts";
import { testJob } from "./engines.ts";

const { now } = performance;
performance.now = () => now.call(performance) * 100;
const [source = "", dest = "", ...flags] = process.argv.slice(2);
await copyRaw(await Libc.load(), testJob(), {
  source,
  dest,
  sparse: !flags.includes("--no-sparse"),
  resume: flags.includes("--resume"),
  direct: false,
  force: false,
  manifest: true,
  sha256: false,
});
