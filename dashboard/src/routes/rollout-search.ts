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

export const JOB_STATES = [
  'ready',
  'evaluating',
  'fine_tuning',
  'initializing',
  'preparing',
  'queued',
  'held',
  'paused',
  'not_ready',
  'failed',
  'cancelled',
] as const satisfies readonly Job['state'][];

export const JOB_SORTS = ['created', '-created', 'finished', '-finished', 'ttr', '-ttr'] as const;

export interface RolloutsSearch {
  readonly state?: Rollout['state'][];
  /** Name or identifier of a base model. */
  readonly base_model?: string;
  readonly sort?: 'accepted' | '-accepted';
}

export interface NewRolloutSearch {
  /** Identifier of the base model version that the form begins with. */
  readonly version?: string;
  /** Identifier of the dry run that is shown beside the form. */
  readonly dry_run?: string;
}

export interface RolloutSearch {
  /** Filters and order of the table of jobs. */
  readonly state?: Job['state'][];
  readonly kind?: Job['kind'];
  readonly tenant?: string;
  readonly sort?: (typeof JOB_SORTS)[number];
  /** Whether the chart shows the work alone or all of the time to readiness. */
  readonly clock?: 'working' | 'all';
}
