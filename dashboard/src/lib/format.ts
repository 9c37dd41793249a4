const NUMBER = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const COMPACT = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const PERCENT = new Intl.NumberFormat('en', { style: 'percent', maximumFractionDigits: 1 });
const RELATIVE = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
const EXACT = new Intl.DateTimeFormat('sv', { dateStyle: 'short', timeStyle: 'medium' });

/** Text that is shown in place of a figure that is not known. */
export const UNKNOWN = '–';

/** Formats a count with separators: `12,345`. */
export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? UNKNOWN : NUMBER.format(value);
}

/** Formats a count with its noun: `1 adapter`, `12 adapters`. `many` is the plural, if it does not end in `s`. */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${NUMBER.format(value)} ${value === 1 ? one : many}`;
}

/** Formats a large number in short: `7.2B`. For figures whose magnitude matters rather than the last digit. */
export function compact(value: number | null | undefined): string {
  return value === null || value === undefined ? UNKNOWN : COMPACT.format(value);
}

/** Formats a share as a percentage: `12.5%` for 0.125. */
export function percent(share: number | null | undefined): string {
  return share === null || share === undefined ? UNKNOWN : PERCENT.format(share);
}

/** Formats a measured value with a fixed number of decimals (default 3). */
export function decimal(value: number | null | undefined, digits = 3): string {
  return value === null || value === undefined ? UNKNOWN : value.toFixed(digits);
}

/** Formats a duration in milliseconds as `850 ms`, `12.4 s`, `3 min 05 s`, `2 h 07 min` or `3 d 4 h`. */
export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return UNKNOWN;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  // From 59.95 s on, one decimal would round to 60.0 s.
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  const [minutes, hours, days] = [Math.floor(seconds / 60), Math.floor(seconds / 3600), Math.floor(seconds / 86_400)];
  if (days > 0) return `${days} d ${hours % 24} h`;
  const padded = (value: number) => String(value % 60).padStart(2, '0');
  return hours > 0 ? `${hours} h ${padded(minutes)} min` : `${minutes} min ${padded(seconds)} s`;
}

/** Formats a number of bytes: `1.4 GiB`. */
export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return UNKNOWN;
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, value)) / 10));
  return `${(value / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}

const STEPS = [
  ['second', 60],
  ['minute', 60],
  ['hour', 24],
  ['day', 30],
  ['month', 12],
] as const;

/**
 * Formats a time relative to now: `3 minutes ago`, `in 2 days`.
 * @param now present time in milliseconds
 */
export function relativeTime(time: Date, now: number): string {
  let value = (time.getTime() - now) / 1000;
  for (const [unit, size] of STEPS) {
    const rounded = Math.round(value);
    if (Math.abs(rounded) < size) return RELATIVE.format(rounded, unit);
    value /= size;
  }
  return RELATIVE.format(Math.round(value), 'year');
}

/** Formats a time in the browser's time zone: `2026-11-27 23:10:05`. */
export function exactTime(time: Date): string {
  return EXACT.format(time);
}

/** Makes the first letter of a text a capital: `Exact match` for `exact match`. */
export function capitalized(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}

/** Turns a message of the API, which starts in lower case and has no full stop, into a sentence. */
export function sentence(text: string): string {
  const trimmed = text.trim();
  return `${capitalized(trimmed)}${/[.!?]$/.test(trimmed) ? '' : '.'}`;
}
