import { runInNewContext } from 'node:vm';

/** A regular expression of a foreign file that cannot be used; `pattern` is the text at fault. */
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
 * Which of `names` a Python regular expression matches as a whole (`re.fullmatch`). Patterns come from tenants' files:
 * matching runs under a time limit, and syntax that JavaScript reads otherwise than Python is refused.
 * @throws PatternError
 */
export function fullMatches(pattern: string, names: readonly string[]): boolean[] {
  return runPattern(`^(?:${pattern})$`, pattern, names);
}

/**
 * Which of `names` a key of PEFT's `rank_pattern` or `alpha_pattern` matches: as a regular expression, at the end of
 * the name, after a dot or the start (`get_pattern_key` of PEFT).
 * @throws PatternError
 */
export function suffixMatches(pattern: string, names: readonly string[]): boolean[] {
  return runPattern(`^(?:.*\\.)?(?:${pattern})$`, pattern, names);
}

/** Whether a module's name is one of the targets or ends with one after a dot, as PEFT matches `target_modules`. */
export function isTargeted(name: string, targets: readonly string[]): boolean {
  return targets.some((target) => name === target || name.endsWith(`.${target}`));
}

function runPattern(source: string, pattern: string, names: readonly string[]): boolean[] {
  checkSyntax(pattern);
  // The usual keys are plain names, for which nothing needs to be guarded.
  if (/^(?:[\w.]|\\\.)*$/.test(pattern)) {
    const expression = new RegExp(source);
    return names.map((name) => expression.test(name));
  }
  try {
    const matches: unknown = runInNewContext(
      'const expression = new RegExp(source); names.split(" ").map((name) => expression.test(name)).join()',
      { source, names: names.join(' ') },
      { timeout: TIME_LIMIT_MS },
    );
    return names.length === 0 ? [] : String(matches).split(',').map((match) => match === 'true');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const timedOut = code === 'ERR_SCRIPT_EXECUTION_TIMEOUT';
    throw new PatternError(pattern, timedOut ? `takes over ${TIME_LIMIT_MS} ms` : `is not valid: ${message}`);
  }
}

function checkSyntax(pattern: string): void {
  if (pattern.length > MAX_LENGTH) throw new PatternError(pattern.slice(0, 80), `is longer than ${MAX_LENGTH}`);
  const special = /\\[AZ]|\(\?(?!:|=|!|<=|<!)|\{,|[*+?}]\+/.exec(pattern)?.[0];
  if (special) throw new PatternError(pattern, `uses ${special}, which is not supported`);
}
