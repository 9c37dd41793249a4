import { useQuery } from '@tanstack/react-query';
import { listTenants } from '@readapt/client';
import { useMemo } from 'react';
import { client } from './client.ts';
import { useViewer } from './viewer.ts';

/** The newest tenants. Lists offer no others to choose from. */
const NEWEST = 200;

export const tenantNamesQuery = {
  queryKey: ['tenants', 'newest'],
  queryFn: ({ signal }: { signal: AbortSignal }) => listTenants({ client, query: { limit: NEWEST }, signal }),
  staleTime: 60_000,
};

/** The names of tenants by their identifiers; null for a tenant, who sees nothing of others. */
export function useTenantNames(): ReadonlyMap<string, string> | null {
  const { isOperator } = useViewer();
  const { data } = useQuery({ ...tenantNamesQuery, enabled: isOperator });
  return useMemo(
    () => (isOperator ? new Map((data?.data ?? []).map(({ id, name }) => [id, name])) : null),
    [isOperator, data],
  );
}
