import { Value } from 'typebox/value';
import { QUOTA_VARIABLES, readQuotas, type QuotaLimits } from './quotas.ts';
import { ConfigSchema, SETTINGS, type PlainConfig } from './settings.ts';

export type Config = Readonly<PlainConfig & { /** Default limits of each tenant. */ quotas: QuotaLimits }>;

/** Settings that cannot be used. The message has one line for each and names its variable. */
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

/** The environment variables of all settings. */
export const SETTING_VARIABLES: readonly string[] = [
  ...Object.values(SETTINGS).map(({ variable }) => variable),
  ...QUOTA_VARIABLES,
];

/**
 * Reads the configuration. A blank variable counts as unset.
 *
 * @throws ConfigError that names every unusable variable with the value found and the value expected
 */
export function loadConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const values: Record<string, unknown> = {};
  const problems: string[] = [];
  for (const [name, setting] of Object.entries(SETTINGS)) {
    const text = env[setting.variable]?.trim() ?? '';
    const value = text === '' ? setting.fallback : setting.parse(text);
    values[name] = value;
    const isBadUrl = setting.secretUrl === true && typeof value === 'string' && !URL.canParse(value);
    if (isBadUrl || !Value.Check(ConfigSchema.properties[name as keyof PlainConfig], value)) {
      const isSecret = setting.secretUrl === true || setting.secret === true;
      const found = isSecret ? 'not usable' : JSON.stringify(text);
      problems.push(`${setting.variable} is ${found}, expected ${setting.expected}`);
    }
  }
  const quotas = readQuotas(env, problems);
  if (problems.length > 0) throw new ConfigError(problems);
  const config = Value.Parse(ConfigSchema, values);
  for (const value of Object.values(config)) if (Array.isArray(value)) Object.freeze(value);
  return Object.freeze({ ...config, quotas });
}
