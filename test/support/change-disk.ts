/**
 * A capture whose dump is changed on the device once it is written and before it is read back, past the file system:
 * who reads from the page cache sees nothing of it. Arguments: source, mount point, its device. Prints what was found.
 */
import { closeSync, fsyncSync, openSync, readFileSync, readSync, writeSync } from "node:fs";
import { join } from "node:path";
import { capture } from "./captures.ts";

const [source = "", mount = "", device = ""] = process.argv.slice(2);
const dump = join(mount, "one.incomplete/vmcore");
let changed = false;
let cached = false;

const { report } = await capture(
  mount,
  source,
  { name: "one" },
  {
    said: (line) => {
      if (!/\] dump: /.test(line)) return;
      // Where the dump lies on the device: found by its bytes, which are zstd's and nowhere else.
      const bytes = readFileSync(dump);
      const middle = bytes.subarray(bytes.length >> 1, (bytes.length >> 1) + 256);
      const fd = openSync(device, "r+");
      const disk = new Uint8Array(64 << 20);
      for (let at = 0; at < disk.length; ) {
        const count = readSync(fd, disk, at, 1 << 20, at);
        if (count === 0) break;
        at += count;
      }
      const at = Buffer.from(disk.buffer).indexOf(middle);
      if (at >= 0) {
        writeSync(fd, Uint8Array.of((middle[0] as number) ^ 1), 0, 1, at);
        fsyncSync(fd);
        changed = true;
      }
      closeSync(fd);
      cached = readFileSync(dump).equals(bytes);
    },
  },
);
const { verified, state, exitCode } = report;
console.log(JSON.stringify({ changed, cached, verified, state, exitCode }));
