import { getAdapter, getDataset, listAdapterVersions, type Adapter, type AdapterVersion } from '@readapt/client';
import { client } from '../../api/client.ts';
import { polled } from '../../api/polling.ts';
import type { EndlessList } from '../../api/use-endless.ts';

export const adapterQuery = (id: string) => ({
  queryKey: ['adapters', id],
  queryFn: ({ signal }: { signal: AbortSignal }) => getAdapter({ client, path: { id }, signal }),
  ...polled<Adapter>({ every: 5000 }),
});

/** Query of a dataset, which runs once because datasets do not change. */
export const datasetQuery = (id: string | null) => ({
  queryKey: ['datasets', id],
  queryFn: ({ signal }: { signal: AbortSignal }) => getDataset({ client, path: { id: id! }, signal }),
  staleTime: Number.POSITIVE_INFINITY,
  enabled: id !== null,
});

export const versionsOfAdapter = (id: string): EndlessList<AdapterVersion> => ({
  queryKey: ['adapters', id, 'versions'],
  read: ({ cursor, limit, signal }) => listAdapterVersions({ client, path: { id }, query: { cursor, limit }, signal }),
  rowId: (version) => version.id,
  every: 10_000,
});
