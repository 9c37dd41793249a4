import type { AdaptOptions } from './protocol.ts';

export type AdaptationDefaults = Required<AdaptOptions>;

/** What an option that was left out stands for. */
export const ADAPTATION_DEFAULTS: AdaptationDefaults = {
  strategy: 'auto',
  maxSteps: 300,
  batchSize: 16,
  learningRate: 1e-3,
  evaluateEvery: 20,
  searchEvaluations: 12,
  searchRows: 64,
  refineSteps: 0,
  seed: 0,
};

/** The options with defaults for what is absent or undefined. */
export function withDefaults(options: AdaptOptions): AdaptationDefaults {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return { ...ADAPTATION_DEFAULTS, ...Object.fromEntries(given) };
}
