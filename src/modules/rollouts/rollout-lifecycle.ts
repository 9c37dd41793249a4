import { NO_QUOTAS, type QuotaLimits } from '../../config/quotas.ts';
import type { JobEntry } from '../../jobs/catalog.ts';
import { writeOutbox } from '../../jobs/outbox.repository.ts';
import { withTransaction, type Database, type Prisma, type Transaction } from '../../lib/database.ts';
import { newId } from '../../lib/ids.ts';
import { createJobRooms, type JobRoom } from '../quotas/index.ts';
import { recordEvent } from '../events/index.ts';
import { createJobRepository, settleRollout, toEntry, type PlannedJob } from '../jobs/index.ts';
import { chooseControls } from './control-sample.ts';
import { createRolloutRepository, type RolloutRow, type SourceRow } from './rollout.repository.ts';
import type { StoredOptions } from './rollout.schemas.ts';
import { UNPLANNED_ROLLOUT_STATES } from './rollout.states.ts';

export type RolloutLifecycle = ReturnType<typeof createRolloutLifecycle>;

/** What a worker does to a rollout's row. Every change is a conditional update with its event, in one transaction. */
export function createRolloutLifecycle({ db, quotas = NO_QUOTAS }: { db: Database; quotas?: QuotaLimits }) {
  const rollouts = createRolloutRepository(db);
  const jobRooms = createJobRooms({ db, defaults: quotas });
  const change = (tx: Transaction, id: string, type: string, data: Prisma.InputJsonObject) =>
    recordEvent(tx, { tenantId: null, type: `rollout.${type}`, subjectId: id, data });

  return {
    /**
     * Begins the analysis, or takes over the one of a worker that has died. Null if the rollout is not to be analyzed,
     * or no longer.
     */
    beginAnalysis: (id: string): Promise<RolloutRow | null> =>
      withTransaction(db, async (tx) => {
        if (await rollouts.move(tx, id, { from: ['planning'], next: 'analyzing' }))
          await change(tx, id, 'analyzing', { from: 'planning' });
        await rollouts.countAnalysis(tx, id);
        const row = await rollouts.find(id, tx);
        return row?.state === 'analyzing' ? row : null;
      }),

    /**
     * Does not count the running analysis, which ends because the worker stops or its machine fails. `error` says why the
     * rollout waits; it is null if the worker only stops.
     */
    excuse: (id: string, error: Prisma.InputJsonObject | null): Promise<number> =>
      withTransaction(db, (tx) => rollouts.excuseAnalysis(tx, id, error)),

    sources: (baseModelVersionId: string): Promise<SourceRow[]> => rollouts.sources(baseModelVersionId),

    /** Whether the rollout is still being analyzed. It is not after its cancellation. */
    isAnalyzing: async (id: string): Promise<boolean> => (await rollouts.find(id))?.state === 'analyzing',

    /** Fails a rollout before its jobs are planned. False if it is no longer being analyzed. */
    fail: (id: string, error: Prisma.InputJsonObject): Promise<boolean> =>
      withTransaction(db, async (tx) => {
        const failed = await rollouts.move(tx, id, { from: UNPLANNED_ROLLOUT_STATES, next: 'failed', error });
        if (failed) await change(tx, id, 'failed', { error });
        return failed;
      }),

    /**
     * Inserts the jobs in the transaction that changes the rollout to `adapting`, so that either all or none exist.
     *
     * @param refusals by old base model version, why its adapters cannot be carried over
     * @returns the queue jobs to be enqueued; null if the rollout is no longer being analyzed
     */
    plan: (
      rollout: { id: string; baseModelVersionId: string; options: StoredOptions },
      refusals: ReadonlyMap<string, Prisma.InputJsonObject>,
    ): Promise<JobEntry[] | null> =>
      withTransaction(
        db,
        async (tx) => {
          const sources = await rollouts.sources(rollout.baseModelVersionId, tx);
          const rooms = await jobRooms.rooms(tx, [...new Set(sources.map((source) => source.tenant_id))]);
          const planned = withinRooms(planJobs(sources, rollout.options, refusals), rooms);
          // The rollout may have been cancelled in the meantime.
          const locked = await rollouts.lock(rollout.id, tx);
          if (locked?.state !== 'analyzing') return null;
          await createJobRepository(db).plan(
            tx,
            rollout.id,
            rollout.options.strategy,
            planned.map(({ job }) => job),
          );
          await rollouts.move(tx, rollout.id, { from: ['analyzing'], next: 'adapting' });
          const entries = planned.filter(({ job }) => job.error === null).map(({ job }) => toEntry(job));
          await writeOutbox(tx, entries);
          await rollouts.recordPlanned(
            tx,
            rollout.id,
            planned.map(({ job }) => job.id),
          );
          await change(tx, rollout.id, 'adapting', { from: 'analyzing', jobs: planned.length });
          await settleRollout(tx, rollout.id);
          return entries;
        },
        { timeoutMs: 120_000 },
      ),
  };
}

interface Planned {
  job: PlannedJob;
  source: SourceRow;
}

/** Refuses the jobs for which their tenants have no room. Adaptations come first, so controls are the first to be left out. */
function withinRooms(planned: readonly Planned[], rooms: ReadonlyMap<string, JobRoom>): readonly Planned[] {
  const taken = new Map<string, number>();
  return planned.map(({ job, source }) => {
    const room = rooms.get(source.tenant_id);
    if (room === undefined || job.error !== null) return { job, source };
    const count = (taken.get(source.tenant_id) ?? 0) + 1;
    taken.set(source.tenant_id, count);
    if (count <= room.jobs) return { job, source };
    return { source, job: { ...job, error: { code: 'quota_exceeded', ...room.refusal } } };
  });
}

/** Plans adaptations first and then controls: identifiers and the queue follow this order. */
function planJobs(
  sources: readonly SourceRow[],
  options: StoredOptions,
  refusals: ReadonlyMap<string, Prisma.InputJsonObject>,
): Planned[] {
  const adaptations = sources.map((source) => planned(source, 'adaptation', refusals));
  const able = adaptations.filter(({ job }) => job.error === null).map(({ source }) => source);
  const controls = chooseControls(
    able.map((source) => source.adapter_id),
    options,
  );
  return [
    ...adaptations,
    ...able.filter((source) => controls.has(source.adapter_id)).map((source) => planned(source, 'control', refusals)),
  ];
}

function planned(
  source: SourceRow,
  kind: PlannedJob['kind'],
  refusals: ReadonlyMap<string, Prisma.InputJsonObject>,
): Planned {
  const noDataset: Prisma.InputJsonObject | null =
    source.dataset_id === null
      ? {
          code: 'dataset_missing',
          message: `adapter ${source.adapter_id} has no dataset, which its gate needs: give it one with PATCH /v1/adapters/{id}`,
        }
      : null;
  const error = refusals.get(source.base_model_version_id) ?? noDataset;
  return { source, job: { id: newId('job'), sourceVersionId: source.adapter_version_id, kind, error } };
}
