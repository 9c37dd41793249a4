import { useQuery } from '@tanstack/react-query';
import { whoami, type Caller } from '@readapt/client';
import { client } from './client.ts';

/** Whose key it is. It does not change while a session lasts. */
export const viewerQuery = {
  queryKey: ['whoami'],
  queryFn: ({ signal }: { signal: AbortSignal }) => whoami({ client, signal }),
  staleTime: Number.POSITIVE_INFINITY,
};

export interface Viewer {
  /** Whether it is a key of the operator, who sees all tenants. */
  readonly isOperator: boolean;
  /** The tenant, for people; null for an operator. */
  readonly tenantName: string | null;
  readonly tenantId: string | null;
  /** Whether the key may write what an operator writes: rollouts, base models, workers. */
  readonly operates: boolean;
  /** Whether the key may change what belongs to its tenant, such as adapters and jobs. An operator may as well. */
  readonly writes: boolean;
}

/** Who looks at the page. It is known wherever the shell shows a page. */
export function useViewer(): Viewer {
  const { data } = useQuery(viewerQuery);
  if (data === undefined) throw new Error('a page is shown only once it is known whose key it has');
  return toViewer(data);
}

export function toViewer(who: Caller): Viewer {
  const { is_operator: isOperator, read_only: readOnly, tenant_id: tenantId, tenant_name: tenantName } = who;
  return { isOperator, tenantId, tenantName, operates: isOperator && !readOnly, writes: !readOnly };
}
