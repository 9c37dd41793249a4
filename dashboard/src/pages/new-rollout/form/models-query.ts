import { listBaseModels } from '@readapt/client';
import { client } from '../../../api/client.ts';

/** The base models that a form offers, the newest ones. */
export const modelsQuery = {
  queryKey: ['base-models', 'to-choose'],
  queryFn: ({ signal }: { signal: AbortSignal }) => listBaseModels({ client, query: { limit: 200 }, signal }),
};
