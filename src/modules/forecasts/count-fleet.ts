import type { Transaction } from '../../lib/database.ts';
import type { JobRoom } from '../quotas/index.ts';
import { planningRepository, type FleetToPlan, type Refusals, type SourceCount } from '../rollouts/index.ts';
import { SKIP_REASONS, type ForecastResult, type SkipReason } from './forecast.result.ts';

/** Number of tenants that a forecast lists. */
export const TENANTS_SHOWN = 1000;

/** The part of a forecast that counts adapters. */
export type CountedFleet = Pick<
  ForecastResult,
  'adapters' | 'old_versions' | 'tenants' | 'tenant_count' | 'skipped'
> & {
  /** The jobs that would run, by old base model version, and the rows of one of their datasets on average. */
  readonly jobs: readonly { readonly oldBaseModelVersionId: string; readonly jobs: number; readonly rows: number }[];
  /** Adapters for which a rollout would plan jobs, also those that it would refuse. */
  readonly planned: number;
};

/** What may run for tenants. */
type ReadRooms = (tx: Transaction, tenantIds: readonly string[]) => Promise<ReadonlyMap<string, JobRoom>>;

/** Counts which adapters a rollout would carry over and why it would not take the others, as it would be planned now. */
export async function countFleet(
  tx: Transaction,
  fleet: FleetToPlan,
  refusals: Refusals,
  readRooms: ReadRooms,
): Promise<CountedFleet> {
  const sources = await planningRepository.countSourcesByTenant(tx, fleet);
  const leftOut = await planningRepository.leftOut(tx, fleet);
  const planned = sum(sources, ({ adapters }) => adapters);
  const rooms = await readRooms(tx, [...new Set(sources.map(({ tenant_id: id }) => id))]);
  const able = withinRooms(
    sources.filter((source) => !refusals.has(source.base_model_version_id)),
    rooms,
  );
  const taken = sum(able, ({ jobs }) => jobs);
  const total = planned + sum(Object.values(leftOut), (adapters) => adapters);
  const counts: Partial<Record<SkipReason, number>> = {
    ...leftOut,
    incompatible: sum(sources, (source) => (refusals.has(source.base_model_version_id) ? source.adapters : 0)),
    dataset_missing: sum(able, ({ source }) => source.without_dataset),
    quota_exceeded: sum(able, ({ refused }) => refused),
  };
  const tenants = groupSum(able, ({ source }) => source.tenant_id);
  return {
    adapters: { total, taken, skipped: total - taken },
    old_versions: groupSum(
      sources.map((source) => ({ source, jobs: source.adapters })),
      ({ source }) => source.base_model_version_id,
    ).map(([id, adapters]) => ({ base_model_version_id: id, adapters, problem: refusals.get(id) ?? null })),
    tenants: tenants.slice(0, TENANTS_SHOWN).map(([id, jobs]) => ({ tenant_id: id, jobs })),
    tenant_count: tenants.length,
    skipped: SKIP_REASONS.flatMap((reason) => {
      const adapters = counts[reason] ?? 0;
      return adapters > 0 ? [{ reason, adapters }] : [];
    }),
    jobs: groupSum(able, ({ source }) => source.base_model_version_id).map(([oldBaseModelVersionId, jobs]) => {
      const own = able.filter(({ source }) => source.base_model_version_id === oldBaseModelVersionId);
      const withData = sum(own, ({ source }) => source.adapters - source.without_dataset);
      const rows = sum(own, ({ source }) => source.rows) / Math.max(1, withData);
      return { oldBaseModelVersionId, jobs, rows };
    }),
    planned,
  };
}

interface AbleSource {
  readonly source: SourceCount;
  /** Number of jobs that would run. */
  readonly jobs: number;
  /** Number of those for which the tenant has no room. */
  readonly refused: number;
}

/** As a rollout does, a tenant's jobs are taken as long as it has room. Adapters without a dataset take none. */
function withinRooms(sources: readonly SourceCount[], rooms: ReadonlyMap<string, JobRoom>): AbleSource[] {
  const left = new Map<string, number>();
  return sources.map((source) => {
    const wanted = source.adapters - source.without_dataset;
    const room = left.get(source.tenant_id) ?? rooms.get(source.tenant_id)?.jobs ?? Number.POSITIVE_INFINITY;
    const jobs = Math.min(wanted, room);
    left.set(source.tenant_id, room - jobs);
    return { source, jobs, refused: wanted - jobs };
  });
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}

/** Sums of jobs by a key, the largest first. */
function groupSum<T extends { readonly jobs: number }>(items: readonly T[], keyOf: (item: T) => string) {
  const sums = new Map<string, number>();
  for (const item of items) sums.set(keyOf(item), (sums.get(keyOf(item)) ?? 0) + item.jobs);
  return [...sums].filter(([, jobs]) => jobs > 0).sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
}
