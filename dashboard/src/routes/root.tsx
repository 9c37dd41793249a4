import { createRootRoute, createRoute, lazyRouteComponent, Outlet, redirect } from '@tanstack/react-router';
import { queryClient } from '../api/query-client.ts';
import { currentSession } from '../api/session.ts';
import { viewerQuery } from '../api/viewer.ts';
import { oneOf, textOf } from '../lib/search-params.ts';
import { NotFound } from '../parts/feedback/page-error.tsx';
import { Shell } from '../parts/shell/shell.tsx';

export const rootRoute = createRootRoute({
  component: Outlet,
  validateSearch: (search): { as?: 'json' } => ({ as: oneOf(search, 'as', ['json']) }),
  notFoundComponent: NotFound,
});

/** Stands around all pages that need a key, and sends those who have none to the page that asks for it. */
export const shellRoute = createRoute({
  getParentRoute: () => rootRoute,
  id: 'shell',
  component: Shell,
  beforeLoad: ({ location }) => {
    if (currentSession().key !== null) return;
    const next = location.href === '/' ? undefined : location.href;
    throw redirect({ to: '/sign-in', search: { next } });
  },
  loader: () => void queryClient.prefetchQuery(viewerQuery),
});

export const signInRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/sign-in',
  validateSearch: (search): { next?: string } => ({ next: ownPath(textOf(search, 'next')) }),
  component: lazyRouteComponent(() => import('../pages/sign-in/sign-in-page.tsx')),
});

/** A path of this dashboard. Nobody is sent to another site by a link to the page for signing in. */
function ownPath(path: string | undefined): string | undefined {
  if (path === undefined || !path.startsWith('/')) return undefined;
  const url = new URL(path, location.origin);
  return url.origin === location.origin ? url.pathname + url.search : undefined;
}
