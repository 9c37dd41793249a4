import { stripVTControlCharacters } from 'node:util';

/** Control characters, and characters that change the direction of text. */
const UNPRINTABLE = /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gu;

/**
 * Makes a text from a service safe to print on one line. A name or a message could otherwise move the cursor and
 * overwrite earlier output.
 */
export function printable(text: string): string {
  if (/^[\x20-\x7e]*$/.test(text)) return text;
  return stripVTControlCharacters(text).replace(UNPRINTABLE, ' ');
}

const MINUTE = 60_000;
const UNITS: readonly (readonly [string, number])[] = [
  ['d', 1440 * MINUTE],
  ['h', 60 * MINUTE],
  ['min', MINUTE],
  ['s', 1000],
];

/** Formats a time relative to now: `3 min ago`, `in 2 d`. Null is shown as a dash. */
export function relativeTime(time: string | null, now = Date.now()): string {
  if (time === null) return '–';
  const distance = now - Date.parse(time);
  const [unit, milliseconds] = UNITS.find(([, least]) => Math.abs(distance) >= least) ?? ['s', 1000];
  const count = Math.floor(Math.abs(distance) / milliseconds);
  if (count === 0) return 'now';
  return distance >= 0 ? `${count} ${unit} ago` : `in ${count} ${unit}`;
}
