import {
  getAtRisk,
  getBaseModelVersion,
  getEvolution,
  listEvolutions,
  type BaseModelVersion,
  type EvolutionEntry,
  type EvolutionEntryPage,
} from '@readapt/client';
import { client } from '../../api/client.ts';
import { polled } from '../../api/polling.ts';

/** Largest number of older versions that the page lists for comparison. */
const SHOWN = 50;

interface Context {
  readonly signal: AbortSignal;
}

export const versionQuery = (id: string) => ({
  queryKey: ['base-model-versions', id],
  queryFn: ({ signal }: Context) => getBaseModelVersion({ client, path: { id }, signal }),
  ...polled<BaseModelVersion>({ every: 10_000 }),
});

export const evolutionsQuery = (versionId: string) => ({
  queryKey: ['evolutions', 'to', versionId],
  queryFn: ({ signal }: Context) =>
    listEvolutions({ client, path: { id: versionId }, query: { limit: SHOWN }, signal }),
  ...polled<EvolutionEntryPage>({ every: 5000 }),
});

export const evolutionQuery = ({ id, state }: EvolutionEntry) => ({
  queryKey: ['evolutions', id, state],
  queryFn: ({ signal }: Context) => getEvolution({ client, path: { id }, signal }),
  staleTime: 60_000,
});

/**
 * Query of the adapters and tenants that are left without a version when a base model version retires. The service
 * scans all adapters for the answer, so a page asks only once each time it opens.
 */
export const atRiskQuery = (versionId: string, retiresAt: string | null) => ({
  queryKey: ['at-risk', versionId, retiresAt],
  queryFn: ({ signal }: Context) => getAtRisk({ client, path: { id: versionId }, signal }),
  staleTime: 60_000,
});

/** Chooses the comparison with the older version that the address names, or otherwise the first one in the list. */
export function chosenOf(entries: readonly EvolutionEntry[], from: string | undefined): EvolutionEntry | undefined {
  return entries.find(({ old_version: version }) => version === from) ?? entries[0];
}
