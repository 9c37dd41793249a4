import { createRoute, lazyRouteComponent } from '@tanstack/react-router';
import { shellRoute } from './root.tsx';

const baseModelVersionRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/base-model-versions/$versionId',
  component: lazyRouteComponent(() => import('../pages/base-model-version/base-model-version-page.tsx')),
});

const adaptersRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/adapters',
  component: lazyRouteComponent(() => import('../pages/adapters/adapters-page.tsx')),
});

const adapterRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/adapters/$adapterId',
  component: lazyRouteComponent(() => import('../pages/adapter/adapter-page.tsx')),
});

const workersRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/workers',
  component: lazyRouteComponent(() => import('../pages/workers/workers-page.tsx')),
});

export const catalogRoutes = [baseModelVersionRoute, adaptersRoute, adapterRoute, workersRoute] as const;
