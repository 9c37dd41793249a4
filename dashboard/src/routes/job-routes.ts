import { createRoute, lazyRouteComponent } from '@tanstack/react-router';
import { numberOf, oneOf, severalOf, textOf } from '../lib/search-params.ts';
import { DENSITIES, JOB_KINDS, JOB_SORTS, JOB_STATES, type JobSearch, type JobsSearch } from './search.ts';
import { prefetchJob, prefetchJobs } from './prefetch.ts';
import { shellRoute } from './root.tsx';

const jobsSearch = (search: Record<string, unknown>): JobsSearch => ({
  state: severalOf(search, 'state', JOB_STATES),
  kind: oneOf(search, 'kind', JOB_KINDS),
  tenant: textOf(search, 'tenant'),
  rollout: textOf(search, 'rollout'),
  adapter: textOf(search, 'adapter'),
  sort: oneOf(search, 'sort', JOB_SORTS),
});

const jobsRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/jobs',
  validateSearch: jobsSearch,
  loader: ({ preload, location }) => preload || prefetchJobs(jobsSearch(location.search)),
  component: lazyRouteComponent(() => import('../pages/jobs/jobs-page.tsx')),
});

const jobRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/jobs/$jobId',
  validateSearch: (search): JobSearch => ({
    run: numberOf(search, 'run'),
    events: oneOf(search, 'events', DENSITIES),
  }),
  loader: ({ preload, params }) => preload || prefetchJob(params.jobId),
  component: lazyRouteComponent(() => import('../pages/job/job-page.tsx')),
});

export const jobRoutes = [jobsRoute, jobRoute] as const;
