/**
 * The first process of a kernel that kdump started, in an initramfs with no other program: see src/appliance. What it
 * is told stands on the kernel's command line and in /etc/vmcopy.toml; its arguments are words that the kernel did not
 * understand, and mean nothing.
 */
import process from "node:process";
import type { Libc } from "../../ffi/libc.ts";
import { runAppliance } from "../appliance/appliance.ts";
import { EXIT_FAILED } from "../errors.ts";
import { Terminal } from "../ui/terminal.ts";
import type { Personality } from "./personality.ts";

export const init: Personality = async (libc: Libc) => {
  const terminal = new Terminal({ quiet: false, colour: false });
  if (process.pid !== 1) {
    terminal.fail(
      `init: Cannot take over this system: it has a first process already, this is process ${process.pid}; ` +
        "to save a crash from here: vmcopy capture",
    );
    return EXIT_FAILED;
  }
  await runAppliance(libc, terminal);
  return EXIT_FAILED;
};
