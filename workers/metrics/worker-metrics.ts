import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { ENTRY_NAMES } from '../../src/platform/queue/catalog.ts';
import type { ConsumerObserver } from '../../src/platform/queue/index.ts';
import type { Database } from '../../src/platform/database/database.ts';
import type { Logger } from '../../src/lib/logger.ts';
import type { ChangedJob } from '../../src/fleet/jobs/index.ts';
import type { JobObserver } from '../../src/fleet/job-control/index.ts';
import { jobClockRepository, type JobClock } from './job-clock.repository.ts';
import { INTERNAL_ERROR } from '../../src/platform/contract/shown-error.ts';
import { INSUFFICIENT_MEMORY } from '../adaptations/memory-check.ts';
import { MISSING_FILE, WORKER_FAULT } from '../faults/handler-faults.ts';
import { OUT_OF_MEMORY } from '../training/out-of-memory.ts';

/**
 * Error codes of failed attempts that are each counted in a time series of their own. All other codes share one time
 * series, because tenants' files can cause many different codes.
 */
const FAILURE_CODES: readonly string[] = [
  WORKER_FAULT,
  'disk_full',
  'timed_out',
  OUT_OF_MEMORY,
  INSUFFICIENT_MEMORY,
  'training_process_died',
  'training_process_not_started',
  'too_many_attempts',
  'quota_exceeded',
  'not_finite',
  MISSING_FILE,
  INTERNAL_ERROR,
];

/** Label of the time series that counts all error codes without a series of their own. */
const OTHER_FAILURE = 'other';

/** Label of the time series in which failed attempts with this error code are counted. */
function failureCodeOf(code: string): string {
  return FAILURE_CODES.includes(code) ? code : OTHER_FAILURE;
}

/**
 * Bounds of the histogram buckets for times to readiness, in seconds: from copying an adapter of a small model to
 * waiting a day in the queue.
 */
const TTR_BUCKETS = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14_400, 28_800, 86_400];
const PHASE_BUCKETS = [0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14_400, 86_400];

const ENDS = ['done', 'failed', 'fault', 'put_off'] as const;

/** Functions that read the duration of each phase from a job's clock, in milliseconds. */
const PHASES: Readonly<Record<string, (clock: JobClock) => number>> = {
  queue_wait: (clock) => clock.queueWaitMs,
  held: (clock) => clock.heldMs,
  prepare: (clock) => clock.prepareMs,
  evolution: (clock) => clock.evolutionMs,
  initialize: (clock) => clock.initializeMs,
  fine_tune: (clock) => clock.fineTuneMs,
  evaluate: (clock) => clock.evaluateMs,
  publish: (clock) => clock.publishMs,
};

/** Metrics that a worker reports about its own work. */
export interface WorkerMetrics {
  /** Counts and times the queue entries that the worker handles. */
  readonly consumer: ConsumerObserver;
  /** Counts and times the adaptation jobs and controls that the worker runs. */
  readonly jobs: JobObserver;
  /** Counts an attempt of an adaptation job or a control that failed or met a fault of the machine. */
  attemptFailed(code: string): void;
  swept(): void;
  housekept(task: string): void;
}

export interface WorkerMetricsOptions {
  registry: Registry;
  db: Database;
  logger: Logger;
  device: string;
}

export function createWorkerMetrics(options: WorkerMetricsOptions): WorkerMetrics {
  const { registry } = options;
  const failures = new Counter({
    name: 'readapt_job_attempts_failed_total',
    help: 'Number of attempts of adaptation jobs and controls that failed or met a fault of the machine, by code.',
    labelNames: ['code'] as const,
    registers: [registry],
  });
  for (const code of [...FAILURE_CODES, OTHER_FAILURE]) failures.inc({ code }, 0);
  const swept = lastSuccess(registry, 'sweeper', 'the last sweep of this worker');
  const housekept = lastSuccess(registry, 'housekeeping', 'the last housekeeping of this worker');
  return {
    consumer: observeConsumer(options),
    jobs: observeJobs(options),
    attemptFailed: (code) => failures.inc({ code: failureCodeOf(code) }),
    swept: () => swept.set({ task: 'sweep' }, Date.now() / 1000),
    housekept: (task) => housekept.set({ task: task.replaceAll(' ', '_') }, Date.now() / 1000),
  };
}

function lastSuccess(registry: Registry, name: string, what: string) {
  return new Gauge({
    name: `readapt_${name}_last_success_timestamp_seconds`,
    help: `When ${what} ended well, by task, as a Unix time.`,
    labelNames: ['task'] as const,
    registers: [registry],
  });
}

function observeConsumer({ registry, device }: WorkerMetricsOptions): ConsumerObserver {
  const attempts = new Counter({
    name: 'readapt_queue_job_attempts_total',
    help: "Number of times that this worker has run a job of the queue, by the job's name and how it ended.",
    labelNames: ['job', 'end'] as const,
    registers: [registry],
  });
  const seconds = new Counter({
    name: 'readapt_device_seconds_total',
    help: 'For how long this worker has worked with its device, in seconds, by device and by the name of the job.',
    labelNames: ['device', 'job'] as const,
    registers: [registry],
  });
  for (const job of ENTRY_NAMES) {
    seconds.inc({ device, job }, 0);
    for (const end of ENDS) attempts.inc({ job, end }, 0);
  }
  return {
    begin: (_id, job) => (end, ms) => {
      attempts.inc({ job, end });
      // An entry that is put off has waited for its turn and computed nothing.
      if (end !== 'put_off') seconds.inc({ device, job }, ms / 1000);
    },
    quarantine: () => undefined,
  };
}

function observeJobs({ registry, db, logger }: WorkerMetricsOptions): JobObserver {
  const ttr = new Histogram({
    name: 'readapt_time_to_readiness_seconds',
    help:
      'Time from the POST to the first publication of an adapter, in seconds, ' +
      'by the strategy that it was published by.',
    labelNames: ['strategy'] as const,
    buckets: TTR_BUCKETS,
    registers: [registry],
  });
  const phases = new Histogram({
    name: 'readapt_job_phase_duration_seconds',
    help: 'Time of a phase of a job until it was ready or ended otherwise, in seconds, by kind of job and phase.',
    labelNames: ['kind', 'phase'] as const,
    buckets: PHASE_BUCKETS,
    registers: [registry],
  });
  const ended = new Counter({
    name: 'readapt_jobs_ended_total',
    help: 'Number of jobs that this worker has ended, by kind and state.',
    labelNames: ['kind', 'state'] as const,
    registers: [registry],
  });
  for (const kind of ['adaptation', 'control'])
    for (const state of ['ready', 'not_ready', 'failed']) ended.inc({ kind, state }, 0);

  /**
   * Records the times of a job whose clock has stopped. The clock stops once: when the job becomes ready, or when it
   * ends without becoming ready.
   */
  const clockStopped = async ({ id }: ChangedJob): Promise<void> => {
    const clock = await jobClockRepository.find(db, id);
    if (clock === null) return;
    const { kind, ttrMs, wonStrategy } = clock;
    if (kind === 'adaptation' && ttrMs !== null) ttr.observe({ strategy: wonStrategy ?? 'none' }, ttrMs / 1000);
    for (const [phase, ms] of Object.entries(PHASES)) phases.observe({ kind, phase }, ms(clock) / 1000);
  };
  const measure = (job: ChangedJob): void => {
    if (job.old_state === 'ready') return;
    clockStopped(job).catch((error: unknown) => logger.warn({ err: error, jobId: job.id }, 'a job was not measured'));
  };
  return {
    published: measure,
    ended: (job) => {
      ended.inc({ kind: job.kind, state: job.state });
      measure(job);
    },
  };
}
