/** Where settings can stand: the program's own options, the kernel's command line, a file. The first that has one wins. */
import { readFileSync } from "node:fs";
import { DEFAULT_CONFIG, fileSettings } from "./config-file.ts";
import { kernelSettings } from "./kernel-command-line.ts";
import { resolveSettings, type Settings } from "./settings.ts";

export interface Given {
  /** the program's own options by their names; they were checked already */
  readonly options?: ReadonlyMap<string, string>;
  /** the file that an option names */
  readonly config?: string | undefined;
  /** where nothing else says something */
  readonly defaults?: Settings;
}

/** @returns what counts, and a line for each setting that does not */
export function gatherSettings({ options = new Map(), config: wanted, defaults }: Given): {
  settings: Settings;
  warnings: string[];
} {
  const kernel = kernelSettings(readCommandLine());
  const named = wanted ?? kernel.get("config");
  kernel.delete("config");
  const config = named ?? DEFAULT_CONFIG;
  const file = fileSettings(config, named !== undefined);
  const sources = [
    { nameOf: (name: string) => `--${name}`, values: options },
    { nameOf: (name: string) => `vmcopy.${name} on the kernel's command line`, values: kernel },
    { nameOf: (name: string) => `${name} in ${config}`, values: file.values },
  ];
  const { settings, warnings } = resolveSettings(sources, defaults);
  return { settings, warnings: [...file.warnings, ...warnings] };
}

function readCommandLine(): string {
  try {
    return readFileSync("/proc/cmdline", "utf8");
  } catch {
    return "";
  }
}
