import type { QueueEntry } from '../../../platform/queue/catalog.ts';
import { writeOutbox } from '../../../platform/queue/outbox.repository.ts';
import type { QueueProducer } from '../../../platform/queue/producer.ts';
import { withTransaction, type Database, type Transaction } from '../../../platform/database/database.ts';
import { conflict, notFound } from '../../../platform/contract/errors.ts';
import type { RecordChange } from '../../../platform/contract/record-change.ts';
import { recordEvent } from '../../../delivery/events/index.ts';
import { approveWave, markRolloutPaused, type PausedReason } from '../waves/waves.ts';
import { pauseJobs, resumeJobs } from './pause-jobs.ts';
import { lockAndSettle, settleRollout } from '../settlement.ts';
import { limitsRepository } from '../limits/limits.repository.ts';
import { admissionRepository } from '../order/admission.repository.ts';
import { wavesRepository } from '../waves/waves.repository.ts';
import { toPlanEntry } from '../rollout.mapper.ts';
import { LIVE_ROLLOUT_STATES, UNPLANNED_ROLLOUT_STATES } from '../rollout.states.ts';
import { pausingRepository as repository } from './pausing.repository.ts';

/** Number of jobs that one transaction pauses or resumes by default. */
const BATCH = 1000;

const REQUESTED: PausedReason = { code: 'requested', message: 'paused by the operator' };

interface PausingDependencies {
  db: Database;
  producer: Pick<QueueProducer, 'enqueueAfterCommit' | 'remove'>;
  /** Number of jobs that one transaction pauses or resumes; 1,000 by default. */
  readonly batchSize?: number;
}

/**
 * Pauses a rollout and its jobs. If the rollout is paused already, only jobs that an interrupted pause has not reached
 * are paused.
 * @throws AppError 404, 409 `rollout_ended`
 */
export async function pauseRollout(deps: PausingDependencies, id: string, recordChange: RecordChange): Promise<void> {
  await withTransaction(deps.db, async (tx) => {
    const { state } = await requireLive(tx, id, 'paused');
    if (!(await markRolloutPaused(tx, id, state, REQUESTED))) return;
    await recordChange(tx, { tenantId: null, subjectId: id, before: { state }, after: { state: 'paused' } });
  });
  await deps.producer.remove('rollouts', [id]);
  await followInBatches(deps, id);
}

/**
 * Resumes a paused rollout and the jobs that were paused with it. If the rollout is not paused, only jobs that an
 * interrupted resumption has not reached are resumed.
 * @throws AppError 404, 409 `rollout_ended`
 */
export async function resumeRollout(deps: PausingDependencies, id: string, recordChange: RecordChange): Promise<void> {
  const entries = await withTransaction(deps.db, async (tx) => {
    const rollout = await requireLive(tx, id, 'resumed');
    const state = await repository.resume(tx, id);
    if (state === null) return [];
    await recordEvent(tx, { tenantId: null, type: `rollout.${state}`, subjectId: id, data: { from: 'paused' } });
    await recordChange(tx, { tenantId: null, subjectId: id, before: { state: 'paused' }, after: { state } });
    const planning = UNPLANNED_ROLLOUT_STATES.some((unplanned) => unplanned === state) ? [toPlanEntry(rollout)] : [];
    await writeOutbox(tx, planning);
    return planning;
  });
  await deps.producer.enqueueAfterCommit(entries);
  await followInBatches(deps, id);
}

async function requireLive(tx: Transaction, id: string, what: string) {
  const rollout = await repository.lock(tx, id);
  if (rollout === null) throw notFound('rollout', id);
  if (LIVE_ROLLOUT_STATES.some((state) => state === rollout.state)) return rollout;
  throw conflict('rollout_ended', `rollout ${id} cannot be ${what}: it has ended and is ${rollout.state}`);
}

/**
 * Pauses the jobs of a paused rollout, or resumes and releases those of a running one, in batches that are committed
 * one by one, so that no transaction blocks a large fleet. If the process dies in between, the next call changes the
 * rest; until then, workers claim no job of a paused rollout. Each batch reads the rollout's state anew: if the rollout
 * is paused soon after a resumption, the resumed jobs are paused again.
 */
export async function followInBatches(
  { db, producer, batchSize = BATCH }: PausingDependencies,
  id: string,
): Promise<void> {
  for (;;) {
    const batch = await withTransaction(db, (tx) => followBatch(tx, { rolloutId: id, limit: batchSize }));
    await producer.enqueueAfterCommit(batch.entries);
    await producer.remove('adaptations', batch.removed);
    if (batch.isLast) return;
  }
}

interface Batch {
  /** Queue entries to add after the commit. */
  readonly entries: readonly QueueEntry[];
  /** Identifiers of paused jobs whose entries have to be removed from the queue. */
  readonly removed: readonly string[];
  readonly isLast: boolean;
}

const NOTHING_LEFT: Batch = { entries: [], removed: [], isLast: true };

async function followBatch(tx: Transaction, which: { rolloutId: string; limit: number }): Promise<Batch> {
  const { rolloutId: id, limit } = which;
  const rollout = await repository.lock(tx, id);
  if (rollout === null || !rollout.jobs_follow) return NOTHING_LEFT;
  if (rollout.state === 'paused') {
    const jobs = await pauseJobs(tx, which);
    const isLast = jobs.length < limit;
    if (isLast) await repository.endFollowing(tx, id);
    return { entries: [], removed: jobs.filter((job) => job.old_state === 'queued').map((job) => job.id), isLast };
  }
  const goesOn = LIVE_ROLLOUT_STATES.some((state) => state === rollout.state);
  const { jobs, entries } = goesOn ? await resumeJobs(tx, which) : { jobs: [], entries: [] };
  const isLast = jobs.length < limit;
  if (isLast) await repository.endFollowing(tx, id);
  if (!isLast || !goesOn) return { entries, removed: [], isLast };
  // Jobs may have ended after their rollout was paused and before they were, and a wave may be empty.
  const settled = await settleRollout(tx, id);
  const after = await repository.lock(tx, id);
  return { entries: [...entries, ...settled], removed: [], isLast: after?.jobs_follow !== true };
}

/**
 * Releases, on behalf of the operator, a wave that waits for an approval. If the wave is released already, nothing
 * changes.
 * @throws AppError 404, 409 `rollout_ended`, `rollout_paused` or `wave_not_waiting`
 */
export async function approveRollout(
  deps: PausingDependencies,
  { id, wave }: { id: string; wave: number },
  recordChange: RecordChange,
): Promise<void> {
  await withTransaction(deps.db, async (tx) => {
    const { state } = await requireLive(tx, id, 'approved');
    if (state === 'paused') throw conflict('rollout_paused', `rollout ${id} is paused: resume it first`);
    if (!(await approveWave(tx, id, wave))) return;
    await recordChange(tx, { tenantId: null, subjectId: id, before: { wave: wave - 1 }, after: { wave } });
  });
  await followInBatches(deps, id);
}

/**
 * Brings a rollout up to date although none of its jobs has just ended: releases its next wave, admits waiting jobs, or
 * completes the rollout, as far as its jobs allow.
 */
export async function settleInTurn({ db, producer }: PausingDependencies, id: string): Promise<void> {
  await producer.enqueueAfterCommit(await lockAndSettle(db, id));
}

/**
 * Brings rollouts up to date for which no process has done so yet, because the last unfinished job of a wave was
 * paused, an admission skipped jobs, a deadline has passed, or a process died while it paused or resumed jobs.
 */
export async function followInterrupted(deps: PausingDependencies): Promise<void> {
  for (const find of [wavesRepository.stalled, admissionRepository.withRoom, limitsRepository.overdue]) {
    for (const { id } of await find(deps.db)) await settleInTurn(deps, id);
  }
  for (const { id } of await repository.followed(deps.db)) await followInBatches(deps, id);
}
