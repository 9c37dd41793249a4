import path from 'node:path';

/** Type of the values of a setting: a parser, and a description of the valid values. */
export interface Kind<T> {
  /**
   * Converts the text of a setting to its value; undefined if the text is not valid. A blank text is passed only if it
   * is the setting's default.
   */
  readonly parse: (text: string) => T | undefined;
  /** Description of the valid values. In error messages it follows the word "expected". */
  readonly expected: string;
  /** Whether the value may hold a password or a key, so that messages must not repeat it. */
  readonly isSecret?: boolean;
  /** Whether a YAML file may give the value as a number. */
  readonly isNumeric?: boolean;
}

interface IntegerOptions {
  readonly min: number;
  /** Largest valid number. Default: no limit. */
  readonly max?: number;
  readonly unit?: 'bytes' | 'days' | 'GiB' | 'milliseconds' | 'seconds';
}

/** Kind of a whole number from `min` to `max`. */
export function integerBetween({ min, max, unit }: IntegerOptions): Kind<number> {
  const range = max === undefined ? `of at least ${min}` : `from ${min} to ${max}`;
  return {
    parse(text) {
      const number = /^-?\d+$/.test(text) ? Number(text) : Number.NaN;
      return Number.isSafeInteger(number) && number >= min && number <= (max ?? Infinity) ? number : undefined;
    },
    expected: `an integer ${range}${unit === undefined ? '' : ` (${unit})`}`,
    isNumeric: true,
  };
}

/** Creates a kind of setting that accepts the values of another kind, and one more word that stands for null. */
export function orNull<T>(word: string, kind: Kind<T>): Kind<T | null> {
  return {
    ...kind,
    parse: (text) => (text === word ? null : kind.parse(text)),
    expected: `${kind.expected}, or ${word}`,
  };
}

/** Kind of a number of days up to a century, or `off`, which stands for null. */
export function days({ min }: { readonly min: number }): Kind<number | null> {
  return orNull('off', integerBetween({ min, max: 36_500, unit: 'days' }));
}

/** Kind of the words `on` and `off`. */
export function onOff(): Kind<boolean> {
  return {
    parse: (text) => (text === 'on' ? true : text === 'off' ? false : undefined),
    expected: 'on or off',
  };
}

/** Kind of a setting whose value is one of several words. */
export function choice<const T extends string>(words: readonly T[]): Kind<T> {
  return {
    parse: (text) => words.find((word) => word === text),
    expected: `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`,
  };
}

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  mib: 2 ** 20,
  gib: 2 ** 30,
  mb: 1e6,
  gb: 1e9,
};

interface SizeOptions {
  /** Smallest valid number of bytes (default 1). */
  readonly min?: number;
  /** Largest valid number of bytes. Default: no limit. */
  readonly max?: number;
  /** Typical value that error messages give as an example. */
  readonly example: string;
}

/** Kind of a number of bytes, such as `12GiB`, `8000 MB`, or a number without a unit. */
export function size({ min = 1, max = Infinity, example }: SizeOptions): Kind<number> {
  const least = sizeText(min);
  const range = max === Infinity ? `of at least ${least}` : min === 1 ? `of at most ${sizeText(max)}` : '';
  return {
    parse(text) {
      const [, digits, unit = ''] = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text) ?? [];
      const bytes = Math.floor(Number(digits) * (UNITS[unit.toLowerCase()] ?? Number.NaN));
      return bytes >= min && bytes <= max ? bytes : undefined;
    },
    expected: `a size ${range || `from ${least} to ${sizeText(max)}`}, such as ${example}`,
    isNumeric: true,
  };
}

function sizeText(bytes: number): string {
  if (bytes % 2 ** 30 === 0) return `${bytes / 2 ** 30}GiB`;
  return bytes % 2 ** 20 === 0 ? `${bytes / 2 ** 20}MiB` : `${bytes} bytes`;
}

/** Kind of a folder. A relative path becomes absolute. */
export function folder(): Kind<string> {
  return { parse: (text) => path.resolve(text), expected: 'a folder' };
}

/** Kind of a list of folders, separated as in PATH. */
export function folders(): Kind<string[]> {
  return {
    parse: (text) =>
      text
        .split(path.delimiter)
        .filter((part) => part.trim() !== '')
        .map((part) => path.resolve(part)),
    expected: `folders separated by "${path.delimiter}"`,
  };
}

/** Kind of a text that matches a regular expression. */
export function text<T extends string = string>(pattern: RegExp, expected: string): Kind<T> {
  return { parse: (found) => (pattern.test(found) ? (found as T) : undefined), expected };
}

/** Kind of a text that messages must not repeat. */
export function secret(pattern: RegExp, expected: string): Kind<string> {
  return { ...text(pattern, expected), isSecret: true };
}

/** Kind of a URL that matches a regular expression. It may contain a password. */
export function url(pattern: RegExp, expected: string): Kind<string> {
  return {
    parse: (found) => (pattern.test(found) && URL.canParse(found) ? found : undefined),
    expected,
    isSecret: true,
  };
}

interface ListOptions {
  readonly isItem: (item: string) => boolean;
  readonly max: number;
  readonly expected: string;
  readonly isSecret?: boolean;
}

/** Kind of a list of texts, separated by commas, each of which `isItem` accepts. The default `''` is an empty list. */
export function list({ isItem, max, ...rest }: ListOptions): Kind<string[]> {
  return {
    ...rest,
    parse(found) {
      const items = found === '' ? [] : found.split(',').map((item) => item.trim());
      return items.length <= max && items.every(isItem) ? items : undefined;
    },
  };
}
