import { createRoute, lazyRouteComponent } from '@tanstack/react-router';
import { oneOf, severalOf, textOf } from '../lib/search-params.ts';
import { prefetchNewRollout, prefetchRollout, prefetchRollouts } from './prefetch.ts';
import { shellRoute } from './root.tsx';
import {
  JOB_SORTS,
  JOB_STATES_READY_FIRST,
  ROLLOUT_STATES,
  type NewRolloutSearch,
  type RolloutSearch,
  type RolloutsSearch,
} from './search.ts';

const rolloutsSearch = (search: Record<string, unknown>): RolloutsSearch => ({
  state: severalOf(search, 'state', ROLLOUT_STATES),
  base_model: textOf(search, 'base_model'),
  sort: oneOf(search, 'sort', ['accepted', '-accepted']),
});

const rolloutSearch = (search: Record<string, unknown>): RolloutSearch => ({
  state: severalOf(search, 'state', JOB_STATES_READY_FIRST),
  kind: oneOf(search, 'kind', ['adaptation', 'control']),
  tenant: textOf(search, 'tenant'),
  sort: oneOf(search, 'sort', JOB_SORTS),
  clock: oneOf(search, 'clock', ['working', 'all']),
});

const rolloutsRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/rollouts',
  validateSearch: rolloutsSearch,
  loader: ({ preload, location }) => preload || prefetchRollouts(rolloutsSearch(location.search)),
  component: lazyRouteComponent(() => import('../pages/rollouts/rollouts-page.tsx')),
});

const newRolloutRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/rollouts/new',
  validateSearch: (search): NewRolloutSearch => ({
    version: textOf(search, 'version'),
    dry_run: textOf(search, 'dry_run'),
  }),
  loader: ({ preload }) => preload || prefetchNewRollout(),
  component: lazyRouteComponent(() => import('../pages/new-rollout/new-rollout-page.tsx')),
});

const rolloutRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/rollouts/$rolloutId',
  validateSearch: rolloutSearch,
  loader: ({ preload, params, location }) =>
    preload || prefetchRollout(params.rolloutId, rolloutSearch(location.search)),
  component: lazyRouteComponent(() => import('../pages/rollout/rollout-page.tsx')),
});

export const rolloutRoutes = [rolloutsRoute, newRolloutRoute, rolloutRoute] as const;
