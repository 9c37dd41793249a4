import type { PlannedJob } from './planned-jobs.repository.ts';
import type { JobRoom } from '../../../tenants/quotas/index.ts';

/** A job that is being planned, and whose it is. */
export interface Planned {
  job: PlannedJob;
  adapterId: string;
  tenantId: string;
}

interface Rooms {
  /** Those of the tenants that have limits. */
  readonly rooms: ReadonlyMap<string, JobRoom>;
  /** Adapters whose jobs in older rollouts have ended for the new ones. */
  readonly first: ReadonlySet<string>;
  readonly withoutData: WithoutData;
}

/** Adapters whose jobs fail for want of data, and which get a provisional version all the same. */
export interface WithoutData {
  /** Their versions that the jobs begin with. */
  readonly sources: ReadonlySet<string>;
  /** Number of such versions that were requested before and are still to be made, by tenant. */
  readonly toMake: ReadonlyMap<string, number>;
}

/**
 * Refuses the jobs for which their tenants have no room. The `first` adapters come before others: they take the places of their older jobs
 * also where a limit was lowered below what the tenant has. They would be left without any. Those without data come last, because
 * they only get a provisional version, which takes no place from a job.
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
