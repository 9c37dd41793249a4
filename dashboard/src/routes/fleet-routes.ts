import { createRoute, lazyRouteComponent } from '@tanstack/react-router';
import { readFleet } from './read-ahead.ts';
import { shellRoute } from './root.tsx';

const fleetRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/',
  loader: ({ preload }) => preload || readFleet(),
  component: lazyRouteComponent(() => import('../pages/fleet/fleet-page.tsx')),
});

export const fleetRoutes = [fleetRoute] as const;
