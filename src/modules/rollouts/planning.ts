import type { JobEntry } from '../../jobs/catalog.ts';
import { writeOutbox } from '../../jobs/outbox.repository.ts';
import { both } from '../../lib/both.ts';
import { withTransaction, type Database, type Prisma, type Transaction } from '../../lib/database.ts';
import { newId } from '../../lib/ids.ts';
import { recordEvent } from '../events/index.ts';
import { createJobRepository, settleRollout, toEntry, type PlannedJob } from '../jobs/index.ts';
import type { createJobRooms, JobRoom } from '../quotas/index.ts';
import {
  planningRepository as repository,
  type ControlRow,
  type FleetToPlan,
  type SourceRow,
} from './planning.repository.ts';
import { assignWaves, labelsOfWaves } from './control/assign-waves.ts';
import { createRolloutRepository } from './rollout.repository.ts';
import type { StoredOptions } from './rollout.schemas.ts';

/** Number of jobs that one transaction plans. */
const PAGE = 1000;

export interface RolloutToPlan {
  readonly id: string;
  readonly baseModelVersionId: string;
  readonly options: StoredOptions;
}

/** Why adapters cannot be carried over, by their old base model version. */
export type Refusals = ReadonlyMap<string, Prisma.InputJsonObject>;

/** Gets the queue jobs of a page that is committed. What it throws ends the planning, which a further call continues. */
export type OnPlanned = (entries: readonly JobEntry[]) => Promise<void>;

interface PlannerDependencies {
  db: Database;
  jobRooms: ReturnType<typeof createJobRooms>;
}

interface Planned {
  job: PlannedJob;
  adapterId: string;
  tenantId: string;
}

interface PlannedPage {
  entries: JobEntry[];
  /** The last adapter of the page; null if no page follows. */
  last: string | null;
}

/** Reads the next page of jobs to be planned. */
type ReadPage = (tx: Transaction, after: string) => Promise<Planned[]>;

/**
 * Plans the jobs of a rollout that is being analyzed, adaptations first and then controls: identifiers and the queue follow
 * this order. Each page of the fleet is a transaction, and `onPlanned` may enqueue it while the next one is planned. So
 * neither memory nor a transaction grows with the fleet, the first adapters need not wait for the last ones, and where a process
 * dies, the next call goes on. The rollout changes to `adapting` when all jobs exist.
 *
 * @returns the number of all jobs; null if the rollout is no longer being analyzed
 */
export async function planInPages(
  deps: PlannerDependencies,
  rollout: RolloutToPlan,
  refusals: Refusals,
  onPlanned: OnPlanned,
): Promise<number | null> {
  const { db } = deps;
  const planAll = async (kind: PlannedJob['kind'], read: ReadPage): Promise<boolean> => {
    let entries: JobEntry[] = [];
    let after: string | null = await repository.lastPlanned(db, rollout.id, kind);
    while (after !== null) {
      const planning: Promise<PlannedPage | null> = planPage(deps, rollout, read, after);
      const [page] = await both(planning, onPlanned(entries));
      if (page === null) return false;
      ({ entries, last: after } = page);
    }
    await onPlanned(entries);
    return true;
  };

  await repository.countLeftOut(db, { id: rollout.id, ...fleetOf(rollout) });
  await decideWaves(db, rollout);
  if (!(await planAll('adaptation', readSources(rollout, refusals)))) return null;
  const { seed } = rollout.options;
  const threshold = await repository.controlThreshold(db, rollout.id, rollout.options);
  if (threshold !== null && !(await planAll('control', readControls(rollout.id, { seed, threshold })))) return null;
  return withTransaction(db, (tx) => endPlanning(tx, rollout.id));
}

/** Plans one page. @returns null if the rollout is no longer being analyzed */
function planPage(
  { db, jobRooms }: PlannerDependencies,
  rollout: RolloutToPlan,
  read: ReadPage,
  after: string,
): Promise<PlannedPage | null> {
  const { id, options } = rollout;
  return withTransaction(db, async (tx) => {
    const found = await read(tx, after);
    const rooms = await jobRooms.rooms(tx, [...new Set(found.map(({ tenantId }) => tenantId))]);
    const jobs = withinRooms(found, rooms);
    if (!(await isAnalyzing(tx, id))) return null;
    const inserted = await createJobRepository(db).plan(tx, id, options.strategy, jobs);
    const states = new Map(inserted.map((job) => [job.id, job.state]));
    const planned = jobs.filter((job) => states.has(job.id));
    const entries = planned.filter((job) => states.get(job.id) === 'queued').map(toEntry);
    await writeOutbox(tx, entries);
    await repository.recordPlanned(
      tx,
      id,
      planned.map((job) => job.id),
    );
    return { entries, last: found.length < PAGE ? null : (found.at(-1)?.adapterId ?? null) };
  });
}

/**
 * Decides which adapters are in which wave, unless an interrupted planning has done so. From then on nobody moves: neither when labels
 * change nor when adapters come or go.
 */
async function decideWaves(db: Database, rollout: RolloutToPlan): Promise<void> {
  const { id, options } = rollout;
  if (options.policy === undefined || (await repository.hasWaves(db, id))) return;
  const waves = options.policy.waves ?? [];
  const labels = labelsOfWaves(waves);
  const adapters = waves.length === 0 ? [] : await repository.ranked(db, { id, labels, ...fleetOf(rollout) });
  await withTransaction(db, (tx) => repository.setWaves(tx, id, assignWaves(waves, adapters)));
}

async function endPlanning(tx: Transaction, rolloutId: string): Promise<number | null> {
  if (!(await isAnalyzing(tx, rolloutId))) return null;
  await createRolloutRepository(tx).move(tx, rolloutId, { from: ['analyzing'], next: 'adapting' });
  const jobs = await repository.countPlanned(tx, rolloutId);
  const data = { from: 'analyzing', jobs };
  await recordEvent(tx, { tenantId: null, type: 'rollout.adapting', subjectId: rolloutId, data });
  await settleRollout(tx, rolloutId);
  return jobs;
}

/** Locks the rollout, which may have been cancelled in the meantime. */
async function isAnalyzing(tx: Transaction, rolloutId: string): Promise<boolean> {
  return (await createRolloutRepository(tx).lock(rolloutId, tx))?.state === 'analyzing';
}

/** The adapters that a rollout takes. */
export function fleetOf({ baseModelVersionId, options }: Omit<RolloutToPlan, 'id'>): FleetToPlan {
  return { baseModelVersionId, selection: options.policy?.selection };
}

function readSources(rollout: RolloutToPlan, refusals: Refusals): ReadPage {
  return async (tx, after) =>
    (await repository.sources(tx, fleetOf(rollout), { after, limit: PAGE })).map((source) => {
      const error = refusals.get(source.base_model_version_id) ?? withoutDataset(source);
      return planned(source, 'adaptation', error);
    });
}

function readControls(rolloutId: string, sample: { seed: number; threshold: string }): ReadPage {
  return async (tx, after) =>
    (await repository.controls(tx, rolloutId, sample, { after, limit: PAGE })).map((row) =>
      planned(row, 'control', null),
    );
}

function planned(row: ControlRow, kind: PlannedJob['kind'], error: Prisma.InputJsonObject | null): Planned {
  const job = { id: newId('job'), sourceVersionId: row.adapter_version_id, kind, error };
  return { job, adapterId: row.adapter_id, tenantId: row.tenant_id };
}

function withoutDataset({ adapter_id, dataset_id }: SourceRow): Prisma.InputJsonObject | null {
  if (dataset_id !== null) return null;
  return {
    code: 'dataset_missing',
    message: `adapter ${adapter_id} has no dataset, which its gate needs: give it one with PATCH /v1/adapters/{id}`,
  };
}

/** Refuses the jobs for which their tenants have no room. */
function withinRooms(found: readonly Planned[], rooms: ReadonlyMap<string, JobRoom>): PlannedJob[] {
  const taken = new Map<string, number>();
  return found.map(({ job, tenantId }) => {
    const room = rooms.get(tenantId);
    if (room === undefined || job.error !== null) return job;
    const count = (taken.get(tenantId) ?? 0) + 1;
    taken.set(tenantId, count);
    if (count <= room.jobs) return job;
    return { ...job, error: { code: 'quota_exceeded', ...room.refusal } };
  });
}
