import { isFor } from './plan/tenant-spec.ts';
import type { CellRecord, EvolutionRecord, ResultRecord, TenantName } from './records.ts';

/** Which job it is about: that of a tenant, for an evolution. */
export type EvolvedJob = TenantName & Pick<CellRecord, 'evolution' | 'carriedFrom'>;

/**
 * The share of its evolution's computing time that a job bears, in milliseconds: all of it for a single adapter, a twentieth
 * in a fleet of 20. Whether a strategy needs the evolution at all is for the caller to know.
 * @param adapters how many adapters share the evolution
 * @throws Error if the records do not have the evolution that the job needed
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
