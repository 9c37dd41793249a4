import type { GivenJobOptions, Strategy } from '../../../core/options/job-options.ts';
import type { ExperimentFile, StrategyEntry, TaskConfig } from './experiment.schema.ts';

/** One way to adapt: the job's options, and where it is run. */
export interface StrategyConfig extends Omit<StrategyEntry, 'strategy' | 'options'> {
  readonly options: GivenJobOptions & { readonly strategy: Strategy };
}

/** A checked experiment. Its paths are absolute, and each strategy has all of its options. */
export interface Experiment extends Omit<ExperimentFile, 'strategies' | 'options' | 'tasks'> {
  readonly tasks: readonly TaskConfig[];
  readonly strategies: readonly StrategyConfig[];
}
