/** A file that passes for a block device. */
import { statSync } from "node:fs";
import { BLKGETSIZE64, S_IFBLK, S_IFMT } from "../../ffi/constants.ts";
import type { Libc } from "../../ffi/libc.ts";
import { injected } from "./files.ts";
import type { Rules } from "./inject.ts";

/** libc to which one file is a block device. */
export function asDevice(device: string, rules: Rules = {}): Libc {
  const identity = statSync(device, { bigint: true }).ino;
  const through: Libc = injected({
    statx: (call, real) => {
      const result = real(...call.args);
      const view = through.structureView;
      const mode = view.getUint16(28, true);
      if (view.getBigUint64(32, true) === identity) view.setUint16(28, (mode & ~S_IFMT) | S_IFBLK, true);
      return result;
    },
    ioctl: (call, real) => {
      if (call.args[1] !== BLKGETSIZE64) return real(...call.args);
      through.structureView.setBigUint64(0, BigInt(statSync(device).size), true);
      return 0;
    },
    ...rules,
  });
  return through;
}
