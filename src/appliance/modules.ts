/**
 * Drivers of a kernel that has them as modules: those in one directory, in the order of its file `order` (a file name a
 * line, parameters behind it), or by name. Nobody looks for what depends on what: the order has to say it.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { MODULE_INIT_COMPRESSED_FILE, SYS_finit_module } from "../../ffi/constants.ts";
import { LibcError } from "../../ffi/errno.ts";
import { File } from "../../ffi/file.ts";
import type { Libc } from "../../ffi/libc.ts";

export const MODULES = "/modules";
const ORDER = "order";

interface Module {
  readonly file: string;
  /** as on modprobe's command line */
  readonly parameters: string;
}

export interface Loaded {
  /** files, in the order in which they were loaded; what was loaded before is among them */
  readonly names: readonly string[];
  /** one line each */
  readonly problems: readonly string[];
}

/** Loads them all; one that fails keeps no other from it. @param loaded called after each */
export function loadModules(libc: Libc, directory: string, loaded: () => void): Loaded {
  const names: string[] = [];
  const problems: string[] = [];
  for (const { file, parameters } of listed(directory)) {
    try {
      load(libc, join(directory, file), parameters);
      names.push(file);
    } catch (error) {
      if (!(error instanceof LibcError)) throw error;
      const advice = error.call === LOAD ? ADVICE[error.code] : undefined;
      problems.push(`${error.message}${advice ?? ""}`);
    }
    loaded();
  }
  return { names, problems };
}

const LOAD = "load module";
const ADVICE: Record<string, string> = {
  ENOENT: "; it needs what is in none before it in the order",
  ENOEXEC: "; it is no module of this kernel",
  ENOSYS: "; this kernel takes no modules",
};

/** @returns nothing where there is no such directory @throws Error where it cannot be read */
export function listed(directory: string): Module[] {
  if (!existsSync(directory)) return [];
  const order = join(directory, ORDER);
  const lines = existsSync(order)
    ? readFileSync(order, "utf8").split("\n")
    : readdirSync(directory)
        .filter((name) => /\.ko(\.\w+)?$/.test(name))
        .sort();
  return lines
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => {
      const [file = "", ...parameters] = line.split(/\s+/);
      return { file, parameters: parameters.join(" ") };
    });
}

/** @throws LibcError */
function load(libc: Libc, path: string, parameters: string): void {
  using file = File.open(libc, path);
  const flags = path.endsWith(".ko") ? 0 : MODULE_INIT_COMPRESSED_FILE;
  const { syscall } = libc.backend.calls;
  const result = syscall(SYS_finit_module, file.fd, libc.path(parameters), flags, 0, 0, 0);
  try {
    libc.check(LOAD, path, result);
  } catch (error) {
    // It is there already, or built in.
    if (!(error instanceof LibcError) || error.code !== "EEXIST") throw error;
  }
}
