import { Histogram, type Registry } from 'prom-client';

export interface SyncMetrics {
  request(operation: string, outcome: string, latencyMs: number): void;
}

/** Registers metrics of this process's requests to replicas. */
export function createSyncMetrics(registry: Registry): SyncMetrics {
  const requests = new Histogram({
    name: 'readapt_replica_request_duration_seconds',
    help: 'Time of a request to a replica of a serving engine, by its operation and outcome, in seconds.',
    labelNames: ['operation', 'outcome'] as const,
    buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers: [registry],
  });
  return { request: (operation, outcome, latencyMs) => requests.observe({ operation, outcome }, latencyMs / 1000) };
}
