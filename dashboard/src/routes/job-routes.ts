import { createRoute, lazyRouteComponent } from '@tanstack/react-router';
import { numberOf, oneOf, severalOf, textOf } from '../lib/search-params.ts';
import { DENSITIES, JOB_KINDS, JOB_SORTS, JOB_STATES, type JobSearch, type JobsSearch } from '../lib/job-words.ts';
import { shellRoute } from './root.tsx';

const jobsRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/jobs',
  validateSearch: (search): JobsSearch => ({
    state: severalOf(search, 'state', JOB_STATES),
    kind: oneOf(search, 'kind', JOB_KINDS),
    tenant: textOf(search, 'tenant'),
    rollout: textOf(search, 'rollout'),
    adapter: textOf(search, 'adapter'),
    sort: oneOf(search, 'sort', JOB_SORTS),
  }),
  component: lazyRouteComponent(() => import('../pages/jobs/jobs-page.tsx')),
});

const jobRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/jobs/$jobId',
  validateSearch: (search): JobSearch => ({
    run: numberOf(search, 'run'),
    events: oneOf(search, 'events', DENSITIES),
  }),
  component: lazyRouteComponent(() => import('../pages/job/job-page.tsx')),
});

export const jobRoutes = [jobsRoute, jobRoute] as const;
