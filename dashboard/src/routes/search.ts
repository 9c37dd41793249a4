/** Search parameters of the dashboard's addresses: the values that are allowed, and the types per page. */
import type { Job, Rollout } from '@readapt/client';

export const ROLLOUT_STATES = [
  'planning',
  'analyzing',
  'adapting',
  'paused',
  'completed',
  'failed',
  'cancelled',
] as const satisfies readonly Rollout['state'][];

export interface RolloutsSearch {
  readonly state?: Rollout['state'][];
  /** Name or identifier of a base model. */
  readonly base_model?: string;
  readonly sort?: 'accepted' | '-accepted';
}

export interface NewRolloutSearch {
  /** Identifier of the base model version that is chosen when the form opens. */
  readonly version?: string;
  /** Identifier of the dry run that is shown beside the form. */
  readonly dry_run?: string;
}

/**
 * Search parameters of a rollout's page: filters and order of its table of jobs, and the clock of its readiness chart.
 */
export interface RolloutSearch {
  readonly state?: Job['state'][];
  readonly kind?: Job['kind'];
  readonly tenant?: string;
  readonly sort?: (typeof JOB_SORTS)[number];
  /** Time on workers only (`working`), or the whole time to readiness (`all`). */
  readonly clock?: 'working' | 'all';
}

/** Job states in the order in which a job passes through them. */
export const JOB_STATES = [
  ...(['queued', 'held', 'paused', 'preparing', 'initializing', 'fine_tuning', 'evaluating'] as const),
  ...(['ready', 'not_ready', 'failed', 'cancelled'] as const),
] as const satisfies readonly Job['state'][];

/** Job states in the order of the state bar, ready jobs first. */
export const JOB_STATES_READY_FIRST = [
  ...(['ready', 'evaluating', 'fine_tuning', 'initializing', 'preparing'] as const),
  ...(['queued', 'held', 'paused', 'not_ready', 'failed', 'cancelled'] as const),
] as const satisfies readonly Job['state'][];

export const JOB_KINDS = ['adaptation', 'control'] as const satisfies readonly Job['kind'][];

/**
 * Sort orders of the API. Sorted by `finished`, a list has only jobs that have ended; sorted by `ttr`, only jobs with a
 * time to readiness.
 */
export const JOB_SORTS = ['created', '-created', 'finished', '-finished', 'ttr', '-ttr'] as const;

/** Strategies that a person can choose when jobs are retried. */
export const STRATEGIES = ['auto', 'reuse', 'revert', 'relora', 'relora-paper', 'warm-start', 'scratch'] as const;

/** Levels of detail of the events on a job's page. */
export const DENSITIES = ['changes', 'all', 'json'] as const;

export interface JobsSearch {
  readonly state?: Job['state'][];
  readonly kind?: Job['kind'];
  readonly tenant?: string;
  readonly rollout?: string;
  readonly adapter?: string;
  readonly sort?: (typeof JOB_SORTS)[number];
}

export interface JobSearch {
  /** Number of the run of the job's ladder to show, from 1 (default: the last run). Each retry starts another run. */
  readonly run?: number;
  readonly events?: (typeof DENSITIES)[number];
}

export const ADAPTER_SORTS = ['name', '-name', 'created', '-created'] as const;

/** Search parameters of the list of adapters. `on`, `notOn` and `atRiskOn` are identifiers of base model versions. */
export interface AdaptersSearch {
  readonly name?: string;
  readonly label?: string;
  readonly on?: string;
  readonly notOn?: string;
  readonly atRiskOn?: string;
  readonly sort?: (typeof ADAPTER_SORTS)[number];
}
