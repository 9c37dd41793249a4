import { listWorkers, type Worker } from '@readapt/client';
import { client } from '../../api/client.ts';
import type { EndlessList } from '../../api/use-endless.ts';

export const ALL_WORKERS: EndlessList<Worker> = {
  queryKey: ['workers'],
  read: ({ cursor, limit, signal }) => listWorkers({ client, query: { cursor, limit }, signal }),
  rowId: ({ id }) => id,
  every: 3000,
};
