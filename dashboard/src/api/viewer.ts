import { whoami, type Caller } from '@readapt/client';
import { createContext, useContext } from 'react';
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

/** The shell provides it to the pages, which it shows only once it is known. */
export const ViewerContext = createContext<Viewer | null>(null);

/** Who looks at the page. */
export function useViewer(): Viewer {
  const viewer = useContext(ViewerContext);
  if (viewer === null) throw new Error('useViewer is called outside of the shell');
  return viewer;
}

export function toViewer(who: Caller): Viewer {
  const { is_operator: isOperator, read_only: readOnly, tenant_id: tenantId, tenant_name: tenantName } = who;
  return { isOperator, tenantId, tenantName, operates: isOperator && !readOnly, writes: !readOnly };
}
