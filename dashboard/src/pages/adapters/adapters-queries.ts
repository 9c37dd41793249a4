import { listAdapters, type Adapter } from '@readapt/client';
import { client } from '../../api/client.ts';
import type { EndlessList } from '../../api/use-endless.ts';
import type { AdaptersSearch } from '../../routes/search.ts';

export function allAdapters(search: AdaptersSearch): EndlessList<Adapter> {
  const filter = filterOf(search);
  const { sort = '-created' } = search;
  return {
    queryKey: ['adapters', filter, sort],
    read: ({ cursor, limit, signal }) => listAdapters({ client, query: { ...filter, sort, cursor, limit }, signal }),
    rowId: ({ id }) => id,
    every: 10_000,
  };
}

/** Converts the search parameters of the page's address to the filter of the API's list of adapters. */
export function filterOf({ name, label, on, notOn, atRiskOn }: AdaptersSearch) {
  return {
    ...(name !== undefined && { name }),
    ...(label !== undefined && { label: [label] }),
    ...(on !== undefined && { base_model_version_id: on }),
    ...(notOn !== undefined && { not_on: notOn }),
    ...(atRiskOn !== undefined && { at_risk_on: atRiskOn }),
  };
}
