import { Box, Container, Flex, Spinner, TabNav, Text } from '@radix-ui/themes';
import { useQuery } from '@tanstack/react-query';
import { Link, Outlet, useLocation } from '@tanstack/react-router';
import { useEffect, useMemo, useRef } from 'react';
import { useSession } from '../../api/session.ts';
import { toViewer, ViewerContext, viewerQuery, type Viewer } from '../../api/viewer.ts';
import { ProblemCallout } from '../feedback/problem-callout.tsx';
import { ConnectionNotice } from '../feedback/connection-notice.tsx';
import { Logo } from './logo.tsx';
import { SettingsMenu } from './settings-menu.tsx';

interface Entry {
  readonly to: '/' | '/rollouts' | '/jobs' | '/adapters' | '/workers';
  readonly label: string;
  /** Further beginnings of paths for which the menu entry is marked as active. */
  readonly also?: readonly string[];
  readonly operatorOnly?: boolean;
}

const ENTRIES: readonly Entry[] = [
  { to: '/', label: 'Fleet', also: ['/base-model-versions'] },
  { to: '/rollouts', label: 'Rollouts' },
  { to: '/jobs', label: 'Jobs' },
  { to: '/adapters', label: 'Adapters' },
  { to: '/workers', label: 'Workers', operatorOnly: true },
];

/**
 * Frame of every page except sign-in. It unmounts all pages when the session ends, so that their queries stop
 * immediately.
 */
export function Shell() {
  return useSession().key === null ? null : <ShellOfSession />;
}

function ShellOfSession() {
  const content = useFocusOnNewPage();
  const who = useQuery(viewerQuery);
  const viewer = useMemo(() => (who.data === undefined ? null : toViewer(who.data)), [who.data]);
  return (
    <>
      <a href="#content" className="skip-link">
        Skip to the content
      </a>
      <header className="shell-header">
        <Container size="4" px="4">
          <Flex align="center" justify="between" gap="3" pt="3">
            <Flex align="center" gap="3" minWidth="0">
              <Logo />
              {viewer !== null && <KeyOwner viewer={viewer} />}
            </Flex>
            <SettingsMenu />
          </Flex>
          {viewer !== null && <Navigation viewer={viewer} />}
        </Container>
      </header>
      <ConnectionNotice />
      <Container size="4" px="4" py="5" asChild>
        <main id="content" tabIndex={-1} ref={content}>
          {viewer !== null && (
            <ViewerContext value={viewer}>
              <Outlet />
            </ViewerContext>
          )}
          {viewer === null && who.error !== null && <ProblemCallout error={who.error} retry={() => who.refetch()} />}
          {viewer === null && who.isPending && <Spinner aria-label="Asking whose key it is" />}
        </main>
      </Container>
    </>
  );
}

/** Moves the focus to the content when the path changes, so that keyboard and screen readers continue there. */
function useFocusOnNewPage() {
  const { pathname } = useLocation();
  const content = useRef<HTMLElement>(null);
  const shown = useRef(pathname);
  useEffect(() => {
    if (shown.current === pathname) return;
    shown.current = pathname;
    content.current?.focus({ preventScroll: true });
  }, [pathname]);
  return content;
}

function KeyOwner({ viewer }: { viewer: Viewer }) {
  const owner = viewer.isOperator ? 'Operator' : (viewer.tenantName ?? viewer.tenantId);
  return (
    <Text size="2" color="gray" truncate>
      {owner}
      {!viewer.writes && ', read only'}
    </Text>
  );
}

function Navigation({ viewer }: { viewer: Viewer }) {
  const { pathname } = useLocation();
  const isUnder = (place: string) => (place === '/' ? pathname === '/' : `${pathname}/`.startsWith(`${place}/`));
  return (
    <Box mt="1">
      <TabNav.Root aria-label="Views">
        {ENTRIES.filter((entry) => viewer.isOperator || entry.operatorOnly !== true).map(({ to, label, also = [] }) => (
          <TabNav.Link key={to} asChild active={[to, ...also].some(isUnder)}>
            <Link to={to}>{label}</Link>
          </TabNav.Link>
        ))}
      </TabNav.Root>
    </Box>
  );
}
