import { useQuery } from '@tanstack/react-query';
import { listTenants } from '@readapt/client';
import { useMemo } from 'react';
import { client } from './client.ts';
import { useViewer } from './viewer.ts';

/** Number of tenants, newest first, whose names are loaded and offered in filters. */
const NEWEST = 200;

export const tenantNamesQuery = {
  queryKey: ['tenants', 'newest'],
  queryFn: ({ signal }: { signal: AbortSignal }) => listTenants({ client, query: { limit: NEWEST }, signal }),
  staleTime: 60_000,
};

/** Names of tenants by identifier; null for a tenant's key, which cannot see other tenants. */
export function useTenantNames(): ReadonlyMap<string, string> | null {
  const { isOperator } = useViewer();
  const { data } = useQuery({ ...tenantNamesQuery, enabled: isOperator });
  return useMemo(
    () => (isOperator ? new Map((data?.data ?? []).map(({ id, name }) => [id, name])) : null),
    [isOperator, data],
  );
}
