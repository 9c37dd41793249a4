import { InvalidArgumentError, Option, type Command } from 'commander';
import { quoted } from '../process/errors.ts';

/** Options of commands that print a list. */
export interface LimitOptions {
  readonly limit: number;
}

const STANDARD_LIMIT = 50;

/** Adds `--limit`. */
export function addLimit(command: Command): Command {
  return command.addOption(
    new Option('--limit <n>', 'Most entries to print; 0 prints all.').argParser(limit).default(STANDARD_LIMIT),
  );
}

function limit(text: string): number {
  const value = Number(text);
  if (/^\d{1,9}$/.test(text)) return value;
  throw new InvalidArgumentError(`expected a number of at least 0, found ${quoted(text)}.`);
}

/** Largest number of entries that the service returns in one page. */
const PAGE = 200;

export interface Collected<T> {
  readonly data: T[];
  /** Whether the list has more entries than `data`. */
  readonly has_more: boolean;
}

/**
 * Reads the first entries of a list, up to `--limit`. The function `read` is called once with a page size, and gives
 * the entries of all pages.
 */
export async function collect<T>(
  { limit: most }: LimitOptions,
  read: (pageSize: number) => AsyncIterable<T> | Promise<AsyncIterable<T>>,
): Promise<Collected<T>> {
  const data: T[] = [];
  // One entry more than is printed shows whether there are more.
  for await (const entry of await read(most === 0 ? PAGE : Math.min(PAGE, most + 1))) {
    if (most > 0 && data.length === most) return { data, has_more: true };
    data.push(entry);
  }
  return { data, has_more: false };
}

/** Parses `key=value` of a label, and adds it to earlier ones. A later value of the same key wins. */
export function labels(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const [, key, value] = /^([^=,]+)=([^=,]+)$/.exec(text) ?? [];
  if (key === undefined || value === undefined) {
    throw new InvalidArgumentError(`expected KEY=VALUE, found ${quoted(text)}.`);
  }
  return { ...before, [key]: value };
}

/** Collects the values of an option that is given several times. */
export function several(text: string, before: readonly string[] = []): string[] {
  return [...before, text];
}
