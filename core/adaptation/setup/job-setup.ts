import { TaskDataError, type TaskData, type TaskRows } from '../../data/task-data.ts';
import type { RowBudget } from '../../data/row-budget.ts';
import type { TokenizeOptions } from '../../data/tokenize.ts';
import type { LadderOptions } from '../../method/ladder/ladder-state.ts';
import { DEFAULT_REGULARIZATION } from '../../method/regularization/regularization.ts';
import type { JobSettings } from '../../options/job-settings.ts';
import { isGenerated } from '../../options/metrics.ts';
import type { JobSpec } from '../job-spec.ts';
import { longestSizes, type RowSizes } from './memory-plan.ts';

/** Whether a job with these settings may train, provided that there are training rows. */
export function isTrained({ strategy, maxSteps }: Pick<JobSettings, 'strategy' | 'maxSteps'>): boolean {
  return maxSteps > 0 && strategy !== 'reuse' && strategy !== 'revert';
}

/**
 * Returns the sizes of rows for whose gradients the job needs memory: those of the measured rows and of the longest
 * training rows. There are none for strategies that never train.
 */
export function trainedSizes(
  { training }: TaskRows,
  { strategy }: JobSettings,
  { format, measured }: { readonly format: TokenizeOptions; readonly measured: readonly RowSizes[] },
): RowSizes[] {
  if (strategy === 'reuse' || strategy === 'revert') return [];
  return [...measured, ...longestSizes(training, format)];
}

/** Returns the largest number of tokens that one measurement of an adapter may take; undefined if the job sets none. */
export function rowBudget(
  { measuredTokens, metric }: Pick<JobSpec, 'measuredTokens' | 'metric'>,
  maxNewTokens: number,
): RowBudget | undefined {
  if (measuredTokens === undefined) return undefined;
  return { tokens: measuredTokens, generated: isGenerated(metric) ? maxNewTokens : undefined };
}

/**
 * Checks that a task's rows suit its metric and the job's strategy.
 * @throws TaskDataError if they do not
 */
export function requireSuitable(
  { choices, canTrain }: TaskData,
  { metric }: Pick<JobSpec, 'metric'>,
  { strategy }: JobSettings,
): void {
  if (metric === 'accuracy' && !choices) {
    throw new TaskDataError('metric accuracy needs a task with 2 to 20 distinct completions; this one has others');
  }
  if (strategy === 'scratch' && !canTrain) {
    throw new TaskDataError('strategy scratch needs training rows; the task shares none');
  }
}

/** Converts a job's settings to options of the ladder. */
export function ladderOptions(settings: JobSettings): Omit<LadderOptions, 'gate' | 'old'> {
  const { maxSteps, evaluateEvery, refineSteps, patience, leastPower, prefer, fusionRank } = settings;
  return {
    steps: maxSteps,
    evaluateEvery,
    refineSteps,
    patience,
    leastPower,
    prefer,
    search: { evaluations: settings.searchEvaluations },
    fusion: { maxRank: fusionRank === 0 ? undefined : fusionRank },
    regularization: {
      ...DEFAULT_REGULARIZATION,
      schedule: settings.regularizeSchedule,
      strong: settings.regularizeStrength,
      towards: settings.regularizeTowards,
    },
  };
}
