import type { GivenJobOptions, Strategy } from '../../../core/options/job-options.ts';
import type { ExperimentFile, StrategyEntry, TaskConfig } from './experiment.schema.ts';

/** Strategy to compare: the job's options, and the tasks, evolutions and so on for which it is run. */
export interface StrategyConfig extends Omit<StrategyEntry, 'strategy' | 'options'> {
  readonly options: GivenJobOptions & { readonly strategy: Strategy };
}

/** Checked experiment with absolute paths. Each strategy has all of its options. */
export interface Experiment extends Omit<ExperimentFile, 'strategies' | 'options' | 'tasks'> {
  readonly tasks: readonly TaskConfig[];
  readonly strategies: readonly StrategyConfig[];
}
