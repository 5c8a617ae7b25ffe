/**
 * Sizes, rates, times and counts as people read and type them. Powers of 1024 throughout; ASCII only, because a
 * capture kernel's serial console may know nothing else.
 */

const STEP = 1024;
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] as const;
const SUFFIXES = ["", "K", "M", "G", "T"] as const;

/** What a figure that is not there (NaN, infinite, negative) looks like, in every format below. */
export const NO_FIGURE = "-";

/** A size that cannot be read; `code` is what `--json` reports. */
export class SizeError extends RangeError {
  override readonly name = "SizeError";
  readonly code = "E_SIZE";
}

/**
 * Reads a size as typed: `4096`, `64K`, `4M`, `1G`, `1T`, powers of 1024.
 *
 * @returns bytes, a whole number from 0 to 2^53 - 1
 * @throws {SizeError} for anything else
 *
 * @example
 * ```ts
 * parseSize("64K"); // 65536
 * ```
 */
export function parseSize(text: string): number {
  const match = /^(\d+)([KMGT]?)$/.exec(text);
  if (match === null) {
    throw new SizeError(
      `Cannot read the size: a whole number is expected, alone (bytes) or followed by K, M, G or T (${quoted(text)})`,
    );
  }
  const bytes = Number(match[1]) * STEP ** SUFFIXES.indexOf((match[2] ?? "") as (typeof SUFFIXES)[number]);
  if (!Number.isSafeInteger(bytes)) {
    throw new SizeError(`Cannot read the size: it is larger than 2^53 - 1 bytes (${quoted(text)})`);
  }
  return bytes;
}

/** The shortest text that {@link parseSize} reads back as exactly these bytes: `65536` gives `64K`. */
export function sizeArgument(bytes: number): string {
  let power = 0;
  let rest = bytes;
  while (rest > 0 && rest % STEP === 0 && power < SUFFIXES.length - 1) {
    rest /= STEP;
    power++;
  }
  return `${rest}${SUFFIXES[power]}`;
}

/** A size in bytes to three figures: `0 B`, `4 KiB`, `1.5 MiB`, `31.7 GiB`. No decimal point: the figure is exact. */
export function formatSize(bytes: number): string {
  if (!(bytes >= 0 && bytes < Infinity)) return NO_FIGURE;
  let power = 0;
  let value = bytes;
  // Compared after rounding: 1048575 bytes are "1.0 MiB", not "1024 KiB".
  while (power < UNITS.length - 1 && Number(rounded(value, power)) >= STEP) {
    value /= STEP;
    power++;
  }
  return `${rounded(value, power)} ${UNITS[power]}`;
}

/** Bytes a second: `214 MiB/s`, `63.4 GiB/s`. */
export function formatRate(bytesPerSecond: number): string {
  const size = formatSize(bytesPerSecond);
  return size === NO_FIGURE ? size : `${size}/s`;
}

/** A measured time in seconds, to three figures: `350 us`, `12.3 ms`, `45.3 s`, `2 min 32 s`, `3 h 5 min`. */
export function formatDuration(seconds: number): string {
  if (!(seconds >= 0 && seconds < Infinity)) return NO_FIGURE;
  if (seconds === 0) return "0 s";
  if (seconds < 0.9995e-6) return `${threeFigures(seconds * 1e9)} ns`;
  if (seconds < 0.9995e-3) return `${threeFigures(seconds * 1e6)} us`;
  if (seconds < 0.9995) return `${threeFigures(seconds * 1e3)} ms`;
  if (seconds < 59.95) return `${threeFigures(seconds)} s`;
  return formatWait(seconds);
}

/** A time to wait or waited, in whole seconds: `3 s`, `2 min 32 s`, `3 h 5 min`, `2 d 4 h`. */
export function formatWait(seconds: number): string {
  if (!(seconds >= 0 && seconds < Infinity)) return NO_FIGURE;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  const minutes = Math.round(whole / 60);
  if (minutes < 1440) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  const hours = Math.round(whole / 3600);
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** A time as ISO 8601, UTC, whole seconds; undefined where no calendar has it. @param seconds since 1970 */
export function isoTime(seconds: number | undefined): string | undefined {
  const date = new Date((seconds ?? Number.NaN) * 1000);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString().replace(/\.\d+Z$/, "Z");
}

/** A share in percent, `43.2 %`, rounded down: `100.0 %` means all of it. Nothing of nothing is `100.0 %`. */
export function formatPercent(part: number, whole: number): string {
  if (!(part >= 0 && whole >= 0 && part < Infinity && whole < Infinity)) return NO_FIGURE;
  // Multiplied first: 0.57 * 1000 would be 569.99.
  const tenths = whole === 0 ? 1000 : Math.min(Math.floor((part * 1000) / whole), 1000);
  return `${(tenths / 10).toFixed(1)} %`;
}

/** A whole number with thousands separated: `1,234,567`. */
export function formatCount(count: number | bigint): string {
  if (typeof count === "number" && !Number.isFinite(count)) return NO_FIGURE;
  return separated(typeof count === "number" ? String(Math.round(count)) : String(count));
}

/** A figure with a fixed number of decimals and thousands separated: `1,113.21`. */
export function formatFixed(value: number, decimals: number): string {
  return Number.isFinite(value) ? separated(value.toFixed(decimals)) : NO_FIGURE;
}

function separated(digits: string): string {
  const [whole = "", fraction] = digits.split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}

function rounded(value: number, power: number): string {
  return power === 0 || Number.isInteger(value) || value >= 99.95 ? value.toFixed(0) : value.toFixed(1);
}

function threeFigures(value: number): string {
  return value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0);
}

/** The value as it was typed, cut to what fits a line, without the control characters it may carry. */
function quoted(text: string): string {
  const clean = text.replace(/\p{Cc}/gu, "?");
  return clean === "" ? "empty" : clean.length > 40 ? `${clean.slice(0, 40)}...` : clean;
}
