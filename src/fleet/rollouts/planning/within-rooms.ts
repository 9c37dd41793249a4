import type { PlannedJob } from './planned-jobs.repository.ts';
import type { JobRoom } from '../../../tenants/quotas/index.ts';

/** Job to plan, with its adapter and the tenant that owns it. */
export interface Planned {
  job: PlannedJob;
  adapterId: string;
  tenantId: string;
}

interface Rooms {
  /** Numbers of further jobs that tenants may have; a tenant without a limit is absent. */
  readonly rooms: ReadonlyMap<string, JobRoom>;
  /** Adapters whose jobs in older rollouts were ended just now, because the new jobs replace them. */
  readonly first: ReadonlySet<string>;
  readonly withoutData: WithoutData;
}

/** Adapters whose jobs fail for lack of a dataset, but which get a provisional version all the same. */
export interface WithoutData {
  /** Adapter versions from which the provisional versions are made. */
  readonly sources: ReadonlySet<string>;
  /**
   * Number of provisional versions, by tenant, that were requested earlier for adapters whose jobs have failed for lack
   * of a dataset, and are still to be made.
   */
  readonly toMake: ReadonlyMap<string, number>;
}

/**
 * Gives an error to each job for which its tenant's quota has no room, so that the job fails at once. The adapters in
 * `first` come before others: they keep the places of their older jobs, even if the quota was lowered below the number
 * of the tenant's jobs. Otherwise they would be left without any job. Adapters without a dataset come last, because
 * they only get a provisional version, which must not take a place from a job.
 */
export function withinRooms(found: readonly Planned[], { rooms, first, withoutData }: Rooms): PlannedJob[] {
  const taken = new Map<string, number>();
  const placeOf = ({ job, adapterId }: Planned) => (first.has(adapterId) ? 0 : job.error === null ? 1 : 2);
  const inTurn = [...found].sort((a, b) => placeOf(a) - placeOf(b));
  return inTurn.map(({ job, adapterId, tenantId }) => {
    const room = rooms.get(tenantId);
    const isWithoutData = withoutData.sources.has(job.sourceVersionId);
    if (room === undefined || (job.error !== null && !isWithoutData)) return job;
    const count = (taken.get(tenantId) ?? 0) + 1;
    taken.set(tenantId, count);
    const toMake = isWithoutData ? (withoutData.toMake.get(tenantId) ?? 0) : 0;
    if (toMake + count <= room.jobs || (room.mayExchange && first.has(adapterId))) return job;
    return { ...job, error: { code: 'quota_exceeded', ...room.refusal } };
  });
}
