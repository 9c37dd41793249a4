import type { Kind } from './kinds.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** One setting: its variable, its values, and its description in docs/settings.md and in the help of commands. */
export interface Setting<T = unknown> {
  readonly variable: string;
  readonly kind: Kind<T>;
  /** Text that is parsed if the variable is unset or blank, or a function that finds it; null gives the value null. */
  readonly default: string | null | ((env: Environment) => string | null);
  /** Effect of an unset variable, in words, for a default that does not explain itself. */
  readonly unset?: string;
  /** One sentence for operators. */
  readonly help: string;
  /** Page of `docs/` that tells more, with its heading: `security.md#uploads`. */
  readonly page?: string;
  /** Kind of process that uses the setting. Default: both. `readapt serve` runs a worker, too, so it takes all. */
  readonly readBy?: 'api' | 'worker';
}

export type Settings = Readonly<Record<string, Setting>>;

/** Values of a group of settings. A setting without a default may be null. */
export type Values<S extends Settings> = {
  -readonly [K in keyof S]:
    | (S[K] extends Setting<infer T> ? T : never)
    | (null extends DefaultOf<S[K]['default']> ? null : never);
};

type DefaultOf<D> = D extends (env: Environment) => infer R ? R : D;

/**
 * Reads a group of settings. Each one that cannot be used adds a line to `problems`, which repeats no secret. The
 * values are complete only if there is none.
 */
export function readSettings<S extends Settings>(settings: S, env: Environment, problems: string[]): Values<S> {
  const values: Record<string, unknown> = {};
  for (const [name, { variable, kind, default: standard }] of Object.entries(settings)) {
    const given = env[variable]?.trim() ?? '';
    const text = given !== '' ? given : typeof standard === 'function' ? standard(env) : standard;
    const value = text === null ? null : kind.parse(text);
    if (value === undefined) {
      const found = kind.isSecret ? 'not usable' : JSON.stringify(text);
      problems.push(`${variable} is ${found}, expected ${kind.expected}`);
    }
    values[name] = Array.isArray(value) ? Object.freeze(value) : value;
  }
  return values as Values<S>;
}

/** Default in words: `embedded PostgreSQL`, or the text of the variable as code; null where there is none. */
export function defaultText({ unset, default: standard }: Setting): string | null {
  return unset ?? (typeof standard === 'string' && standard !== '' ? `\`${standard}\`` : null);
}
