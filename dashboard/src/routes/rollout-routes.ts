import { createRoute, lazyRouteComponent } from '@tanstack/react-router';
import { shellRoute } from './root.tsx';

const rolloutsRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/rollouts',
  component: lazyRouteComponent(() => import('../pages/rollouts/rollouts-page.tsx')),
});

const newRolloutRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/rollouts/new',
  component: lazyRouteComponent(() => import('../pages/new-rollout/new-rollout-page.tsx')),
});

const rolloutRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/rollouts/$rolloutId',
  component: lazyRouteComponent(() => import('../pages/rollout/rollout-page.tsx')),
});

export const rolloutRoutes = [rolloutsRoute, newRolloutRoute, rolloutRoute] as const;
