import path from 'node:path';
import type { ProvisionalOutcome, ProvisionalSpec } from '../../core/adaptation/provisional.ts';
import { readAdapterConfig } from '../../core/formats/peft/peft-config.ts';
import { locateArtifact, locateVerified, registerArtifact } from '../../src/platform/artifacts/index.ts';
import type { ArtifactStore, StoredArtifact } from '../../src/platform/artifacts/artifact-store.ts';
import {
  attemptEnd,
  limitStarts,
  PermanentError,
  type HandlerContext,
  type HandlerSet,
  type QueueProducer,
} from '../../src/platform/queue/index.ts';
import type { Database, Transaction } from '../../src/platform/database/database.ts';
import { newId } from '../../src/platform/contract/ids.ts';
import { insertAdapterVersion, lockAdapter } from '../../src/fleet/adapters/index.ts';
import { recordEvent } from '../../src/delivery/events/index.ts';
import {
  beginProvision,
  changeAndSettle,
  endProvision,
  excuseProvision,
  followInBatches,
  loadProvision,
  standingOfProvision,
  type LoadedProvision,
  type StoredOptions,
} from '../../src/fleet/rollouts/index.ts';
import { adaptationRepository } from '../adaptations/adaptation.repository.ts';
import { anchorRepository } from '../adaptations/anchors/anchor.repository.ts';
import { leavingUnreadable } from '../adaptations/leave-unreadable.ts';
import type { BaseAvailability } from '../bases/base-availability.ts';
import { FOLDERS_ONLY, type LocalBases } from '../bases/local-bases.ts';
import { watchCancellation } from '../training/cancellation-watch.ts';
import { acquireDevice, classifyError, reportingFaults } from '../faults/handler-faults.ts';
import { requireServable } from '../adaptations/serving-check.ts';
import { storedProblem } from '../faults/stored-problem.ts';
import type { TrainingProcess, TrainingSlot } from '../training/training-process.ts';

export interface ProvisionDependencies {
  db: Database;
  artifacts: ArtifactStore;
  producer: QueueProducer;
  training: TrainingProcess;
  /** Interval at which a running attempt checks whether its provisional version is still wanted. */
  heartbeatMs?: number;
  /** Tracker of the base model versions whose files this worker has recently failed to read. */
  availability: BaseAvailability;
  /**
   * Time for which an old base must be unreadable before the provisional versions that need it are given up, in
   * milliseconds. Default: ten minutes.
   */
  unreadableMs?: number;
  /** Access to the files of bases on this worker. Default: every base is in the folder that its database row names. */
  local?: LocalBases;
}

interface Provision extends ProvisionDependencies {
  slot: TrainingSlot;
  context: HandlerContext;
  job: LoadedProvision & { sourceVersion: NonNullable<LoadedProvision['sourceVersion']> };
}

/**
 * Time for which an old base must be unreadable before the provisional versions that need it are given up (ten
 * minutes), in milliseconds. It is short because the first wave waits for all provisional versions, including those of
 * other old bases.
 */
const UNREADABLE_MS = 10 * 60_000;

/** Provisional version that the training process has made, before it is stored as a row. */
interface Made {
  stored: StoredArtifact;
  outcome: ProvisionalOutcome;
  rank: number;
  loraAlpha: number;
}

/**
 * Makes the handler of `adaptation.provision`, which makes a provisional version of an adapter, without data, before
 * the first wave of the rollout.
 */
export function provisionHandlers(deps: ProvisionDependencies): HandlerSet {
  return {
    'adaptation.provision': ({ jobId }, context) =>
      reportingFaults(async () => {
        const job = await loadProvision(deps.db, jobId);
        const standing = await standingOfProvision(deps.db, jobId);
        // When a paused rollout is resumed, the sweeper enqueues this entry again.
        if (job === null || standing === 'paused') return;
        // Check this before the bases are needed, which may not be readable any more.
        if (job.sourceVersion === null || standing === 'over') return end(deps, job, null);
        await provideOrLeave(deps, { ...job, sourceVersion: job.sourceVersion }, context);
      }),
  };
}

function provideOrLeave(deps: ProvisionDependencies, job: Provision['job'], context: HandlerContext): Promise<void> {
  const { db, availability, local = FOLDERS_ONLY } = deps;
  const onLeft = () => giveUpUnreadable(deps, job);
  return leavingUnreadable({ db, availability, local, workerId: null, onLeft }, job.id, context, async () => {
    const slot = await acquireDevice(deps.training, context.signal);
    try {
      await deps.artifacts.holding((artifacts) => provide({ ...deps, artifacts, slot, context, job }));
    } finally {
      slot.release();
    }
  });
}

/**
 * Gives up the provisional version of an adapter whose old base no worker can read any more, so that the rollout does
 * not wait for this version.
 */
async function giveUpUnreadable(deps: ProvisionDependencies, job: Provision['job']): Promise<void> {
  const { db, availability, unreadableMs = UNREADABLE_MS } = deps;
  const { baseModelVersionId: oldBaseId } = job.sourceVersion;
  const problem = availability.unreadableFor(oldBaseId, unreadableMs);
  if (problem === null || (await anchorRepository.othersMayRead(db, oldBaseId, null))) return;
  const { code, message } = problem;
  await end(deps, job, null, { code, message });
}

async function provide(provision: Provision): Promise<void> {
  const { db, artifacts, slot, context, job, heartbeatMs = 1000 } = provision;
  const isWanted = async () => (await standingOfProvision(db, job.id)) === 'wanted';
  const watch = watchCancellation(isWanted, `the provisional version of job ${job.id} is not wanted now`, heartbeatMs);
  try {
    const starts = await beginProvision(db, job.id);
    if (starts === null) return;
    limitStarts('adaptation.provision', starts, `the provisional version of job ${job.id} was begun`);
    await artifacts.withScratch(async (scratch) => {
      const spec = await buildSpec(provision, path.join(scratch, 'adapter'));
      const outcome = await slot.provisional(spec, AbortSignal.any([context.signal, watch.cancelled]));
      const { rank, alpha: loraAlpha } = await readAdapterConfig(outcome.dir);
      const stored = await artifacts.putFolder(outcome.dir, 'adapter');
      await end(provision, job, { stored, outcome, rank, loraAlpha });
    });
    context.logger.info({ jobId: job.id, rolloutId: job.rolloutId }, 'provisional version made');
  } catch (error) {
    if (!watch.cancelled.aborted) await conclude(provision, error);
  } finally {
    watch.stop();
  }
}

async function buildSpec(
  { db, artifacts, local = FOLDERS_ONLY, job }: Provision,
  outDir: string,
): Promise<ProvisionalSpec> {
  const { sourceVersion: source, rollout } = job;
  const { baseModelVersion: newBase } = rollout;
  const strategy = (rollout.options as StoredOptions).policy?.provisional ?? 'none';
  if (strategy === 'none') throw new PermanentError(`rollout ${rollout.id} wants no provisional versions`);
  const evolution = await adaptationRepository.evolution(db, source.baseModelVersionId, newBase.id);
  const digest = evolution?.state === 'ready' ? evolution.artifactDigest : null;
  const files = {
    oldBase: local.locate(source.baseModelVersion).path,
    adapter: await locateVerified(db, artifacts, source.artifactDigest),
  };
  await requireServable(newBase.baseModel, files);
  return {
    ...files,
    newBase: local.locate(newBase).path,
    newBaseName: newBase.servingName,
    parent: source.id,
    strategy,
    evolution: digest === null ? null : await locateArtifact(db, artifacts, digest),
    outDir,
  };
}

/**
 * Ends a failed attempt to make a provisional version: either it is tried again, or the version is given up. The
 * adapter's job is not affected, and reports the same problem if it meets it.
 */
async function conclude(provision: Provision, error: unknown): Promise<never> {
  const { db, context, job } = provision;
  const attempt = attemptEnd(error, context, classifyError);
  if (attempt.end === 'stopped' || attempt.end === 'worker-fault') await excuseProvision(db, job.id);
  if (attempt.end === 'fail') {
    const { code, message } = storedProblem(attempt.cause);
    await end(provision, job, null, { code, message });
  }
  throw attempt.error;
}

/**
 * Ends the request for a provisional version: stores the version, or the error if none could be made. When the last
 * request of a rollout ends, the rollout's first wave is released.
 */
async function end(
  { db, artifacts, producer }: ProvisionDependencies,
  job: LoadedProvision,
  made: Made | null,
  error: { code: string; message: string } | null = null,
): Promise<void> {
  const { entries } = await changeAndSettle(db, job.rolloutId, async (tx) => {
    await lockAdapter(tx, job.adapterId);
    const ended = await endProvision(tx, job.id);
    if (ended === null) return null;
    if (made !== null && ended.wanted) await insertVersion(tx, artifacts, job, made);
    if (error !== null) await recordFailure(tx, job, error);
    return ended;
  });
  await producer.enqueueAfterCommit(entries);
  await followInBatches({ db, producer }, job.rolloutId);
}

async function insertVersion(
  tx: Transaction,
  artifacts: ArtifactStore,
  job: LoadedProvision,
  { stored, outcome, rank, loraAlpha }: Made,
): Promise<void> {
  const { tenantId, adapterId, rollout, sourceVersionId: parentVersionId, id: jobId } = job;
  const { baseModelVersionId } = rollout;
  const strategy = outcome.beta === 0 ? 'reuse' : 'revert';
  await registerArtifact(tx, artifacts, stored);
  const { id, number } = await insertAdapterVersion(tx, {
    id: newId('adapterVersion'),
    tenantId,
    adapterId,
    baseModelVersionId,
    parentVersionId,
    origin: 'adapted',
    provisional: true,
    artifactDigest: stored.digest,
    rank,
    loraAlpha,
    strategy,
    fusionAlpha: outcome.alpha,
    fusionBeta: outcome.beta,
    jobId,
  });
  const data = {
    adapter_id: adapterId,
    number,
    digest: stored.digest,
    strategy,
    job_id: jobId,
    rollout_id: rollout.id,
  };
  await recordEvent(tx, { tenantId, type: 'adapter_version.provisional', subjectId: id, data });
}

function recordFailure(
  tx: Transaction,
  { tenantId, id: subjectId, adapterId, rolloutId }: LoadedProvision,
  error: { code: string; message: string },
): Promise<void> {
  const data = { adapter_id: adapterId, rollout_id: rolloutId, error };
  return recordEvent(tx, { tenantId, type: 'job.without_provisional', subjectId, data });
}
