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
    // A local service is reachable without a network, so `navigator.onLine` must not block requests. The API client
    // retries by itself.
    queries: { networkMode: 'always', staleTime: 1000, retry: false },
    mutations: { networkMode: 'always', retry: false },
  },
});

/**
 * Calls the listener after every query and tells it whether the service answered.
 * @returns a function that unsubscribes
 */
export function watchConnection(listener: (reachable: boolean) => void): () => void {
  return queryClient.getQueryCache().subscribe((event) => {
    if (event.type !== 'updated') return;
    const { action } = event;
    if (action.type === 'success') listener(true);
    else if (action.type === 'error') listener(!isUnreachable(action.error));
  });
}
