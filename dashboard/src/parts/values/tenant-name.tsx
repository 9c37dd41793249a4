import { Code } from '@radix-ui/themes';
import { getTenant } from '@readapt/client';
import { useQuery } from '@tanstack/react-query';
import { client } from '../../api/client.ts';
import { useTenantNames } from '../../api/tenant-names.ts';
import { useViewer } from '../../api/viewer.ts';

/**
 * Name of a tenant. A tenant that is not among the newest ones is queried by itself, once, when its row is rendered.
 */
export function TenantName({ id }: { id: string }) {
  const { tenantId, tenantName } = useViewer();
  const names = useTenantNames();
  const { data } = useQuery({
    queryKey: ['tenants', id],
    queryFn: ({ signal }) => getTenant({ client, path: { id }, signal }),
    staleTime: Number.POSITIVE_INFINITY,
    enabled: names !== null && names.size > 0 && !names.has(id),
  });
  const name = id === tenantId ? tenantName : (names?.get(id) ?? data?.name);
  return name === null || name === undefined ? <Code variant="ghost">{id}</Code> : <span title={id}>{name}</span>;
}
