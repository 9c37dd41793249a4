import type { Job, Rollout } from '@readapt/client';
import { createRoute, lazyRouteComponent } from '@tanstack/react-router';
import { oneOf, severalOf, textOf } from '../lib/search-params.ts';
import { shellRoute } from './root.tsx';

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

const JOB_SORTS = ['created', '-created', 'finished', '-finished', 'ttr', '-ttr'] as const;

export interface RolloutsSearch {
  readonly state?: Rollout['state'][];
  /** Name or identifier of a base model. */
  readonly base_model?: string;
  readonly sort?: 'accepted' | '-accepted';
}

const rolloutsRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/rollouts',
  validateSearch: (search): RolloutsSearch => ({
    state: severalOf(search, 'state', ROLLOUT_STATES),
    base_model: textOf(search, 'base_model'),
    sort: oneOf(search, 'sort', ['accepted', '-accepted']),
  }),
  component: lazyRouteComponent(() => import('../pages/rollouts/rollouts-page.tsx')),
});

export interface NewRolloutSearch {
  /** Identifier of the base model version that the form begins with. */
  readonly version?: string;
  /** Identifier of the dry run that is shown beside the form. */
  readonly dry_run?: string;
}

const newRolloutRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/rollouts/new',
  validateSearch: (search): NewRolloutSearch => ({
    version: textOf(search, 'version'),
    dry_run: textOf(search, 'dry_run'),
  }),
  component: lazyRouteComponent(() => import('../pages/new-rollout/new-rollout-page.tsx')),
});

export interface RolloutSearch {
  /** Filters and order of the table of jobs. */
  readonly state?: Job['state'][];
  readonly kind?: Job['kind'];
  readonly tenant?: string;
  readonly sort?: (typeof JOB_SORTS)[number];
  /** Whether the chart shows the work alone or all of the time to readiness. */
  readonly clock?: 'working' | 'all';
}

const rolloutRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/rollouts/$rolloutId',
  validateSearch: (search): RolloutSearch => ({
    state: severalOf(search, 'state', JOB_STATES),
    kind: oneOf(search, 'kind', ['adaptation', 'control']),
    tenant: textOf(search, 'tenant'),
    sort: oneOf(search, 'sort', JOB_SORTS),
    clock: oneOf(search, 'clock', ['working', 'all']),
  }),
  component: lazyRouteComponent(() => import('../pages/rollout/rollout-page.tsx')),
});

export const rolloutRoutes = [rolloutsRoute, newRolloutRoute, rolloutRoute] as const;
