import type { PlannedJob } from './planned-jobs.repository.ts';
import type { JobRoom } from '../../../tenants/quotas/index.ts';

/** Planned job with the tenant that owns it. */
export interface Planned {
  job: PlannedJob;
  adapterId: string;
  tenantId: string;
}

interface Rooms {
  /** Free places of the tenants that have limits. */
  readonly rooms: ReadonlyMap<string, JobRoom>;
  /** Adapters whose jobs in older rollouts have ended in favour of the new ones. */
  readonly first: ReadonlySet<string>;
  readonly withoutData: WithoutData;
}

/** Adapters whose jobs fail for lack of data, but which still get a provisional version. */
export interface WithoutData {
  /** Adapter versions that these jobs start from. */
  readonly sources: ReadonlySet<string>;
  /** Number of provisional versions requested earlier and still to be made, by tenant. */
  readonly toMake: ReadonlyMap<string, number>;
}

/**
 * Refuses the jobs for which their tenants have no room. The `first` adapters come before others: they keep the places
 * of their older jobs even if a limit was lowered below the tenant's current jobs. Otherwise they would be left without
 * any job. Adapters without data come last, because they only get a provisional version, which must not take a place
 * from a job.
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
