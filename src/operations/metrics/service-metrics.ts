import type { Registry } from 'prom-client';
import { QUEUES } from '../../platform/queue/catalog.ts';
import type { QueueProducer } from '../../platform/queue/producer.ts';
import type { Database } from '../../platform/database/database.ts';
import type { Logger } from '../../lib/logger.ts';
import { withTimeout } from '../../lib/timeout.ts';
import { checkReadiness, type Readiness, type ReadinessChecks, type ReadinessWarnings } from '../health/index.ts';
import { LIVE_ROLLOUT_STATES } from '../../fleet/rollouts/index.ts';
import { readTogether, registerReadGauge, single } from './gauges.ts';
import {
  MOST_PENDING,
  readReplicaStates,
  readServiceState,
  REPLICA_STATES,
  type ReplicaStates,
  type ServiceState,
} from './service-state.repository.ts';
import { readWebhookState, type WebhookState } from './webhook-state.repository.ts';

export interface ServiceMetricsOptions {
  db: Database;
  producer: Pick<QueueProducer, 'countByState'>;
  logger: Logger;
  /** Further readiness checks that /readyz runs, besides that of the database. */
  checks: ReadinessChecks;
  warnings: ReadinessWarnings;
  clockToleranceMs: number;
  /** Time for which values that were read for the metrics are cached, in milliseconds (default 5,000). */
  keptMs?: number;
}

interface QueueDepth {
  queue: string;
  counts: Readonly<Record<string, number>>;
}

/**
 * Longest time that a scrape waits for the database and the queue, in milliseconds. Prometheus itself gives up after
 * ten seconds.
 */
const TIMEOUT_MS = 3000;

/**
 * Registers the metrics that describe the whole service. Every API process reads them from the database and the queue
 * when it is scraped.
 */
export function registerServiceMetrics(registry: Registry, options: ServiceMetricsOptions): void {
  const { db, producer, logger, checks, warnings, clockToleranceMs, keptMs = 5000 } = options;
  /**
   * Wraps a read so that its result is cached. If the read fails or takes too long, the cause is logged and the result
   * is null, so that the metrics made from it are left out.
   */
  const reading = <T>(what: string, read: () => Promise<T>): (() => Promise<T | null>) =>
    readTogether(
      () =>
        withTimeout(read(), TIMEOUT_MS, what).catch((error: unknown) => {
          logger.warn({ err: error }, `the metrics of ${what} could not be read`);
          return null;
        }),
      keptMs,
    );
  const readiness = () => checkReadiness({ db, checks, warnings, log: logger, clockToleranceMs });
  registerReadiness(registry, readTogether(readiness, keptMs));
  const state = reading('the database', () => readServiceState(db));
  registerFleet(registry, state);
  registerBacklog(registry, state);
  registerWebhooks(
    registry,
    reading('the webhooks', () => readWebhookState(db)),
  );
  registerReplicas(
    registry,
    reading('the replicas', () => readReplicaStates(db)),
  );
  const depths = async (): Promise<QueueDepth[]> =>
    Promise.all(QUEUES.map(async (queue) => ({ queue, counts: await producer.countByState(queue) })));
  registerDepth(registry, reading('the queue', depths));
}

function registerReadiness(registry: Registry, read: () => Promise<Readiness>): void {
  registerReadGauge(registry, read, {
    name: 'readapt_readiness_check',
    help: 'Whether a check of /readyz is passed: 1 or 0.',
    labelNames: ['check'] as const,
    samples: ({ checks }) => checks.map(({ name: check, ok }) => ({ labels: { check }, value: ok ? 1 : 0 })),
  });
}

/** Registers metrics of rollouts and their jobs. */
function registerFleet(registry: Registry, read: () => Promise<ServiceState | null>): void {
  registerReadGauge(registry, read, {
    name: 'readapt_rollouts',
    help: 'Number of rollouts that have not ended, by state.',
    labelNames: ['state'] as const,
    samples: ({ rollouts }) =>
      LIVE_ROLLOUT_STATES.map((state) => ({
        labels: { state },
        value: rollouts.find((row) => row.state === state)?.count ?? 0,
      })),
  });
  registerReadGauge(registry, read, {
    name: 'readapt_rollouts_awaiting_approval',
    help: 'Number of rollouts whose next wave waits for an approval.',
    samples: ({ awaiting_approval: count }) => single(count),
  });
  registerReadGauge(registry, read, {
    name: 'readapt_jobs',
    help: 'Number of jobs of rollouts that have not ended, by kind and state.',
    labelNames: ['kind', 'state'] as const,
    samples: ({ jobs }) => jobs.map(({ kind, state, count }) => ({ labels: { kind, state }, value: count })),
  });
}

/** Registers metrics of the jobs that wait for the queue, and of those that workers hold. */
function registerBacklog(registry: Registry, read: () => Promise<ServiceState | null>): void {
  registerReadGauge(registry, read, {
    name: 'readapt_outbox_entries',
    help:
      `Number of jobs that the queue has not been given yet, by queue; of all queues, the ` +
      `${MOST_PENDING} oldest are counted.`,
    labelNames: ['queue'] as const,
    samples: ({ outbox }) =>
      QUEUES.map((queue) => ({ labels: { queue }, value: outbox.find((row) => row.queue === queue)?.count ?? 0 })),
  });
  registerReadGauge(registry, read, {
    name: 'readapt_outbox_oldest_age_seconds',
    help: 'How long the oldest job has waited to be given to the queue, in seconds; 0 if none waits.',
    samples: ({ outbox_age: age }) => single(age),
  });
  registerReadGauge(registry, read, {
    name: 'readapt_leases',
    help: 'Number of jobs that workers hold, or held when they died.',
    samples: ({ leases }) => single(leases.held),
  });
  registerReadGauge(registry, read, {
    name: 'readapt_leases_expired',
    help: 'Number of jobs whose worker has let its lease expire, and which no other has taken yet.',
    samples: ({ leases }) => single(leases.expired),
  });
  registerReadGauge(registry, read, {
    name: 'readapt_oldest_lease_age_seconds',
    help: 'For how long the job that was claimed first is held, in seconds; 0 if none is.',
    samples: ({ leases }) => single(leases.age),
  });
}

/**
 * Registers metrics of events that webhook endpoints have not acknowledged yet. The outcomes of requests to endpoints
 * are counted elsewhere, by the process that sends them.
 */
function registerWebhooks(registry: Registry, read: () => Promise<WebhookState | null>): void {
  registerReadGauge(registry, read, {
    name: 'readapt_webhook_endpoints',
    help: 'Number of webhook endpoints: enabled, or disabled because they failed or were gone.',
    labelNames: ['state'] as const,
    samples: (found) => (['enabled', 'disabled'] as const).map((state) => ({ labels: { state }, value: found[state] })),
  });
  registerReadGauge(registry, read, {
    name: 'readapt_webhook_oldest_event_age_seconds',
    help:
      'How long the oldest event has waited that an enabled endpoint has not acknowledged, in seconds; 0 ' +
      'if none waits.',
    samples: ({ oldest_age: age }) => single(age),
  });
  registerReadGauge(registry, read, {
    name: 'readapt_webhook_overdue_seconds',
    help: 'For how long no process has sent what was due to an endpoint, in seconds; 0 if nothing is due.',
    samples: ({ overdue }) => single(overdue),
  });
}

/**
 * Registers the number of replicas in each state. The requests to engines are counted elsewhere, by the process that
 * sends them.
 */
function registerReplicas(registry: Registry, read: () => Promise<ReplicaStates | null>): void {
  registerReadGauge(registry, read, {
    name: 'readapt_replicas',
    help: 'Number of replicas of serving engines, by their state.',
    labelNames: ['state'] as const,
    samples: (found) => REPLICA_STATES.map((state) => ({ labels: { state }, value: found[state] ?? 0 })),
  });
}

function registerDepth(registry: Registry, read: () => Promise<QueueDepth[] | null>): void {
  registerReadGauge(registry, read, {
    name: 'readapt_queue_jobs',
    help: 'Number of jobs in the queue, by queue and by their state there.',
    labelNames: ['queue', 'state'] as const,
    samples: (depths) =>
      depths.flatMap(({ queue, counts }) =>
        Object.entries(counts).map(([state, value]) => ({ labels: { queue, state }, value })),
      ),
  });
}
