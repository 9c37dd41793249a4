import type { Transaction } from '../../platform/database/database.ts';
import type { JobRoom } from '../../tenants/quotas/index.ts';
import {
  type RunningJobs,
  countJobsToEnd,
  countLeftOut,
  countSourcesByTenant,
  type FleetToPlan,
  type JobsToEnd,
  type Refusals,
  type SourceCount,
} from '../rollouts/index.ts';
import { SKIP_REASONS, type ForecastResult, type SkipReason } from './forecast.result.ts';

/** Largest number of tenants that a forecast lists. */
export const TENANTS_SHOWN = 1000;

/** Counts of a forecast: the adapters that a rollout would take or leave out, and the jobs that would run. */
export type CountedFleet = Pick<
  ForecastResult,
  'adapters' | 'old_versions' | 'tenants' | 'tenant_count' | 'skipped'
> & {
  /**
   * Number of jobs that would run, by the old base model version of their adapters. `rows` is the mean number of rows
   * in the datasets of these adapters.
   */
  readonly jobs: readonly {
    readonly oldBaseModelVersionId: string;
    readonly jobs: number;
    /**
     * Estimated number of these jobs whose adapters may get a control: all jobs but those that need a tenant's
     * approval.
     */
    readonly controllable: number;
    readonly rows: number;
  }[];
  /** Number of jobs of older rollouts that this rollout would end and that would otherwise run before its own jobs. */
  readonly endedAhead: number;
  /**
   * Number of adapters for which the rollout would plan a job, including adapters whose job is refused and fails at
   * once.
   */
  readonly planned: number;
};

/** Reads how many more jobs the quota of each tenant allows. */
type ReadRooms = (tx: Transaction, tenantIds: readonly string[]) => Promise<ReadonlyMap<string, JobRoom>>;

/**
 * Adapters that a rollout would select. `refusals` holds the old base model versions from which no adapter can be
 * carried over, each with its error.
 */
interface FleetToCount {
  readonly fleet: FleetToPlan;
  readonly refusals: Refusals;
  /**
   * Rule that decides whether jobs of older rollouts that a worker runs are ended when the new rollout takes their
   * adapters.
   */
  readonly running: RunningJobs;
}

/**
 * Counts the adapters that a rollout would carry over if it were planned now, and those that it would leave out, by
 * reason.
 */
export async function countFleet(
  tx: Transaction,
  { fleet, refusals, running }: FleetToCount,
  readRooms: ReadRooms,
): Promise<CountedFleet> {
  const sources = await countSourcesByTenant(tx, fleet);
  const leftOut = await countLeftOut(tx, fleet);
  const planned = sum(sources, ({ adapters }) => adapters);
  const ended = await countJobsToEnd(tx, fleet, { running, refused: [...refusals.keys()] });
  // Read last, because this locks tenants.
  const rooms = await readRooms(tx, [...new Set(sources.map(({ tenant_id: id }) => id))]);
  const able = withinRooms(
    sources.filter((source) => !refusals.has(source.base_model_version_id)),
    roomsAfter(ended, rooms),
  );
  const taken = sum(able, ({ jobs }) => jobs);
  const total = planned + sum(Object.values(leftOut), (adapters) => adapters);
  const counts: Partial<Record<SkipReason, number>> = {
    ...leftOut,
    incompatible: sum(sources, (source) => (refusals.has(source.base_model_version_id) ? source.adapters : 0)),
    dataset_missing: sum(able, ({ source }) => source.without_dataset),
    not_servable: sum(able, ({ notServable }) => notServable),
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
      const toApprove = sum(own, ({ source }) => source.to_approve);
      return { oldBaseModelVersionId, jobs, controllable: Math.max(0, jobs - toApprove), rows };
    }),
    endedAhead: sum(ended, ({ ahead }) => ahead),
    planned,
  };
}

interface AbleSource {
  readonly source: SourceCount;
  /** Number of jobs that would run for one tenant's adapters from one old base model version. */
  readonly jobs: number;
  /**
   * Number of further jobs whose adapters the engines would refuse to serve. Such jobs count against the quota, but
   * fail before anything is measured.
   */
  readonly notServable: number;
  /** Number of jobs that would be refused because the tenant's quota allows no more. */
  readonly refused: number;
}

/**
 * Computes how many new jobs the quota of each tenant allows after the rollout has ended jobs of older rollouts. If
 * `mayExchange` is true, a new job may always take the place of an ended job. Tenants without a quota are left out.
 */
function roomsAfter(ended: readonly JobsToEnd[], rooms: ReadonlyMap<string, JobRoom>): Map<string, number> {
  const endedOf = new Map(ended.map((each) => [each.tenant_id, each]));
  return new Map(
    [...rooms].map(([id, { jobs, mayExchange }]) => {
      const own = mayExchange ? endedOf.get(id) : undefined;
      return [id, Math.max(0, jobs + (own?.jobs ?? 0), own?.adapters ?? 0)];
    }),
  );
}

/**
 * Counts the jobs of each tenant that would run, until the tenant's quota is used up, as the planning of a rollout
 * does. Adapters without a dataset take none of the quota.
 */
function withinRooms(sources: readonly SourceCount[], rooms: ReadonlyMap<string, number>): AbleSource[] {
  const left = new Map<string, number>(rooms);
  return sources.map((source) => {
    const wanted = source.adapters - source.without_dataset;
    const room = left.get(source.tenant_id) ?? Number.POSITIVE_INFINITY;
    const jobs = Math.min(wanted, room);
    left.set(source.tenant_id, room - jobs);
    const notServable = Math.min(source.not_servable, jobs);
    return { source, jobs: jobs - notServable, notServable, refused: wanted - jobs };
  });
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}

/** Adds up jobs by a key. Returns pairs of key and sum, the largest sum first. */
function groupSum<T extends { readonly jobs: number }>(items: readonly T[], keyOf: (item: T) => string) {
  const sums = new Map<string, number>();
  for (const item of items) sums.set(keyOf(item), (sums.get(keyOf(item)) ?? 0) + item.jobs);
  return [...sums].filter(([, jobs]) => jobs > 0).sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
}
