import { NO_QUOTAS, type QuotaLimits } from '../../platform/config/quotas.ts';
import type { QueueEntry } from '../../platform/queue/catalog.ts';
import { writeOutbox } from '../../platform/queue/outbox.repository.ts';
import type { QueueProducer } from '../../platform/queue/producer.ts';
import type { RecoverySource } from '../../platform/queue/sweeper.ts';
import { withTransaction, type Database, type Transaction } from '../../platform/database/database.ts';
import { conflict, notFound, unprocessable } from '../../platform/contract/errors.ts';
import { newId } from '../../platform/contract/ids.ts';
import { toPage, type Page } from '../../platform/contract/pagination.ts';
import { currentTraceparent } from '../../platform/tracing/current-trace.ts';
import { unrecorded, type RecordAnswer } from '../../platform/contract/record-answer.ts';
import type { RecordChange } from '../../platform/contract/record-change.ts';
import { sortingOf } from '../../platform/contract/sorting.ts';
import { recordEvent, recordRolloutEnd } from '../../delivery/events/index.ts';
import { createJobRooms } from '../../tenants/quotas/index.ts';
import { cancelInBatches } from './cancellation.ts';
import { approveRollout, followInterrupted, pauseRollout, resumeRollout, settleInTurn } from './pausing/pausing.ts';
import { toPlanEntry, toRollout } from './rollout.mapper.ts';
import { createRolloutRepository, ROLLOUT_SORTS, type ShownRollout } from './rollout.repository.ts';
import {
  withDefaults,
  withPolicy,
  type CreateRollout,
  type Rollout,
  type RolloutOptions,
  type RolloutQuery,
  type StoredOptions,
} from './rollout.schemas.ts';
import { LIVE_ROLLOUT_STATES } from './rollout.states.ts';
import { joinLateAdapters } from './succession/late-adapters.ts';
import { releaseWaiting } from './succession/waiting.ts';
import { SummaryCache } from './summary-cache.ts';

interface RolloutServiceDependencies {
  db: Database;
  producer: QueueProducer;
  /**
   * Cache for summary figures of rollouts. If a new service is created for each request, the cache has to outlive the
   * service.
   */
  summaries?: SummaryCache;
  /** Number of jobs that one transaction pauses, resumes or cancels; 1,000 by default. */
  batchSize?: number;
}

/**
 * Service that shows and changes rollouts. In all methods `scope` is the tenant to which the caller is confined, or
 * null for the operator. A tenant sees every rollout, but only its own jobs in the rollout.
 */
export interface RolloutService {
  /** @throws AppError 404 if the rollout does not exist */
  get(id: string, scope: string | null): Promise<Rollout>;
  /**
   * Reads a text that changes whenever the answer of {@link RolloutService.get} changes, and that is cheaper to compute
   * than this answer. Null if the rollout does not exist.
   */
  version(id: string, scope: string | null): Promise<string | null>;
  /** Reads a text that changes whenever the answer of {@link RolloutService.list} changes. */
  pageVersion(query: RolloutQuery, scope: string | null): Promise<string>;
  /**
   * Creates a rollout to a base model version.
   * @throws AppError 422 `base_model_version_not_found`, 409 `rollout_exists`
   */
  create(request: CreateRollout, record?: RecordAnswer<Rollout>): Promise<Rollout>;
  list(query: RolloutQuery, scope: string | null): Promise<Page<Rollout>>;
  /**
   * Pauses a rollout and its jobs until somebody resumes the rollout.
   * @throws AppError 404, 409 `rollout_ended`
   */
  pause(id: string, recordChange?: RecordChange): Promise<Rollout>;
  /**
   * Resumes a paused rollout and the jobs that were paused with it.
   * @throws AppError 404, 409 `rollout_ended`
   */
  resume(id: string, recordChange?: RecordChange): Promise<Rollout>;
  /**
   * Releases a wave of jobs that waits for an approval.
   * @throws AppError 404, 409 `rollout_ended`, `rollout_paused` or `wave_not_waiting`
   */
  approve(id: string, wave: number, recordChange?: RecordChange): Promise<Rollout>;
  /**
   * Cancels a rollout and its unfinished jobs. If the rollout is cancelled already, only jobs that an interrupted
   * cancellation has not reached are cancelled.
   * @throws AppError 404, 409 `rollout_ended` if the rollout has ended otherwise
   */
  cancel(id: string, recordChange?: RecordChange): Promise<Rollout>;
}

export function createRolloutService({
  db,
  producer,
  summaries = new SummaryCache(),
  batchSize,
}: RolloutServiceDependencies): RolloutService {
  const rollouts = createRolloutRepository(db);
  const show = async (rows: readonly ShownRollout[], scope: string | null): Promise<Rollout[]> => {
    const ids = rows.map((row) => row.id);
    const counts = rows.flatMap((row) => row.counts);
    const figures = await summaries.get(rollouts, ids, counts, scope);
    return rows.map((row) => {
      const summary = figures.find(({ rollout_id: id }) => id === row.id);
      return toRollout(row, { counts: row.counts, summary, evolutions: row.evolutions }, scope);
    });
  };
  const get = async (id: string, scope: string | null): Promise<Rollout> => {
    const row = await rollouts.shown(id, scope);
    if (row === null) throw notFound('rollout', id);
    const [shown] = await show([row], scope);
    return shown as Rollout;
  };
  return {
    get,

    version: (id: string, scope: string | null): Promise<string | null> => rollouts.version(id, scope),

    pageVersion: (query: RolloutQuery, scope: string | null): Promise<string> => rollouts.pageVersion(query, scope),

    async create(
      { base_model_version_id: baseModelVersionId, options }: CreateRollout,
      record: RecordAnswer<Rollout> = unrecorded,
    ): Promise<Rollout> {
      const { rollout, entries } = await withTransaction(db, async (tx) => {
        const created = await createRollout(tx, { baseModelVersionId, options: options ?? {} });
        await record(tx, created.rollout);
        return created;
      });
      await producer.enqueueAfterCommit(entries);
      return rollout;
    },

    async list(query: RolloutQuery, scope: string | null): Promise<Page<Rollout>> {
      const { cursorOf } = sortingOf(query, ROLLOUT_SORTS);
      const page = toPage(await rollouts.page(query, scope), query, (row) => row, cursorOf);
      return { data: await show(page.data, scope), next_cursor: page.next_cursor };
    },

    async pause(id: string, recordChange: RecordChange = unrecorded): Promise<Rollout> {
      await pauseRollout({ db, producer, batchSize }, id, recordChange);
      return get(id, null);
    },

    async resume(id: string, recordChange: RecordChange = unrecorded): Promise<Rollout> {
      await resumeRollout({ db, producer, batchSize }, id, recordChange);
      return get(id, null);
    },

    async approve(id: string, wave: number, recordChange: RecordChange = unrecorded): Promise<Rollout> {
      await approveRollout({ db, producer, batchSize }, { id, wave }, recordChange);
      return get(id, null);
    },

    async cancel(id: string, recordChange: RecordChange = unrecorded): Promise<Rollout> {
      await withTransaction(db, async (tx) => {
        const row = await rollouts.lock(id, tx);
        if (row === null) throw notFound('rollout', id);
        if (row.state === 'cancelled') return;
        if (!(await rollouts.move(tx, id, { from: LIVE_ROLLOUT_STATES, next: 'cancelled' }))) {
          throw conflict('rollout_ended', `rollout ${id} cannot be cancelled: it has ended and is ${row.state}`);
        }
        await recordRolloutEnd(tx, { type: 'rollout.cancelled', subjectId: id, data: { from: row.state } });
        const [before, after] = [{ state: row.state }, { state: 'cancelled' }];
        await recordChange(tx, { tenantId: null, subjectId: id, before, after });
      });
      await producer.remove('rollouts', [id]);
      const onBatch = (queued: readonly string[]) => producer.remove('adaptations', queued);
      await cancelInBatches(db, id, { onBatch, batchSize });
      return get(id, null);
    },
  };
}

/**
 * Creates a rollout within the caller's transaction. The time of its acceptance, by the database's clock, starts the
 * time to readiness of every adapter. After the commit the caller has to pass `entries` to
 * `producer.enqueueAfterCommit`.
 * @throws AppError 422 `base_model_version_not_found`, 409 `rollout_exists` if a rollout to this version has not ended
 */
export async function createRollout(
  tx: Transaction,
  request: { baseModelVersionId: string; options: RolloutOptions },
): Promise<{ rollout: Rollout; entries: QueueEntry[] }> {
  const rollouts = createRolloutRepository(tx);
  const { baseModelVersionId } = request;
  if (!(await rollouts.baseModelVersionExists(baseModelVersionId, tx))) {
    throw unprocessable('base_model_version_not_found', `base model version ${baseModelVersionId} does not exist`);
  }
  await rollouts.lockBaseModelVersion(baseModelVersionId, tx);
  const live = await rollouts.liveRollout(baseModelVersionId, tx);
  if (live !== null) {
    throw conflict(
      'rollout_exists',
      `base model version ${baseModelVersionId} has a rollout already that has not ended: ${live.id}; ` +
        'start another one when it has ended, which takes the adapters that have no version for it by then',
      {
        rollout_id: live.id,
      },
    );
  }
  const id = newId('rollout');
  const options = await optionsOf(tx, baseModelVersionId, request.options);
  const deadline = options.policy?.deadline === undefined ? null : new Date(options.policy.deadline);
  const traceparent = currentTraceparent();
  const row = await rollouts.insert(tx, { id, baseModelVersionId, options, deadline, traceparent });
  const entries: QueueEntry[] = [toPlanEntry(row)];
  await recordEvent(tx, {
    tenantId: null,
    type: 'rollout.accepted',
    subjectId: id,
    data: { base_model_version_id: baseModelVersionId },
  });
  await writeOutbox(tx, entries);
  return { rollout: toRollout(row, { counts: [], summary: undefined, evolutions: [] }, null), entries };
}

/**
 * Completes the options of a request for a rollout, so that the rollout's row can store them: adds the base model's
 * policy if the request has none, and the defaults.
 */
export async function optionsOf(
  tx: Transaction,
  baseModelVersionId: string,
  options: RolloutOptions,
): Promise<StoredOptions> {
  const policy = options.policy ?? (await createRolloutRepository(tx).defaultPolicy(baseModelVersionId, tx));
  return withDefaults(policy === null ? options : withPolicy(options, policy));
}

type FollowingProducer = Pick<QueueProducer, 'enqueueAfterCommit' | 'remove'>;

/** Producer that does nothing. With it, resumed jobs stay in the outbox until the sweeper enqueues them. */
const SWEPT_LATER: FollowingProducer = {
  enqueueAfterCommit: () => Promise.resolve(),
  remove: () => Promise.resolve(),
};

/**
 * Creates the source by which the sweeper finds rollouts whose queue entries are missing, and by which it finishes what
 * interrupted processes have left undone in rollouts.
 * @param quotas quotas of tenants that have none of their own
 */
export function rolloutRecoverySource(
  db: Database,
  producer: FollowingProducer = SWEPT_LATER,
  quotas: QuotaLimits = NO_QUOTAS,
): RecoverySource {
  const rollouts = createRolloutRepository(db);
  const jobRooms = createJobRooms({ db, defaults: quotas });
  return {
    queue: 'rollouts',
    // Only the queue holds a lease on an analysis: if a worker stalls, the queue itself gives it to another one.
    expired: () => Promise.resolve([]),
    countLive: () => rollouts.countUnplanned(),
    live: async (after, limit) =>
      (await rollouts.unplanned(after, limit)).map((row) => ({ rowId: row.id, entry: toPlanEntry(row) })),
    repair: async () => {
      for (const { id } of await rollouts.unfinishedCancellations()) await cancelInBatches(db, id);
      await followInterrupted({ db, producer });
      await releaseWaiting({ db, producer });
      await joinLateAdapters({ db, producer, jobRooms });
      for (const { id } of await rollouts.unsettled()) await settleInTurn({ db, producer }, id);
    },
  };
}
