import { DEFAULT_REGULARISATION, type RegularisationOptions } from '../relora/regularisation.ts';
import type { AdaptOptions } from './protocol.ts';

export type AdaptationSettings = Required<AdaptOptions>;

/** What an option that was left out stands for; the learning rates are {@link defaultLearningRate}. */
export const ADAPTATION_DEFAULTS: Omit<AdaptationSettings, 'learningRate' | 'scratchLearningRate'> = {
  strategy: 'auto',
  prefer: 'old_behaviour',
  maxSteps: 300,
  batchSize: 16,
  evaluateEvery: 20,
  searchEvaluations: 12,
  searchRows: 64,
  refineSteps: 0,
  patience: 5,
  regulariseTowards: DEFAULT_REGULARISATION.target,
  regulariseSpace: DEFAULT_REGULARISATION.space,
  regulariseSchedule: DEFAULT_REGULARISATION.schedule,
  regulariseStrength: DEFAULT_REGULARISATION.strong,
  seed: 0,
};

/** Hidden size of the model that the learning rates were measured on. */
const MEASURED_WIDTH = 192;
const MEASURED_RATES = { carried: 5e-4, fresh: 2e-3 };

/**
 * Peak learning rate where none is given. An adapter that was carried over knows its task: a rate that suits training
 * from scratch first undoes that. Wider models want smaller steps: the power passes through what was measured at hidden
 * sizes 192 and 576 (docs/method.md).
 */
export function defaultLearningRate(start: keyof typeof MEASURED_RATES, hiddenSize: number): number {
  return MEASURED_RATES[start] * (MEASURED_WIDTH / hiddenSize) ** 0.85;
}

/** The options with defaults for what is absent or undefined; a control trains from scratch, whatever they say. */
export function resolveOptions(
  options: AdaptOptions,
  { control, hiddenSize }: { readonly control: boolean; readonly hiddenSize: number },
): AdaptationSettings {
  const given: AdaptOptions = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  return {
    learningRate: defaultLearningRate('carried', hiddenSize),
    scratchLearningRate: given.learningRate ?? defaultLearningRate('fresh', hiddenSize),
    ...ADAPTATION_DEFAULTS,
    ...given,
    ...(control ? { strategy: 'scratch' } : {}),
  };
}

export function regularisationOf(settings: AdaptationSettings): RegularisationOptions {
  return {
    ...DEFAULT_REGULARISATION,
    schedule: settings.regulariseSchedule,
    strong: settings.regulariseStrength,
    space: settings.regulariseSpace,
    target: settings.regulariseTowards,
  };
}
