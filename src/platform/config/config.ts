import type { QuotaLimits } from './quotas.ts';
import { SETTINGS } from './settings.ts';
import { QUOTAS } from './settings/limits.ts';
import { readSettings, type Environment, type Settings, type Values } from './settings/setting.ts';

export type Config = Readonly<Values<typeof SETTINGS> & { /** Default limits of each tenant. */ quotas: QuotaLimits }>;

/** Error of settings that cannot be used. The message has one line for each of them, which names its variable. */
export class ConfigError extends Error {
  readonly badInput = true;
  readonly code = 'invalid_config';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/**
 * Reads the configuration. A blank variable counts as unset.
 *
 * @throws ConfigError that names every unusable variable with the value found and the value expected
 */
export function loadConfig(env: Environment): Config {
  const problems: string[] = [];
  const values = readSettings(SETTINGS, env, problems);
  const quotas = Object.freeze(readSettings(QUOTAS, env, problems));
  if (problems.length > 0) throw new ConfigError(problems);
  return Object.freeze({ ...values, quotas });
}

/**
 * Reads a group of settings, for a command that needs no others.
 *
 * @throws ConfigError
 */
export function loadSettings<S extends Settings>(settings: S, env: Environment): Values<S> {
  const problems: string[] = [];
  const values = readSettings(settings, env, problems);
  if (problems.length > 0) throw new ConfigError(problems);
  return values;
}
