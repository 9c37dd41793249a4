import { listBaseModels } from '@readapt/client';
import { client } from '../../../api/client.ts';

/** Query of the base models that the form offers, the newest 200. */
export const modelsQuery = {
  queryKey: ['base-models', 'to-choose'],
  queryFn: ({ signal }: { signal: AbortSignal }) => listBaseModels({ client, query: { limit: 200 }, signal }),
};
