import { createRouter } from '@tanstack/react-router';
import { PageError } from './parts/feedback/page-error.tsx';
import { catalogRoutes } from './routes/catalog-routes.ts';
import { jobRoutes } from './routes/job-routes.ts';
import { rolloutRoutes } from './routes/rollout-routes.ts';
import { rootRoute, shellRoute, signInRoute } from './routes/root.tsx';

const pages = shellRoute.addChildren([...rolloutRoutes, ...jobRoutes, ...catalogRoutes]);

export const router = createRouter({
  routeTree: rootRoute.addChildren([signInRoute, pages]),
  defaultPreload: 'intent',
  // Loaders only start prefetches. Pages keep their own queries up to date, so loaders need not run again.
  defaultStaleTime: Number.POSITIVE_INFINITY,
  defaultErrorComponent: PageError,
  scrollRestoration: true,
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
