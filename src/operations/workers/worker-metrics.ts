import { Gauge, type Registry } from 'prom-client';
import type { Database } from '../../platform/database/database.ts';
import type { Logger } from '../../lib/logger.ts';
import { withTimeout } from '../../lib/timeout.ts';
import { unstoppedWorkers, type WorkerRow } from './worker.repository.ts';

/**
 * States of workers that the metrics count. A `gone` worker has neither stopped by itself nor sent a heartbeat lately;
 * its row is kept for a day.
 */
const STATES = ['ready', 'draining', 'quarantined', 'gone'] as const;

/** Longest time that a scrape waits for the database, in milliseconds. Prometheus itself gives up after ten seconds. */
const TIMEOUT_MS = 3000;

/** Metrics that have one value for each worker that is not gone. */
const OF_EACH: readonly { name: string; help: string; value: (row: WorkerRow) => number | null }[] = [
  {
    name: 'readapt_worker_jobs_done',
    help: 'Number of queue jobs that the worker has done since it started.',
    value: (row) => row.jobsDone,
  },
  {
    name: 'readapt_worker_jobs_failed',
    help: 'Number of attempts that failed, faults of the machine apart.',
    value: (row) => row.jobsFailed,
  },
  { name: 'readapt_worker_faults', help: "Number of faults of the worker's machine.", value: (row) => row.faults },
  {
    name: 'readapt_worker_busy_seconds',
    help: 'How long the worker has worked on jobs, in seconds.',
    value: (row) => row.busyMs / 1000,
  },
  {
    name: 'readapt_worker_running_jobs',
    help: 'Whether the worker runs a job now: 1 or 0.',
    value: (row) => (row.currentJob === null ? 0 : 1),
  },
  {
    name: 'readapt_worker_tokens_per_second',
    help: 'Tokens per second of the last job that has trained.',
    value: (row) => row.tokensPerSecond,
  },
  {
    name: 'readapt_worker_unreadable_bases',
    help: 'Number of base model versions that the worker cannot read.',
    value: (row) => row.unreadableBases.length,
  },
];

/**
 * Registers the metrics of all workers, which every API process reads from the database. If the database is
 * unreachable, they are left out, and all other metrics are still served.
 */
export function registerWorkerMetrics(registry: Registry, { db, logger }: { db: Database; logger: Logger }): void {
  let reading: Promise<WorkerRow[] | null> | null = null;
  /** Reads the rows of workers once for all gauges of a scrape; null if the read fails or takes too long. */
  const read = (): Promise<WorkerRow[] | null> => {
    reading ??= withTimeout(unstoppedWorkers(db), TIMEOUT_MS, 'the database')
      .catch((error: unknown) => {
        logger.warn({ err: error }, 'the metrics of workers could not be read');
        return null;
      })
      .finally(() => (reading = null));
    return reading;
  };
  for (const { name, help, value } of OF_EACH) {
    new Gauge({
      name,
      help,
      labelNames: ['worker', 'device', 'version'] as const,
      registers: [registry],
      async collect() {
        const rows = await read();
        this.reset();
        for (const row of rows?.filter(({ gone }) => !gone) ?? []) {
          const found = value(row);
          if (found !== null) this.set({ worker: row.id, device: row.device, version: row.version }, found);
        }
      },
    });
  }
  new Gauge({
    name: 'readapt_workers',
    help: 'Number of workers by state.',
    labelNames: ['state'] as const,
    registers: [registry],
    async collect() {
      const rows = await read();
      this.reset();
      // Set no value at all: zeros would claim that there are no workers.
      if (rows === null) return;
      const states = rows.map((row) => (row.gone ? 'gone' : row.state));
      for (const state of STATES) this.set({ state }, states.filter((one) => one === state).length);
    },
  });
}
