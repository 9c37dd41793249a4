import type { QueueEntry } from '../../../platform/queue/catalog.ts';
import { writeOutbox } from '../../../platform/queue/outbox.repository.ts';
import { both } from '../both.ts';
import { plannedJobsRepository, type PlannedJob } from './planned-jobs.repository.ts';
import { jobSuccessionRepository, type JobWait } from '../succession/job-succession.repository.ts';
import { lockStartTags, queueJobs } from '../order/admission.ts';
import { settleRollout } from '../settlement.ts';
import {
  planningRepository as repository,
  type ControlRow,
  type FleetToPlan,
  type PageRange,
  type SourceRow,
} from './planning.repository.ts';
import { assignWaves, labelsOfWaves } from '../waves/assign-waves.ts';
import { withinRooms, type Planned, type WithoutData } from './within-rooms.ts';
import { createRolloutRepository } from '../rollout.repository.ts';
import type { StoredOptions } from '../rollout.schemas.ts';
import { provisionalRepository } from '../provisional/provisional.repository.ts';
import { toProvisionEntry } from '../provisional/provisional.ts';
import { lockSuccession, settleOlder, takeAdapters, withoutTaken, type Succession } from '../succession/succession.ts';
import { withTransaction, type Database, type Prisma, type Transaction } from '../../../platform/database/database.ts';
import { newId } from '../../../platform/contract/ids.ts';
import { recordEvent } from '../../../delivery/events/index.ts';
import type { JobRooms } from '../../../tenants/quotas/index.ts';

/** Queries on the adapters of a rollout that forecasts use too. */
export const { countSourcesByTenant, leftOut: countLeftOut, ranked: rankAdapters } = repository;

/** Number of jobs that one transaction plans. */
const PAGE = 1000;

const DATASET_MISSING = 'dataset_missing';

export interface RolloutToPlan {
  readonly id: string;
  readonly baseModelVersionId: string;
  readonly options: StoredOptions;
}

/** Errors for adapters that cannot be carried over, by the old base model version that they come from. */
export type Refusals = ReadonlyMap<string, Prisma.InputJsonObject>;

/**
 * Function that is called after each page of planned jobs is committed. It gets the queue entries to add, and the
 * identifiers of jobs of older rollouts whose entries have to be removed. If it throws, the planning ends, and a
 * further call continues it.
 */
export type OnPlanned = (entries: readonly QueueEntry[], superseded: readonly string[]) => Promise<void>;

export interface PlannerDependencies {
  db: Database;
  jobRooms: JobRooms;
}

interface PagedDependencies extends PlannerDependencies {
  /** Number of jobs that one transaction plans; 1,000 by default. */
  readonly pageSize?: number;
}

/** Changes to the queue that are due once planned jobs are committed. */
export interface NewJobs {
  readonly entries: readonly QueueEntry[];
  /** Identifiers of jobs of older rollouts whose entries have to be removed from the queue. */
  readonly superseded: readonly string[];
}

interface PlannedPage extends NewJobs {
  /** Identifier of the last adapter of the page, after which the next page begins; null if this is the last page. */
  last: string | null;
}

/** Function that reads the next page of adapters, and returns a job to plan for each. */
type ReadPage = (tx: Transaction, page: PageRange) => Promise<Planned[]>;

/**
 * Plans the jobs of a rollout that is being analyzed: first all adaptations and then the controls. Identifiers and the
 * queue follow this order. Each page of the fleet is a transaction, and `onPlanned` may enqueue its jobs while the next
 * page is planned. So neither memory nor a transaction grows with the fleet, and the first adapters need not wait for
 * the last ones. After a crash, the next call plans the rest. When all jobs exist, the rollout becomes `adapting`.
 * @returns the number of all jobs of the rollout; null if it is no longer being analyzed
 */
export async function planInPages(
  { pageSize = PAGE, ...deps }: PagedDependencies,
  rollout: RolloutToPlan,
  refusals: Refusals,
  onPlanned: OnPlanned,
): Promise<number | null> {
  const { db } = deps;
  const planAll = async (kind: PlannedJob['kind'], read: ReadPage): Promise<boolean> => {
    let { entries, superseded }: NewJobs = { entries: [], superseded: [] };
    let after: string | null = await repository.lastPlanned(db, rollout.id, kind);
    while (after !== null) {
      const planning: Promise<PlannedPage | null> = planPage(deps, rollout.id, read, {
        after,
        limit: pageSize,
      });
      const [page] = await both(planning, onPlanned(entries, superseded));
      if (page === null) return false;
      ({ entries, superseded, last: after } = page);
    }
    await onPlanned(entries, superseded);
    return true;
  };

  await repository.noteLeftOut(db, { id: rollout.id, ...fleetOf(rollout) });
  await decideWaves(db, rollout);
  if (!(await planAll('adaptation', readSources(rollout, refusals)))) return null;
  const { seed } = rollout.options;
  const threshold = await repository.controlThreshold(db, rollout.id, rollout.options);
  if (threshold !== null && !(await planAll('control', readControls(rollout.id, { seed, threshold })))) return null;
  const ended = await withTransaction(db, (tx) => endPlanning(tx, rollout.id));
  if (ended === null) return null;
  if (ended.entries.length > 0) await onPlanned(ended.entries, []);
  return ended.jobs;
}

/** Error that undoes a planning transaction in which an adapter was taken from an older rollout but got no new job. */
class LeftOutError extends Error {}

/**
 * Runs a transaction that plans jobs. It is undone and repeated if a tenant pins an adapter after the transaction has
 * read the adapter and taken it from an older rollout. Locking the adapters first would deadlock with jobs that
 * publish.
 */
export async function planningWithin<T>(db: Database, fn: (tx: Transaction) => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await withTransaction(db, fn);
    } catch (error) {
      if (!(error instanceof LeftOutError)) throw error;
    }
  }
}

/**
 * Plans the jobs of one page of adapters.
 * @returns null if the rollout is no longer being analyzed
 */
function planPage(deps: PlannerDependencies, id: string, read: ReadPage, page: PageRange): Promise<PlannedPage | null> {
  return planningWithin(deps.db, async (tx) => {
    // The lock comes first, so that changes of older rollouts to these adapters are either visible or have to wait.
    const succession = await lockSuccession(tx, id);
    if (succession?.rollout.state !== 'analyzing') return null;
    const found = await read(tx, page);
    const isSuperseded = succession.rollout.superseded_by_id !== null;
    const left = isSuperseded ? await withoutTaken(tx, id, found) : found;
    const jobs = await planJobs(tx, deps, { succession }, left);
    return { ...jobs, last: found.length < page.limit ? null : (found.at(-1)?.adapterId ?? null) };
  });
}

/**
 * Plans jobs of a rollout whose row is locked, and takes their adapters from older rollouts. If an older rollout's job
 * for an adapter goes on, the new job waits for it. The transaction must be run by {@link planningWithin}.
 */
export async function planJobs(
  tx: Transaction,
  { jobRooms }: PlannerDependencies,
  { succession, late = false }: { readonly succession: Succession; readonly late?: boolean },
  found: readonly Planned[],
): Promise<NewJobs> {
  const { id: rolloutId, options } = succession.rollout;
  const adapterIds = found
    .filter(({ job }) => job.kind === 'adaptation' && job.error === null)
    .map(({ adapterId }) => adapterId);
  const taken = await takeAdapters(tx, succession, adapterIds);
  const rooms = await jobRooms.rooms(tx, [...new Set(found.map(({ tenantId }) => tenantId))]);
  const jobs = withinRooms(
    found.map((one) => waitingFor(one, taken.waitsFor.get(one.adapterId))),
    { rooms, first: taken.adapterIds, withoutData: await withoutData(tx, succession.rollout, found) },
  );
  const { strategy } = options as StoredOptions;
  await lockStartTags(tx);
  const inserted = await plannedJobsRepository.plan(tx, { rolloutId, strategy, late }, jobs);
  const ids = inserted.map((job) => job.id);
  if (taken.rolloutIds.size > 0 && (await repository.isOneWithoutJob(tx, rolloutId, adapterIds))) {
    throw new LeftOutError();
  }
  const isInserted = new Set(ids);
  await jobSuccessionRepository.wait(tx, waitsOf(jobs.filter((job) => isInserted.has(job.id))));
  const requested = isProvisional(options as StoredOptions)
    ? await provisionalRepository.request(tx, rolloutId, ids)
    : [];
  const provisions = requested.map(toProvisionEntry);
  await writeOutbox(tx, provisions);
  const entries = await queueJobs(tx, rolloutId, inserted);
  await repository.recordPlanned(tx, rolloutId, ids);
  const admitted = await settleOlder(tx, taken);
  return { entries: [...admitted, ...provisions, ...entries], superseded: taken.queued };
}

/**
 * Finds the adapters without a dataset that are to get a provisional version all the same, and how many such versions
 * their tenants still wait for.
 */
async function withoutData(
  tx: Transaction,
  { id, options }: Succession['rollout'],
  found: readonly Planned[],
): Promise<WithoutData> {
  const lacking = found.filter(({ job }) => job.error?.['code'] === DATASET_MISSING);
  if (lacking.length === 0 || !isProvisional(options as StoredOptions))
    return { sources: new Set(), toMake: new Map() };
  const sourceIds = lacking.map(({ job }) => job.sourceVersionId);
  return {
    sources: await provisionalRepository.sourcesWithout(tx, id, sourceIds),
    toMake: await provisionalRepository.toMakeWithoutJob(tx, [...new Set(lacking.map(({ tenantId }) => tenantId))]),
  };
}

/** Whether the policy gives adapters provisional versions before their jobs begin. */
const isProvisional = ({ policy }: StoredOptions): boolean => (policy?.provisional ?? 'none') !== 'none';

function waitingFor(one: Planned, waitsFor: string | undefined): Planned {
  return waitsFor === undefined ? one : { ...one, job: { ...one.job, waitsFor } };
}

function waitsOf(jobs: readonly PlannedJob[]): JobWait[] {
  return jobs.flatMap(({ id, waitsFor }) => (waitsFor === undefined ? [] : [{ jobId: id, waitsForJobId: waitsFor }]));
}

/**
 * Decides which adapters are in which wave, unless a planning that was interrupted has done so. After that, no adapter
 * changes its wave, even if labels change or adapters are added and removed.
 */
async function decideWaves(db: Database, rollout: RolloutToPlan): Promise<void> {
  const { id, options } = rollout;
  const { policy } = options;
  if (policy === undefined || (await repository.hasWaves(db, id))) return;
  const waves = policy.waves ?? [];
  const labels = labelsOfWaves(waves);
  const adapters = waves.length === 0 ? [] : await repository.ranked(db, { id, labels, ...fleetOf(rollout) });
  // With provisional versions, the rollout starts in wave 0, which makes them before the first wave.
  const first = isProvisional(options) ? 0 : 1;
  await withTransaction(db, (tx) => repository.setWaves(tx, { rolloutId: id, first }, assignWaves(waves, adapters)));
}

/**
 * Ends the planning of a rollout, which becomes `adapting`.
 * @returns the number of its jobs and the queue entries to add; null if it was cancelled or paused in the meantime
 */
async function endPlanning(
  tx: Transaction,
  rolloutId: string,
): Promise<{ jobs: number; entries: readonly QueueEntry[] } | null> {
  const succession = await lockSuccession(tx, rolloutId);
  if (succession?.rollout.state !== 'analyzing') return null;
  await createRolloutRepository(tx).move(tx, rolloutId, { from: ['analyzing'], next: 'adapting' });
  const jobs = await repository.countPlanned(tx, rolloutId);
  const data = { from: 'analyzing', jobs };
  await recordEvent(tx, { tenantId: null, type: 'rollout.adapting', subjectId: rolloutId, data });
  const settled = await settleRollout(tx, rolloutId);
  // Older rollouts admitted no jobs of adapters that this rollout might have taken. Now they can.
  const admitted = await settleOlder(tx, { concerned: succession.older.map(({ id }) => id) });
  return { jobs, entries: [...settled, ...admitted] };
}

/** Reads from a rollout which adapters it takes: its base model version and the selection in its policy. */
export function fleetOf({ baseModelVersionId, options }: Omit<RolloutToPlan, 'id'>): FleetToPlan {
  return { baseModelVersionId, selection: options.policy?.selection };
}

function readSources(rollout: RolloutToPlan, refusals: Refusals): ReadPage {
  return async (tx, page) =>
    (await repository.sources(tx, fleetOf(rollout), page)).map((source) => plannedSource(source, refusals));
}

/**
 * Makes the job that carries an adapter over. The job has an error, and so fails at once, if the old base is refused or
 * the adapter has no dataset.
 */
export function plannedSource(source: SourceRow, refusals: Refusals): Planned {
  return planned(source, 'adaptation', refusals.get(source.base_model_version_id) ?? withoutDataset(source));
}

function readControls(rolloutId: string, sample: { seed: number; threshold: string }): ReadPage {
  return async (tx, page) =>
    (await repository.controls(tx, rolloutId, sample, page)).map((row) =>
      waitingFor(planned(row, 'control', null), row.waits_for ?? undefined),
    );
}

function planned(
  row: Omit<ControlRow, 'waits_for'>,
  kind: PlannedJob['kind'],
  error: Prisma.InputJsonObject | null,
): Planned {
  const job = { id: newId('job'), sourceVersionId: row.adapter_version_id, kind, error };
  return { job, adapterId: row.adapter_id, tenantId: row.tenant_id };
}

function withoutDataset({ adapter_id, dataset_id }: SourceRow): Prisma.InputJsonObject | null {
  if (dataset_id !== null) return null;
  return {
    code: DATASET_MISSING,
    message: `adapter ${adapter_id} has no dataset, which its gate needs: give it one with PATCH /v1/adapters/{id}`,
  };
}
