import { createRoute, lazyRouteComponent } from '@tanstack/react-router';
import { oneOf, textOf } from '../lib/search-params.ts';
import { ADAPTER_SORTS, type AdaptersSearch } from './search.ts';
import {
  prefetchAdapter,
  prefetchAdapters,
  prefetchBaseModelVersion,
  prefetchFleet,
  prefetchWorkers,
} from './prefetch.ts';
import { shellRoute } from './root.tsx';

const adaptersSearch = (search: Record<string, unknown>): AdaptersSearch => ({
  name: textOf(search, 'name'),
  label: textOf(search, 'label'),
  on: textOf(search, 'on'),
  notOn: textOf(search, 'notOn'),
  atRiskOn: textOf(search, 'atRiskOn'),
  sort: oneOf(search, 'sort', ADAPTER_SORTS),
});

const fleetRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/',
  loader: ({ preload }) => preload || prefetchFleet(),
  component: lazyRouteComponent(() => import('../pages/fleet/fleet-page.tsx')),
});

const baseModelVersionRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/base-model-versions/$versionId',
  /** Reads the search parameter `from`, the name of the older base model version that the page compares with. */
  validateSearch: (search): { from?: string } => ({ from: textOf(search, 'from') }),
  loader: ({ preload, params, location }) =>
    preload || prefetchBaseModelVersion(params.versionId, textOf(location.search as Record<string, unknown>, 'from')),
  component: lazyRouteComponent(() => import('../pages/base-model-version/base-model-version-page.tsx')),
});

const adaptersRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/adapters',
  validateSearch: adaptersSearch,
  loader: ({ preload, location }) => preload || prefetchAdapters(adaptersSearch(location.search)),
  component: lazyRouteComponent(() => import('../pages/adapters/adapters-page.tsx')),
});

const adapterRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/adapters/$adapterId',
  loader: ({ preload, params }) => preload || prefetchAdapter(params.adapterId),
  component: lazyRouteComponent(() => import('../pages/adapter/adapter-page.tsx')),
});

const workersRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/workers',
  loader: ({ preload }) => preload || prefetchWorkers(),
  component: lazyRouteComponent(() => import('../pages/workers/workers-page.tsx')),
});

export const catalogRoutes = [fleetRoute, baseModelVersionRoute, adaptersRoute, adapterRoute, workersRoute] as const;
