import { useQuery } from '@tanstack/react-query';
import { whoami, type Whoami } from '@readapt/client';
import { client } from './client.ts';

/** Whose key it is. It does not change while a session lasts. */
export const viewerQuery = {
  queryKey: ['whoami'],
  queryFn: ({ signal }: { signal: AbortSignal }) => whoami({ client, signal }),
  staleTime: Number.POSITIVE_INFINITY,
};

export interface Viewer extends Whoami {
  readonly isOperator: boolean;
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

export function toViewer(who: Whoami): Viewer {
  const isOperator = who.kind === 'operator';
  const operates = isOperator && !who.read_only;
  const ofTenant = who.scopes.some((scope) => scope === 'tenant:write' || scope === 'tenant:admin');
  return { ...who, isOperator, operates, writes: operates || ofTenant };
}
