import { MutationCache, QueryCache, QueryClient } from '@tanstack/react-query';
import { isUnreachable, statusOf } from './problem.ts';
import { endSession } from './session.ts';

function endRefusedSession(error: unknown): void {
  if (statusOf(error) === 401) endSession('refused');
}

export const queryClient = new QueryClient({
  queryCache: new QueryCache({ onError: endRefusedSession }),
  mutationCache: new MutationCache({ onError: endRefusedSession }),
  defaultOptions: {
    // A service on this machine is reached without a network as well, and the client repeats what is worth repeating.
    queries: { networkMode: 'always', staleTime: 1000, retry: false },
    mutations: { networkMode: 'always', retry: false },
  },
});

/** Calls the listener whenever a request is answered, or gets no answer. @returns how to stop it */
export function watchConnection(listener: (reachable: boolean) => void): () => void {
  return queryClient.getQueryCache().subscribe((event) => {
    if (event.type !== 'updated') return;
    const { action } = event;
    if (action.type === 'success') listener(true);
    else if (action.type === 'error') listener(!isUnreachable(action.error));
  });
}
