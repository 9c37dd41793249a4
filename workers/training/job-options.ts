import type { AdaptOptions, Strategy } from './protocol.ts';

export type AdaptationSettings = Required<AdaptOptions>;

/** What an option that was left out stands for; the learning rate is {@link defaultLearningRate}. */
export const ADAPTATION_DEFAULTS: Omit<AdaptationSettings, 'learningRate'> = {
  strategy: 'auto',
  maxSteps: 300,
  batchSize: 16,
  evaluateEvery: 20,
  searchEvaluations: 12,
  searchRows: 64,
  refineSteps: 0,
  regulariseTowards: 'initial',
  seed: 0,
};

/** Hidden size of the model that the learning rates were measured on. */
const MEASURED_WIDTH = 192;

/**
 * Peak learning rate where none is given. An adapter that was carried over knows its task: a rate that suits training
 * from scratch first undoes that. Wider models want smaller steps: the power passes through what was measured at hidden
 * sizes 192 and 576 (docs/method.md).
 */
export function defaultLearningRate(strategy: Strategy, hiddenSize: number): number {
  const measured = strategy === 'scratch' ? 2e-3 : 5e-4;
  return measured * (MEASURED_WIDTH / hiddenSize) ** 0.85;
}

/** The options with defaults for what is absent or undefined; a control trains from scratch, whatever they say. */
export function resolveOptions(
  options: AdaptOptions,
  { control, hiddenSize }: { readonly control: boolean; readonly hiddenSize: number },
): AdaptationSettings {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  const settings = { ...ADAPTATION_DEFAULTS, ...Object.fromEntries(given) } as typeof ADAPTATION_DEFAULTS;
  const strategy = control ? 'scratch' : settings.strategy;
  return { learningRate: defaultLearningRate(strategy, hiddenSize), ...settings, strategy };
}
