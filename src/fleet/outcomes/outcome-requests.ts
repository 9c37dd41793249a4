import { needsOldVersion, type GateRule } from '../../../core/options/gates.ts';
import type { MetricName } from '../../../core/options/metrics.ts';
import type { QueueEntry } from '../../platform/queue/catalog.ts';
import { OUTCOMES_PRIORITY } from '../../platform/queue/priorities.ts';
import type { RecoverySource } from '../../platform/queue/sweeper.ts';
import { withTransaction, type Database, type Transaction } from '../../platform/database/database.ts';
import { recordEvent } from '../../delivery/events/index.ts';
import { keepOutcomes, type MeasuredOutcomes } from './gate-outcomes.repository.ts';
import {
  outcomeRequestRepository as repository,
  type ClaimedRequest,
  type LeftToOthers,
  type MeasurementLease,
} from './outcome-request.repository.ts';

/**
 * Largest number of requests in the queue at a time. An imported fleet must not fill the queue, and each request
 * returns to a worker again and again while a rollout waits.
 */
const MOST_QUEUED = 20;

/** Properties that decide whether measuring a version in advance is worthwhile. */
export interface MeasuredTask {
  readonly gate: unknown;
  readonly datasetId: string | null;
}

/**
 * Requests measurements of an adapter's versions on its gate rows, if the gate will compare later versions with them.
 */
export async function requestOutcomes(
  tx: Transaction,
  { gate, datasetId }: MeasuredTask,
  { tenantId, versionIds }: { readonly tenantId: string; readonly versionIds: readonly string[] },
): Promise<void> {
  if (datasetId === null || versionIds.length === 0 || !needsOldVersion(gate as GateRule)) return;
  await repository.request(tx, tenantId, versionIds);
}

function toEntry({ id: versionId }: { readonly id: string }): QueueEntry {
  return { name: 'outcomes.measure', id: `${versionId}-outcomes`, payload: { versionId }, priority: OUTCOMES_PRIORITY };
}

/** Recovery source for requests, which also enqueues them a few at a time. */
export function outcomesRecoverySource(db: Database): RecoverySource {
  return {
    queue: 'adaptations',
    expired: async () => (await repository.queueNext(db, MOST_QUEUED)).map(toEntry),
    countLive: () => repository.countQueued(db),
    live: async (after, limit) =>
      (await repository.queued(db, after, limit)).map((row) => ({ rowId: row.id, entry: toEntry(row) })),
  };
}

/** Measured version, as named in its events. */
export interface MeasuredVersion {
  readonly id: string;
  readonly tenantId: string;
  readonly adapterId: string;
  readonly number: number;
}

const NOTHING: LeftToOthers = { bases: [], jobs: [] };

/** Changes that a worker makes to requests. */
export interface OutcomeRequests {
  /** Claims a request whose version exists and that no worker holds. */
  claim(lease: MeasurementLease): Promise<ClaimedRequest | null>;
  /** Renews a lease. False if it is lost, or if the version was deleted. */
  renew(lease: MeasurementLease): Promise<boolean>;
  /** Releases a lease. An `excused` attempt ended through no fault of the version and does not count. */
  release(lease: MeasurementLease, how: { excused: boolean }): Promise<number>;
  /** Milliseconds left of the lease on a request; null if there is none, or if its version was deleted. */
  leaseLeft(versionId: string): Promise<number | null>;
  withdraw(versionId: string): Promise<number>;
  /** Whether rollout work that this worker could run is waiting. */
  isRolloutWaiting(left?: LeftToOthers): Promise<boolean>;
  /**
   * Stores the measurement. If it was requested again meanwhile, the rows may have changed: then nothing is stored, and
   * the result is false.
   */
  complete(
    lease: MeasurementLease,
    claimed: ClaimedRequest,
    measured: { version: MeasuredVersion; metric: MetricName; outcomes: MeasuredOutcomes },
  ): Promise<boolean>;
  /** Drops a request that cannot be fulfilled. The next job measures the version itself, or reports the error. */
  giveUp(
    lease: MeasurementLease,
    claimed: ClaimedRequest,
    failure: { version: MeasuredVersion; error: { code: string; message: string } },
  ): Promise<boolean>;
}

/** Queries of the repository that other rooms use. */
export const { isRolloutWaiting, withdraw: withdrawOutcomeRequest } = repository;

export function createOutcomeRequests({ db, leaseMs = 15_000 }: { db: Database; leaseMs?: number }): OutcomeRequests {
  const end = (
    lease: MeasurementLease,
    claimed: ClaimedRequest,
    also: (tx: Transaction) => Promise<void>,
  ): Promise<boolean> =>
    withTransaction(db, async (tx) => {
      const ended = await repository.end(tx, lease, claimed);
      if (ended) await also(tx);
      return ended;
    });
  const event = ({ id: subjectId, tenantId, adapterId: adapter_id, number }: MeasuredVersion) => ({
    tenantId,
    subjectId,
    data: { adapter_id, number },
  });

  return {
    claim: (lease: MeasurementLease) => repository.claim(db, lease, leaseMs),
    renew: (lease: MeasurementLease) => repository.renew(db, lease, leaseMs),
    release: (lease: MeasurementLease, how: { excused: boolean }) => repository.release(db, lease, how),
    leaseLeft: (versionId: string) => repository.leaseLeft(db, versionId),
    withdraw: (versionId: string) => repository.withdraw(db, versionId),
    isRolloutWaiting: (left: LeftToOthers = NOTHING) => repository.isRolloutWaiting(db, left),

    complete: (
      lease: MeasurementLease,
      claimed: ClaimedRequest,
      { version, metric, outcomes }: { version: MeasuredVersion; metric: MetricName; outcomes: MeasuredOutcomes },
    ): Promise<boolean> =>
      end(lease, claimed, async (tx) => {
        await keepOutcomes(tx, version, outcomes);
        const { data, ...about } = event(version);
        const measured = { ...data, metric, value: outcomes.value };
        await recordEvent(tx, { ...about, type: 'adapter_version.measured', data: measured });
      }),

    giveUp: (
      lease: MeasurementLease,
      claimed: ClaimedRequest,
      { version, error }: { version: MeasuredVersion; error: { code: string; message: string } },
    ): Promise<boolean> =>
      end(lease, claimed, async (tx) => {
        const { data, ...about } = event(version);
        const { code, message } = error;
        const failed = { ...data, error: { code, message } };
        await recordEvent(tx, { ...about, type: 'adapter_version.not_measured', data: failed });
      }),
  };
}
