import { runInNewContext } from 'node:vm';
import { quote } from '../../options/quote.ts';

/** Thrown for a regular expression in an adapter's file that cannot be used; `pattern` is its text. */
export class PatternError extends Error {
  readonly pattern: string;

  constructor(pattern: string, reason: string) {
    super(`regular expression ${quote(pattern)} ${reason}`);
    this.name = 'PatternError';
    this.pattern = pattern;
  }
}

const MAX_LENGTH = 2000;
const TIME_LIMIT_MS = 1000;

/** Time budget that all regular expressions of one file share. */
export class MatchingTime {
  #leftMs = TIME_LIMIT_MS;

  /** Calls `match` with the milliseconds left of the budget, a whole number, and subtracts the time that it took. */
  spend<T>(match: (leftMs: number) => T): T {
    const started = performance.now();
    try {
      return match(Math.max(1, Math.floor(this.#leftMs)));
    } finally {
      this.#leftMs -= performance.now() - started;
    }
  }
}

/**
 * Checks for each of `names` whether a Python regular expression matches the whole name (`re.fullmatch`). Patterns come
 * from tenants' files, so matching runs under a time limit, and syntax that JavaScript reads differently from Python is
 * refused.
 * @throws PatternError
 */
export function fullMatches(pattern: string, names: readonly string[], time?: MatchingTime): boolean[] {
  return runPatterns([pattern], '^(?:', names, time).map((index) => index === 0);
}

/**
 * Finds the first key of PEFT's `rank_pattern` or `alpha_pattern` that matches each name. A key is a regular expression
 * for the end of a name, after a dot, or for the whole name (PEFT's `get_pattern_key`).
 * @returns for each name, the index of the pattern, or -1
 * @throws PatternError
 */
export function firstSuffixMatches(
  patterns: readonly string[],
  names: readonly string[],
  time?: MatchingTime,
): number[] {
  return runPatterns(patterns, '^(?:.*\\.)?(?:', names, time);
}

/** Whether a module's name is one of the targets, or ends with a dot and a target, as PEFT matches `target_modules`. */
export function isTargeted(name: string, targets: ReadonlySet<string>): boolean {
  for (let end = name; ; end = end.slice(end.indexOf('.') + 1)) {
    if (targets.has(end)) return true;
    if (!end.includes('.')) return false;
  }
}

/** Matches patterns without operators, such as plain module names, which need no time limit. */
const PLAIN = /^(?:[\w.]|\\\.)*$/;

function runPatterns(
  patterns: readonly string[],
  prefix: string,
  names: readonly string[],
  time = new MatchingTime(),
): number[] {
  patterns.forEach(checkSyntax);
  const sources = patterns.map((pattern) => `${prefix}${pattern})$`);
  if (!patterns.every((pattern) => PLAIN.test(pattern))) return runGuarded(patterns, sources, names, time);
  const expressions = sources.map((source) => new RegExp(source));
  return names.map((name) => expressions.findIndex((expression) => expression.test(name)));
}

/**
 * JavaScript source of the code that matches regular expressions. The code runs in a separate context, which exchanges
 * only strings with the rest of the program.
 */
const SCRIPT = `
  let at = 0;
  try {
    const names = JSON.parse(input).names;
    const expressions = JSON.parse(input).sources.map((source, i) => {
      at = i;
      return new RegExp(source);
    });
    JSON.stringify({ matches: names.map((name) => expressions.findIndex((expression) => expression.test(name))) });
  } catch (error) {
    JSON.stringify({ at, reason: String(error.message) });
  }`;

function runGuarded(
  patterns: readonly string[],
  sources: readonly string[],
  names: readonly string[],
  time: MatchingTime,
): number[] {
  const input = JSON.stringify({ sources, names });
  const result = time.spend((leftMs) => evaluate(patterns, input, leftMs));
  if ('matches' in result) return result.matches;
  throw new PatternError(patterns[result.at]!, `is not valid: ${result.reason}`);
}

type Evaluation = { matches: number[] } | { at: number; reason: string };

function evaluate(patterns: readonly string[], input: string, timeout: number): Evaluation {
  try {
    return JSON.parse(String(runInNewContext(SCRIPT, { input }, { timeout }))) as Evaluation;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
    const reason = `takes over ${TIME_LIMIT_MS} ms to match, with all others of the file`;
    throw new PatternError(patterns.join(', '), reason);
  }
}

function checkSyntax(pattern: string): void {
  if (pattern.length > MAX_LENGTH) throw new PatternError(pattern, `is longer than ${MAX_LENGTH}`);
  const special = /\\[AZ]|\(\?(?!:|=|!|<=|<!)|\{,|[*+?}]\+/.exec(pattern)?.[0];
  if (special) throw new PatternError(pattern, `uses ${special}, which is not supported`);
}
