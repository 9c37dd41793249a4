import type { AdaptationOptions } from '../method/ladder/adaptation.ts';
import { boundsMoving } from '../method/fusion/coefficients.ts';
import { AdaptationError } from '../method/errors.ts';
import { DEFAULT_REGULARIZATION, type RegularizationOptions } from '../method/regularization/regularization.ts';
import { GROUPINGS, MOVED_COEFFICIENTS, type AdaptOptions } from '../../workers/training/protocol.ts';

export type AdaptationSettings = Required<AdaptOptions>;

/** What an option that was left out stands for; the learning rates are {@link defaultLearningRate}. */
export const ADAPTATION_DEFAULTS: Omit<AdaptationSettings, 'learningRate' | 'scratchLearningRate'> = {
  strategy: 'auto',
  prefer: 'old_behavior',
  maxSteps: 300,
  batchSize: 16,
  evaluateEvery: 20,
  searchEvaluations: 6,
  searchRows: 64,
  coefficients: 'both',
  grouping: 'global',
  fusionRank: 0,
  fusionEnergy: 1,
  refineSteps: 0,
  patience: 5,
  regularizeTowards: DEFAULT_REGULARIZATION.towards,
  regularizeSpace: DEFAULT_REGULARIZATION.space,
  regularizeSchedule: DEFAULT_REGULARIZATION.schedule,
  regularizeStrength: DEFAULT_REGULARIZATION.strong,
  seed: 0,
};

/** Of `relora-paper`, in place of the default: a search that knows nothing beforehand and races nothing. */
const PAPER_EVALUATIONS = 12;

/** Hidden size of the model that the learning rates were measured on. */
const MEASURED_WIDTH = 192;
const MEASURED_RATES = { carried: 5e-4, fresh: 2e-3 };

/**
 * Peak learning rate where none is given. An adapter that was carried over knows its task: a rate that suits training
 * from scratch first undoes that. Wider models want smaller steps: the power passes through what was measured at hidden
 * sizes 192 and 576 (docs/method/regularization.md).
 */
export function defaultLearningRate(start: keyof typeof MEASURED_RATES, hiddenSize: number): number {
  return MEASURED_RATES[start] * (MEASURED_WIDTH / hiddenSize) ** 0.85;
}

interface Legal {
  readonly expected: string;
  accepts(value: unknown): boolean;
}

const LEGAL: Readonly<Partial<Record<keyof AdaptOptions, Legal>>> = {
  coefficients: oneOf(MOVED_COEFFICIENTS),
  grouping: oneOf(GROUPINGS),
  fusionRank: {
    expected: '0 or a positive integer',
    accepts: (value) => Number.isSafeInteger(value) && (value as number) >= 0,
  },
  fusionEnergy: {
    expected: 'a number above 0, at most 1',
    accepts: (value) => typeof value === 'number' && value > 0 && value <= 1,
  },
};

function oneOf(values: readonly unknown[]): Legal {
  return { expected: values.join(', '), accepts: (value) => values.includes(value) };
}

/** What is wrong with an option's value (`is …, expected …`), or null; of options that are checked nowhere else. */
export function optionProblem(name: string, value: unknown): string | null {
  const legal = LEGAL[name as keyof AdaptOptions];
  return !legal || legal.accepts(value) ? null : `is ${JSON.stringify(value)}, expected ${legal.expected}`;
}

/**
 * The options with defaults for what is absent or undefined; a control trains from scratch, whatever they say.
 * @throws AdaptationError `invalid_option` naming option, value and expectation
 */
export function resolveOptions(
  options: AdaptOptions,
  { control, hiddenSize }: { readonly control: boolean; readonly hiddenSize: number },
): AdaptationSettings {
  const given: AdaptOptions = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  for (const [name, value] of Object.entries(given)) {
    const problem = optionProblem(name, value);
    if (problem !== null) throw new AdaptationError('invalid_option', `option ${name} ${problem}`);
  }
  return {
    learningRate: defaultLearningRate('carried', hiddenSize),
    scratchLearningRate: given.learningRate ?? defaultLearningRate('fresh', hiddenSize),
    ...ADAPTATION_DEFAULTS,
    ...(given.strategy === 'relora-paper' && { searchEvaluations: PAPER_EVALUATIONS }),
    ...given,
    ...(control ? { strategy: 'scratch' } : {}),
  };
}

export function regularizationOf(settings: AdaptationSettings): RegularizationOptions {
  return {
    ...DEFAULT_REGULARIZATION,
    schedule: settings.regularizeSchedule,
    strong: settings.regularizeStrength,
    space: settings.regularizeSpace,
    towards: settings.regularizeTowards,
  };
}

/** What the rungs that fuse are to do. */
export function fusionOf(settings: AdaptationSettings): Pick<AdaptationOptions, 'search' | 'grouping' | 'fusion'> {
  const { searchEvaluations, batchSize, coefficients, grouping, fusionRank: cap, fusionEnergy: energy } = settings;
  return {
    search: { evaluations: searchEvaluations, batchSize, ...boundsMoving(coefficients) },
    grouping,
    fusion: { rank: cap === 0 ? 'keep' : { cap, energy } },
  };
}
