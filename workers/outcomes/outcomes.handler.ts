import { randomUUID } from 'node:crypto';
import os from 'node:os';
import type { OutcomesSpec } from '../../core/adaptation/measurements/version-outcomes.ts';
import { METRICS, type MetricName } from '../../core/options/metrics.ts';
import type { ArtifactStore } from '../../src/platform/artifacts/artifact-store.ts';
import { locateVerified } from '../../src/platform/artifacts/index.ts';
import { NO_QUOTAS, type QuotaLimits } from '../../src/platform/config/quotas.ts';
import {
  attemptEnd,
  limitStarts,
  PermanentError,
  TryLaterError,
  type HandlerContext,
  type HandlerSet,
} from '../../src/platform/queue/index.ts';
import type { Database } from '../../src/platform/database/database.ts';
import { createOutcomeRequests, type ClaimedRequest, type OutcomeRequests } from '../../src/fleet/outcomes/index.ts';
import { createJobRooms } from '../../src/tenants/quotas/index.ts';
import { gateSpecOf, oneOf } from '../adaptations/build-job-spec.ts';
import type { MemoryCheck } from '../adaptations/memory-check.ts';
import { BaseAvailability } from '../bases/base-availability.ts';
import { withFetchedBases } from '../bases/fetch-faults.ts';
import { FOLDERS_ONLY, type LocalBases } from '../bases/local-bases.ts';
import { acquireDevice, classifyError, reportingFaults } from '../faults/handler-faults.ts';
import { storedProblem } from '../faults/stored-problem.ts';
import type { TrainingProcess, TrainingSlot } from '../training/training-process.ts';
import { PreemptedError, watchMeasurement } from './measurement-watch.ts';
import { outcomesRepository, type LoadedVersion } from './outcomes.repository.ts';

export interface OutcomesDependencies {
  db: Database;
  artifacts: ArtifactStore;
  training: TrainingProcess;
  /** Largest number of tokens for measuring an adapter once. Default: no limit. */
  measuredTokens?: number;
  /** Quotas that apply to tenants without quotas of their own. Default: no limits. */
  quotas?: QuotaLimits;
  /** Tracker of the base model versions whose files this worker has recently failed to read. */
  availability?: BaseAvailability;
  /** Access to the files of bases on this worker. Default: every base is in the folder that its database row names. */
  local?: LocalBases;
  /** Tracker of the jobs that need more memory than this worker has. */
  check?: Pick<MemoryCheck, 'left'>;
  leaseMs?: number;
  heartbeatMs?: number;
  /**
   * Delay before a measurement is tried again after it gave way to a rollout, or because it needs a worker with more
   * memory, in milliseconds (default 5,000).
   */
  askAgainMs?: number;
}

/** Default delay before a measurement is tried again, in milliseconds. */
const ASK_AGAIN_MS = 5000;

/** Interval at which a running measurement checks whether a rollout waits, in milliseconds. */
const LOOK_MS = 250;

/**
 * Makes the handler of the queue entry `outcomes.measure`. It uses the idle time of a worker to measure, in advance, an
 * adapter version with which jobs of the next rollout compare their results.
 */
export function outcomesHandlers(deps: OutcomesDependencies): HandlerSet {
  const { db, availability = new BaseAvailability(), local = FOLDERS_ONLY, check, leaseMs } = deps;
  const { askAgainMs = ASK_AGAIN_MS } = deps;
  const requests = createOutcomeRequests({ db, leaseMs });
  // Work that this worker leaves to others does not block the measurement.
  const isRolloutWaiting = () =>
    requests.isRolloutWaiting({ bases: availability.unreadable, jobs: [...availability.left, ...(check?.left ?? [])] });
  return {
    'outcomes.measure': ({ versionId }, context) =>
      reportingFaults(async () => {
        if (await isRolloutWaiting()) throw new TryLaterError('a rollout comes first', askAgainMs);
        const version = await outcomesRepository.load(db, versionId);
        if (version === null || !(await isAllowed(deps, version))) {
          await requests.withdraw(versionId);
          return;
        }
        const bases = [version.baseModelVersion];
        const { signal } = context;
        const user = { id: versionId, bases: bases.map(local.locate), signal, note: () => Promise.resolve() };
        const measure = async () => {
          const slot = await acquireDevice(deps.training, context.signal);
          try {
            await deps.artifacts.holding((artifacts) =>
              claimAndMeasure(
                { ...deps, askAgainMs, artifacts, requests, isRolloutWaiting, slot, context },
                version.id,
              ),
            );
          } finally {
            slot.release();
          }
        };
        await availability.run(user, () => withFetchedBases(local, bases, user, measure));
      }),
  };
}

/**
 * Whether an adapter version can be measured in advance and its tenant has device seconds left. If not, a later job
 * that needs the measurement reports the reason.
 */
async function isAllowed({ db, quotas = NO_QUOTAS }: OutcomesDependencies, version: LoadedVersion): Promise<boolean> {
  const { adapter, deletedAt, tenantId } = version;
  if (deletedAt !== null || adapter.deletedAt !== null || adapter.dataset === null) return false;
  // On prompts alone, a version is right by definition: a job takes the version's own answers as correct.
  if (adapter.dataset.promptsOnly) return false;
  return (await createJobRooms({ db, defaults: quotas }).deviceRefusal(tenantId)) === null;
}

interface Measuring extends OutcomesDependencies {
  askAgainMs: number;
  requests: OutcomeRequests;
  isRolloutWaiting(): Promise<boolean>;
  slot: TrainingSlot;
  context: HandlerContext;
}

async function claimAndMeasure(measuring: Measuring, versionId: string): Promise<void> {
  const { db, requests, context } = measuring;
  const lease = { versionId, owner: `${os.hostname()}:${process.pid}:${randomUUID()}` };
  const claimed = await requests.claim(lease);
  if (claimed === null) {
    const leftMs = await requests.leaseLeft(versionId);
    if (leftMs !== null)
      throw new TryLaterError(`version ${versionId} is measured by another worker`, Math.max(0, leftMs) + 500);
    await requests.withdraw(versionId);
    return;
  }
  // Load the version again, because its rows may have changed before the claim.
  const version = await outcomesRepository.load(db, versionId);
  if (version === null) return;
  if (version.adapter.dataset?.promptsOnly) {
    await requests.withdraw(versionId);
    return;
  }
  const logger = context.logger.child({ versionId, tenantId: version.tenantId, attempt: claimed.attempt });
  await new Measurement({ ...measuring, context: { ...context, logger } }, { lease, claimed, version }).run();
}

interface Claim {
  readonly lease: Parameters<OutcomeRequests['renew']>[0];
  readonly claimed: ClaimedRequest;
  readonly version: LoadedVersion;
}

/** Measurement of an adapter version that this worker has claimed. */
class Measurement {
  readonly #deps: Measuring;
  readonly #claim: Claim;

  constructor(deps: Measuring, claim: Claim) {
    this.#deps = deps;
    this.#claim = claim;
  }

  async run(): Promise<void> {
    const { requests, isRolloutWaiting, slot, context, heartbeatMs = 1000 } = this.#deps;
    const { lease, claimed, version } = this.#claim;
    const intervalMs = Math.min(heartbeatMs, LOOK_MS);
    const watch = watchMeasurement({ renew: () => requests.renew(lease), isRolloutWaiting, intervalMs });
    try {
      limitStarts('outcomes.measure', claimed.attempt, 'the measurement was begun');
      const spec = await this.#spec();
      const { outcomes } = await slot.outcomes(spec, AbortSignal.any([context.signal, watch.ended]));
      if (outcomes === null) throw notFinite(spec.metric);
      const metric = version.adapter.metric as MetricName;
      const isKept = await requests.complete(lease, claimed, { version, metric, outcomes });
      if (isKept) return context.logger.info({ value: outcomes.value }, 'adapter version measured');
    } catch (error) {
      await this.#conclude(error, watch.ended);
      return;
    } finally {
      watch.stop();
    }
    await requests.release(lease, { excused: true });
    // If the request was withdrawn meanwhile, the next attempt finds none.
    throw new TryLaterError('the rows have changed since the measurement began', 0);
  }

  /**
   * Ends the request for a measurement after a failed attempt, or releases it for another attempt, and tells the queue
   * whether to try again.
   */
  async #conclude(error: unknown, ended: AbortSignal): Promise<void> {
    const { requests, context, askAgainMs } = this.#deps;
    const { lease, claimed, version } = this.#claim;
    const attempt = attemptEnd(error, context, (cause) => classifyError(cause, askAgainMs));
    const { end } = attempt;
    if (end !== 'stopped' && ended.aborted) {
      const makesRoom = ended.reason instanceof PreemptedError;
      context.logger.debug({ reason: String(ended.reason) }, 'measurement ended early');
      await requests.release(lease, { excused: makesRoom });
      if (makesRoom) throw new TryLaterError('a rollout comes first', askAgainMs);
      return;
    }
    if (end === 'fail') await requests.giveUp(lease, claimed, { version, error: storedProblem(attempt.cause) });
    else await requests.release(lease, { excused: end === 'stopped' || end === 'worker-fault' });
    throw attempt.error;
  }

  async #spec(): Promise<OutcomesSpec> {
    const { db, artifacts, local = FOLDERS_ONLY, measuredTokens } = this.#deps;
    const { version } = this.#claim;
    const { adapter } = version;
    if (adapter.dataset === null) {
      throw new PermanentError(`adapter ${adapter.id} has no dataset`, { code: 'dataset_missing' });
    }
    return {
      base: local.locate(version.baseModelVersion).path,
      adapter: await locateVerified(db, artifacts, version.artifactDigest),
      data: { file: await locateVerified(db, artifacts, adapter.dataset.artifactDigest) },
      metric: oneOf(METRICS, adapter.metric, `metric of adapter ${adapter.id}`),
      ...gateSpecOf(adapter, measuredTokens),
    };
  }
}

function notFinite(metric: string): PermanentError {
  return new PermanentError(`the ${metric} of the version is not a finite number`, { code: 'not_finite' });
}
