import { whoami, type Caller } from '@readapt/client';
import { createContext, useContext } from 'react';
import { client } from './client.ts';

/**
 * Query for the owner and the rights of the session's API key. It runs once, because they do not change during a
 * session.
 */
export const viewerQuery = {
  queryKey: ['whoami'],
  queryFn: ({ signal }: { signal: AbortSignal }) => whoami({ client, signal }),
  staleTime: Number.POSITIVE_INFINITY,
};

export interface Viewer {
  /** Whether the key belongs to the operator, who sees all tenants. */
  readonly isOperator: boolean;
  /** Name of the tenant that the key belongs to; null for an operator's key. */
  readonly tenantName: string | null;
  readonly tenantId: string | null;
  /** Whether the key may change rollouts, base models and workers. */
  readonly operates: boolean;
  /** Whether the key may change jobs and adapters: any key, of a tenant or an operator, that is not read-only. */
  readonly writes: boolean;
}

/**
 * Owner and rights of the session's API key, for all pages. The shell provides them, and renders pages only once they
 * are known.
 */
export const ViewerContext = createContext<Viewer | null>(null);

/** Returns the owner and the rights of the session's API key, by which a page decides what to show. */
export function useViewer(): Viewer {
  const viewer = useContext(ViewerContext);
  if (viewer === null) throw new Error('useViewer is called outside of the shell');
  return viewer;
}

export function toViewer(who: Caller): Viewer {
  const { is_operator: isOperator, read_only: readOnly, tenant_id: tenantId, tenant_name: tenantName } = who;
  return { isOperator, tenantId, tenantName, operates: isOperator && !readOnly, writes: !readOnly };
}
