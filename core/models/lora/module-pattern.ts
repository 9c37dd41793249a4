import { runInNewContext } from 'node:vm';

/** Thrown for a regular expression of somebody else's file that cannot be used; `pattern` is its text. */
export class PatternError extends Error {
  readonly pattern: string;

  constructor(pattern: string, reason: string) {
    super(`regular expression ${JSON.stringify(pattern)} ${reason}`);
    this.name = 'PatternError';
    this.pattern = pattern;
  }
}

const MAX_LENGTH = 2000;
const TIME_LIMIT_MS = 1000;

/**
 * Says which of `names` a Python regular expression matches as a whole (`re.fullmatch`). Patterns come from tenants' files,
 * so matching runs under a time limit, and syntax that JavaScript reads otherwise than Python is refused.
 * @throws PatternError
 */
export function fullMatches(pattern: string, names: readonly string[]): boolean[] {
  return runPatterns([pattern], '^(?:', names).flat();
}

/**
 * Says which of `names` the keys of PEFT's `rank_pattern` or `alpha_pattern` match. A key is a regular expression for the
 * end of a name, after a dot, or for the whole name (PEFT's `get_pattern_key`).
 * @returns for each pattern, whether it matches each name
 * @throws PatternError
 */
export function suffixMatches(patterns: readonly string[], names: readonly string[]): boolean[][] {
  return runPatterns(patterns, '^(?:.*\\.)?(?:', names);
}

/** Whether a module's name is one of the targets or ends with one after a dot, as PEFT matches `target_modules`. */
export function isTargeted(name: string, targets: readonly string[]): boolean {
  return targets.some((target) => name === target || name.endsWith(`.${target}`));
}

/** Matches plain names, the usual keys, which need no time limit. */
const PLAIN = /^(?:[\w.]|\\\.)*$/;

function runPatterns(patterns: readonly string[], prefix: string, names: readonly string[]): boolean[][] {
  patterns.forEach(checkSyntax);
  const sources = patterns.map((pattern) => `${prefix}${pattern})$`);
  if (!patterns.every((pattern) => PLAIN.test(pattern))) return runGuarded(patterns, sources, names);
  return sources.map((source) => {
    const expression = new RegExp(source);
    return names.map((name) => expression.test(name));
  });
}

/** Runs in the guarded context, which takes and returns strings only. */
const SCRIPT = `
  let at = 0;
  try {
    const names = JSON.parse(input).names;
    const matches = JSON.parse(input).sources.map((source, i) => {
      at = i;
      const expression = new RegExp(source);
      return names.map((name) => expression.test(name));
    });
    JSON.stringify({ matches });
  } catch (error) {
    JSON.stringify({ at, reason: String(error.message) });
  }`;

function runGuarded(patterns: readonly string[], sources: readonly string[], names: readonly string[]): boolean[][] {
  const result = evaluate(patterns, JSON.stringify({ sources, names }));
  if ('matches' in result) return result.matches;
  throw new PatternError(patterns[result.at]!, `is not valid: ${result.reason}`);
}

type Evaluation = { matches: boolean[][] } | { at: number; reason: string };

function evaluate(patterns: readonly string[], input: string): Evaluation {
  try {
    return JSON.parse(String(runInNewContext(SCRIPT, { input }, { timeout: TIME_LIMIT_MS }))) as Evaluation;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
    throw new PatternError(patterns.join(', ').slice(0, 200), `takes over ${TIME_LIMIT_MS} ms to match`);
  }
}

function checkSyntax(pattern: string): void {
  if (pattern.length > MAX_LENGTH) throw new PatternError(pattern.slice(0, 80), `is longer than ${MAX_LENGTH}`);
  const special = /\\[AZ]|\(\?(?!:|=|!|<=|<!)|\{,|[*+?}]\+/.exec(pattern)?.[0];
  if (special) throw new PatternError(pattern, `uses ${special}, which is not supported`);
}
