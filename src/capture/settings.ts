/**
 * What a capture is told: one table of names, each with how its text is read. The names are the same as options of
 * the program (`--on-failure`), on the kernel's command line (`vmcopy.on-failure=`) and in the file (`on-failure =`).
 */
import { availableParallelism } from "node:os";
import { CODEC_FLAGS, type CodecName } from "../codec/packed.ts";
import { availableMemory } from "../memory-usage.ts";
import { ACTIONS, type Action, FALLBACKS, type Fallback, type OnFailure } from "./actions.ts";
import { formatPlace, type Place, parsePlace } from "./target.ts";
import { checkTemplate, DEFAULT_NAME } from "./template.ts";

export interface Settings {
  readonly to: Place;
  /** template of the directory's name */
  readonly name: string;
  readonly source: string;
  readonly level: number;
  readonly compress: CodecName;
  /** threads that pack */
  readonly jobs: number;
  /** read the dump back */
  readonly verify: boolean;
  /** captures to keep; undefined: all */
  readonly keep: number | undefined;
  readonly final: readonly Action[];
  readonly onFailure: OnFailure;
  /** the device */
  readonly watchdog: string | undefined;
  /** seconds that a device may take to appear */
  readonly wait: number;
  /** of a raw partition, what is no capture */
  readonly overwrite: boolean;
  /** seconds without progress after which the machine is ended; 0: it is not */
  readonly stall: number;
}

const MOST_JOBS = 64;
/** A thread takes half of that; a crash kernel that runs out of memory saves nothing. */
const JOB_MEMORY = 64 << 20;

export const DEFAULTS: Settings = {
  to: { device: undefined, directory: "/var/crash" },
  name: DEFAULT_NAME,
  source: "/proc/vmcore",
  level: 31,
  compress: "zstd",
  jobs: Math.max(1, Math.min(availableParallelism(), MOST_JOBS, Math.floor(availableMemory() / JOB_MEMORY))),
  verify: true,
  keep: undefined,
  final: ["none"],
  onFailure: { fallbacks: FALLBACKS, actions: [] },
  watchdog: undefined,
  wait: 10,
  overwrite: false,
  stall: 0,
};

/** By the names that people write. */
const PARSERS: { readonly [Key in keyof Settings]: (text: string) => Settings[Key] } = {
  to: parsePlace,
  name: checkTemplate,
  source: nonEmpty,
  level: (text) => wholeNumber(text, 0, 31),
  compress: (text) => oneOf(text, Object.keys(CODEC_FLAGS) as CodecName[]),
  jobs: (text) => wholeNumber(text, 1, MOST_JOBS),
  verify: yesOrNo,
  keep: (text) => (text === "all" ? undefined : wholeNumber(text, 1, 1_000_000)),
  final: (text) => list(text).map((word) => oneOf(word, ACTIONS)),
  onFailure: (text) => {
    const words = list(text).map((word) => oneOf(word, [...FALLBACKS, ...ACTIONS]));
    const isFallback = (word: string): word is Fallback => (FALLBACKS as readonly string[]).includes(word);
    return {
      fallbacks: words.filter(isFallback),
      actions: words.filter((word): word is Action => !isFallback(word)),
    };
  },
  watchdog: nonEmpty,
  wait: (text) => wholeNumber(text, 0, 3600),
  overwrite: yesOrNo,
  stall: (text) => wholeNumber(text, 0, 86_400),
};

/** Settings in one place, as text, by name. */
export interface SettingSource {
  /** what to call a setting of it, in a line */
  readonly nameOf: (name: string) => string;
  readonly values: ReadonlyMap<string, string>;
}

/** Other names of settings: that of `copy`, and no for yes. */
const ALIASES: ReadonlyMap<string, string> = new Map([["dump-level", "level"]]);

/** `on-failure`, `on_failure` (the kernel takes both for the same) and its key, `onFailure`. */
function keyOf(name: string): keyof Settings | undefined {
  const dashed = name.replaceAll("_", "-");
  const key = (ALIASES.get(dashed) ?? dashed).replace(/-([a-z])/g, (_, letter: string) =>
    letter.toUpperCase(),
  );
  return Object.hasOwn(PARSERS, key) ? (key as keyof Settings) : undefined;
}

function dashedOf(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** @returns undefined where the name is not known @throws RangeError where the value is wrong */
export function readSetting(name: string, text: string): Partial<Settings> | undefined {
  if (name === "no-verify") return { verify: !yesOrNo(text) };
  const key = keyOf(name);
  return key === undefined ? undefined : { [key]: PARSERS[key](text) };
}

/**
 * Puts sources together, the first that has a setting wins. What is wrong in one is told and passed over: a capture is
 * never given up for a mistake in a file.
 *
 * @param defaults where no source has a setting
 */
export function resolveSettings(
  sources: readonly SettingSource[],
  defaults: Settings = DEFAULTS,
): { settings: Settings; warnings: string[] } {
  const refused: { line: string; key: keyof Settings | undefined }[] = [];
  let settings = defaults;
  for (const { nameOf, values } of [...sources].reverse()) {
    for (const [name, text] of values) {
      try {
        const found = readSetting(name, text);
        if (found === undefined)
          refused.push({ line: `${nameOf(name)}: there is no such setting`, key: undefined });
        else settings = { ...settings, ...found };
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        refused.push({ line: `${nameOf(name)}=${JSON.stringify(text)}: ${error.message}`, key: keyOf(name) });
      }
    }
  }
  const used = settingsJson(settings);
  const warnings = refused.map(({ line, key }) =>
    key === undefined ? `${line}; it is passed over` : `${line}; ${used[dashedOf(key)]} is used instead`,
  );
  return { settings, warnings };
}

/** Settings as they would be written in a file. */
export function settingsJson(settings: Settings): Record<string, unknown> {
  const { to, onFailure, keep, watchdog, ...rest } = settings;
  return {
    to: formatPlace(to),
    ...rest,
    keep: keep ?? "all",
    "on-failure": [...onFailure.fallbacks, ...onFailure.actions],
    watchdog: watchdog ?? null,
  };
}

function nonEmpty(text: string): string {
  if (text === "") throw new RangeError("a path is expected");
  return text;
}

function wholeNumber(text: string, least: number, most: number): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= least && number <= most) return number;
  throw new RangeError(`a whole number from ${least} to ${most} is expected`);
}

function oneOf<Word extends string>(text: string, words: readonly Word[]): Word {
  const found = words.find((word) => word === text);
  if (found === undefined) throw new RangeError(`one of ${words.join(", ")} is expected`);
  return found;
}

function list(text: string): string[] {
  return text
    .split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "");
}

/** A bare name on the kernel's command line is an empty text. */
function yesOrNo(text: string): boolean {
  if (["", "yes", "on", "true", "1"].includes(text)) return true;
  if (["no", "off", "false", "0"].includes(text)) return false;
  throw new RangeError("yes or no is expected");
}
