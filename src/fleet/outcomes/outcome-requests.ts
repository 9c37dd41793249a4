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
 * Largest number of requests for measurements that are in the queue at a time. The import of a fleet must not fill the
 * queue, and while a rollout waits, workers take such a request and give it back again and again.
 */
const MOST_QUEUED = 20;

/** Settings of an adapter that decide whether its versions are measured in advance. */
export interface MeasuredTask {
  readonly gate: unknown;
  readonly datasetId: string | null;
}

/**
 * Requests that versions of an adapter be measured on its gate rows. Does nothing if the adapter has no dataset, or if
 * its gate does not compare later versions with earlier ones.
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

/**
 * Creates the source by which the sweeper finds requests for measurements whose queue entries are missing. It also puts
 * new requests into the queue, a few at a time.
 */
export function outcomesRecoverySource(db: Database): RecoverySource {
  return {
    queue: 'adaptations',
    expired: async () => (await repository.queueNext(db, MOST_QUEUED)).map(toEntry),
    countLive: () => repository.countQueued(db),
    live: async (after, limit) =>
      (await repository.queued(db, after, limit)).map((row) => ({ rowId: row.id, entry: toEntry(row) })),
  };
}

/** Adapter version that is measured, with the fields that the events about it contain. */
export interface MeasuredVersion {
  readonly id: string;
  readonly tenantId: string;
  readonly adapterId: string;
  readonly number: number;
}

const NOTHING: LeftToOthers = { bases: [], jobs: [] };

/** Changes that a worker makes to requests for measurements. */
export interface OutcomeRequests {
  /** Claims a request for a worker. Returns null if another worker has claimed it, or its version is deleted. */
  claim(lease: MeasurementLease): Promise<ClaimedRequest | null>;
  /** Renews the lease on a request. Returns false if the lease is lost or the version is deleted. */
  renew(lease: MeasurementLease): Promise<boolean>;
  /**
   * Releases the lease on a request. An `excused` attempt ended through no fault of the version, and does not count.
   */
  release(lease: MeasurementLease, how: { excused: boolean }): Promise<number>;
  /**
   * Reads how long a request is still leased, in milliseconds: 0 if no worker has claimed the request, and negative if
   * its lease has expired. Null if there is no request, or its version is deleted.
   */
  leaseLeft(versionId: string): Promise<number | null>;
  withdraw(versionId: string): Promise<number>;
  /**
   * Whether a rollout has waiting work that this worker can do. `left` is the work that this worker leaves to others.
   */
  isRolloutWaiting(left?: LeftToOthers): Promise<boolean>;
  /**
   * Stores a measurement and deletes its request. Returns false, and stores nothing, if the lease is lost or if the
   * measurement was requested again meanwhile, because the gate rows may have changed.
   */
  complete(
    lease: MeasurementLease,
    claimed: ClaimedRequest,
    measured: { version: MeasuredVersion; metric: MetricName; outcomes: MeasuredOutcomes },
  ): Promise<boolean>;
  /**
   * Deletes a request whose version cannot be measured. The next job of the adapter measures the version itself, or
   * reports the error. Returns false, and keeps the request, if the lease is lost or if the measurement was requested
   * again meanwhile.
   */
  giveUp(
    lease: MeasurementLease,
    claimed: ClaimedRequest,
    failure: { version: MeasuredVersion; error: { code: string; message: string } },
  ): Promise<boolean>;
}

/** Queries on requests for measurements that other parts of the service use. */
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
