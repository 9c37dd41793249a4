import type { Job } from '@readapt/client';

/** What the addresses of jobs may say. */
export const JOB_STATES = [
  ...(['queued', 'held', 'paused', 'preparing', 'initializing', 'fine_tuning', 'evaluating'] as const),
  ...(['ready', 'not_ready', 'failed', 'cancelled'] as const),
] as const satisfies readonly Job['state'][];

export const JOB_KINDS = ['adaptation', 'control'] as const satisfies readonly Job['kind'][];

/** The orders of the API. Those by the end and by the time to readiness need a rollout. */
export const JOB_SORTS = ['created', '-created', 'finished', '-finished', 'ttr', '-ttr'] as const;

/** How much of each event a page shows. */
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
  /** Which run of the ladder is shown, from 1; the last one by default. */
  readonly run?: number;
  readonly events?: (typeof DENSITIES)[number];
}
