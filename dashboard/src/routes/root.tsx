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

/** Parent of all pages that need a key. It redirects to the sign-in page if there is none. */
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

/** Path of this dashboard; undefined for anything else, so that a sign-in link cannot redirect to another site. */
function ownPath(path: string | undefined): string | undefined {
  if (path === undefined || !path.startsWith('/')) return undefined;
  const url = new URL(path, location.origin);
  return url.origin === location.origin ? url.pathname + url.search : undefined;
}
