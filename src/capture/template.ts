/** Names of captures: %HOST, %DATE, %RELEASE and %CRASHTIME of a template, made fit to be one name of a directory. */
import { isoTime } from "../units.ts";
import type { CrashSummary } from "./crash.ts";

export const DEFAULT_NAME = "%HOST-%DATE";

/** Room for what is put behind a name, below the 255 bytes that file systems allow. */
const LONGEST = 200;

/** @param now seconds since 1970 */
export function expandName(
  template: string,
  { hostname, release, crashTime }: Pick<CrashSummary, "hostname" | "release" | "crashTime">,
  now: number,
): string {
  const date = stamp(isoTime(now) ?? "");
  const values: Record<string, string> = {
    // A kernel that nobody named says "(none)".
    HOST: hostname === null || /^(\(none\))?$/.test(hostname) ? "localhost" : hostname,
    DATE: date,
    RELEASE: release ?? "unknown",
    CRASHTIME: crashTime === null ? date : stamp(crashTime),
  };
  const name = template.replace(/%([A-Z]+)/g, (all, key: string) => values[key] ?? all);
  return sanitized(name);
}

/** `2026-11-24T15:47:35Z` as `2026-11-24-154735`: no colon, for those who copy it over the network. */
function stamp(iso: string): string {
  return iso.replace("T", "-").replaceAll(":", "").replace("Z", "");
}

/** One name: no slash, no control character, not hidden, not too long. The crashed kernel's memory may say anything. */
function sanitized(name: string): string {
  const clean = name
    .replace(/[^A-Za-z0-9._+@=,-]/g, "_")
    .replace(/^[.-]+/, "_")
    .slice(0, LONGEST);
  return clean === "" ? "capture" : clean;
}

/** @throws RangeError where a template names something that is not known, or leads elsewhere */
export function checkTemplate(template: string): string {
  const unknown = [...template.matchAll(/%([A-Za-z]*)/g)].find(
    ([, key]) => !["HOST", "DATE", "RELEASE", "CRASHTIME"].includes(key as string),
  );
  if (unknown !== undefined) throw new RangeError(`%HOST, %DATE, %RELEASE and %CRASHTIME are known`);
  if (template === "" || template.includes("/"))
    throw new RangeError("one name is expected, without a slash");
  return template;
}
