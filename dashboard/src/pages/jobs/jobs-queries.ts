import { listJobs, type Job } from '@readapt/client';
import { client } from '../../api/client.ts';
import type { EndlessList } from '../../api/use-endless.ts';
import type { JobsSearch } from '../../routes/search.ts';

const EVERY_MS = 3000;

export function allJobs(search: JobsSearch): EndlessList<Job> {
  const query = queryOf(search);
  return {
    queryKey: ['jobs', 'list', query],
    read: ({ signal, ...page }) => listJobs({ client, query: { ...query, ...page }, signal }),
    rowId: ({ id }) => id,
    every: EVERY_MS,
  };
}

/** Converts the search parameters of the page's address to the query of the API's list of jobs. */
export function queryOf({ state, kind, tenant, rollout, adapter, sort }: JobsSearch) {
  return {
    state,
    kind,
    tenant_id: tenant,
    rollout_id: rollout,
    adapter_id: adapter,
    sort,
  };
}
