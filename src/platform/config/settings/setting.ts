import type { Kind } from './kinds.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * A setting of the service: its variable, its values, and its description for docs/settings.md and the help of
 * commands.
 */
export interface Setting<T = unknown> {
  readonly variable: string;
  readonly kind: Kind<T>;
  /**
   * Text that is parsed if the variable is unset or blank, or a function that computes this text from the other
   * variables. Null instead of a text gives the setting the value null.
   */
  readonly default: string | null | ((env: Environment) => string | null);
  /** Description of what happens if the variable is unset, for settings whose default does not explain itself. */
  readonly unset?: string;
  /** Description of the setting in one sentence, for operators. */
  readonly help: string;
  /** Page of `docs/` with details, and its heading: `security.md#uploads`. */
  readonly page?: string;
  /**
   * Kind of process that reads the setting. Default: both. `readapt serve` also runs a worker, so it accepts all
   * settings.
   */
  readonly readBy?: 'api' | 'worker';
}

export type Settings = Readonly<Record<string, Setting>>;

/** Values of a group of settings, by their names. A setting whose default is null may have the value null. */
export type Values<S extends Settings> = {
  -readonly [K in keyof S]:
    | (S[K] extends Setting<infer T> ? T : never)
    | (null extends DefaultOf<S[K]['default']> ? null : never);
};

type DefaultOf<D> = D extends (env: Environment) => infer R ? R : D;

/**
 * Reads a group of settings. Each setting with an unusable value adds a line to `problems`, and no line repeats a
 * secret. The returned values are complete only if there are no problems.
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

/** Default in words, such as `embedded PostgreSQL`, or the default text as code; null if there is none. */
export function defaultText({ unset, default: standard }: Setting): string | null {
  return unset ?? (typeof standard === 'string' && standard !== '' ? `\`${standard}\`` : null);
}
