import { isFor } from './plan/tenant-spec.ts';
import type { CellRecord, EvolutionRecord, ResultRecord, TenantName } from './records.ts';

/** Job of a tenant for an evolution. */
export type EvolvedJob = TenantName & Pick<CellRecord, 'evolution' | 'carriedFrom'>;

/**
 * Share of the computing time of its evolution that a job bears, in milliseconds: all of it for a single adapter, a
 * twentieth in a fleet of 20. Only call it for strategies that need the evolution.
 * @param adapters number of adapters that share the evolution
 * @throws Error if the records lack the evolution that the job needed
 */
export function evolutionMs(
  records: readonly ResultRecord[],
  { evolution, carriedFrom = null, ...tenant }: EvolvedJob,
  adapters = 1,
): number {
  const found = records.find(
    (one): one is EvolutionRecord => one.type === 'evolution' && one.evolution === evolution && isFor(one, tenant),
  );
  const computed = found && [{ from: found.from ?? null, computeMs: found.computeMs }, ...(found.direct ?? [])];
  const used = computed?.find(({ from }) => from === carriedFrom);
  if (used) return used.computeMs / adapters;
  throw new Error(
    `the results have no evolution ${evolution} from ${carriedFrom ?? 'the base'}; run the experiment again`,
  );
}
