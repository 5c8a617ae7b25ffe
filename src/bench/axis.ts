/** Logarithmic axes: rates go from 0.2 GiB/s to more than a thousand, which no linear scale can show together. */

/** Where an axis begins and ends. Both are larger than 0. */
export interface LogAxis {
  min: number;
  max: number;
}

/** The shortest axis of whole decades, one at least, that holds all values that can stand on it. */
export function decadeAxis(values: readonly number[]): LogAxis {
  const logs = values.filter((value) => value > 0 && Number.isFinite(value)).map(Math.log10);
  if (logs.length === 0) return { min: 1, max: 10 };
  // A hair of tolerance: log10(1000) is 2.9999999999999996 on some engines.
  const low = Math.floor(Math.min(...logs) + 1e-9);
  const high = Math.max(low + 1, Math.ceil(Math.max(...logs) - 1e-9));
  return { min: 10 ** low, max: 10 ** high };
}

/** As {@link decadeAxis}, but each end at 1, 2 or 5 times a power of ten: less empty paper around a curve, but never none. */
export function closeAxis(values: readonly number[]): LogAxis {
  const inner = values.filter((value) => value > 0 && Number.isFinite(value));
  const { min, max } = decadeAxis(inner);
  const low = [5, 2].map((factor) => min * factor).find((end) => end <= Math.min(...inner) * 0.85);
  const high = [2, 5].map((factor) => (max / 10) * factor).find((end) => end >= Math.max(...inner) * 1.04);
  const close = { min: low ?? min, max: high ?? max };
  return close.max / close.min >= 10 ? close : { min, max };
}

/** Where a value lies on the axis: 0 at its start, 1 at its end. */
export function positionOn(axis: LogAxis, value: number): number {
  return Math.log(value / axis.min) / Math.log(axis.max / axis.min);
}

/** The powers of ten on the axis, from slow to fast. */
export function decades(axis: LogAxis): number[] {
  const low = Math.ceil(Math.log10(axis.min) - 1e-9);
  const high = Math.floor(Math.log10(axis.max) + 1e-9);
  return Array.from({ length: Math.max(0, high - low + 1) }, (_, step) => Number(`1e${low + step}`));
}
