import { Code } from '@radix-ui/themes';
import { getTenant } from '@readapt/client';
import { useQuery } from '@tanstack/react-query';
import { client } from '../../api/client.ts';
import { useViewer } from '../../api/viewer.ts';

/** A tenant by its name, which is asked for once. Only rows that are seen ask. */
export function TenantName({ id }: { id: string }) {
  const { tenantId, tenantName } = useViewer();
  const isOwn = id === tenantId;
  const { data } = useQuery({
    queryKey: ['tenants', id],
    queryFn: ({ signal }) => getTenant({ client, path: { id }, signal }),
    staleTime: Number.POSITIVE_INFINITY,
    enabled: !isOwn,
  });
  const name = isOwn ? tenantName : data?.name;
  return name === null || name === undefined ? <Code variant="ghost">{id}</Code> : name;
}
