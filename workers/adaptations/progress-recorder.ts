import type { Logger } from '../../src/lib/logger.ts';
import { LeaseLostError, type JobLifecycle, type JobProgress, type Lease } from '../../src/modules/jobs/index.ts';
import type { Baselines, GateOutcomes, MetricName, MetricPointMessage } from '../training/protocol.ts';
import { adaptationRepository, type Measurements, type SearchPoint } from './adaptation.repository.ts';

export interface ProgressRecorder {
  /** Aborts with a LeaseLostError when the lease is gone: the job was cancelled or is somebody else's. */
  readonly lost: AbortSignal;
  progress(step: number, totalSteps: number, metric: number | null): void;
  baselines(target: number | null, baselines: Baselines): void;
  /** Of the adapter on the old base. */
  old(outcomes: GateOutcomes): void;
  points(points: readonly MetricPointMessage[]): void;
  search(search: SearchPoint): void;
  /** The value of a published candidate: from now on it is the one that counts. */
  published(value: number): void;
  /** Writes what has come together. @throws LeaseLostError, or the database's error */
  flush(): Promise<void>;
  stop(): void;
}

export interface RecorderOptions {
  lifecycle: JobLifecycle;
  lease: Lease;
  tenantId: string;
  sourceVersionId: string;
  metric: MetricName;
  /** What the row says already, after an earlier try. */
  known: JobProgress;
  /** Whether an earlier try has published a candidate. */
  published: boolean;
  logger: Logger;
  intervalMs: number;
}

const NO_MEASUREMENTS: Measurements = { points: [], searches: [], old: null };

/**
 * Keeps a job's lease alive and writes its progress with the same statement, in batches. While the database is away it
 * keeps what comes and tries again: as long as nobody else takes the job, nothing is lost.
 */
export function recordProgress(options: RecorderOptions): ProgressRecorder {
  const { lifecycle, lease, logger } = options;
  const lost = new AbortController();
  const state: JobProgress = { ...options.known };
  let { published } = options;
  let stopped = false;
  let waiting: Measurements = NO_MEASUREMENTS;
  let writing: Promise<void> = Promise.resolve();

  const write = async (): Promise<void> => {
    const batch = waiting;
    waiting = NO_MEASUREMENTS;
    const job = { id: lease.jobId, tenantId: options.tenantId, sourceVersionId: options.sourceVersionId };
    try {
      await lifecycle.heartbeat(lease, state, (tx) => adaptationRepository.insertMeasurements(tx, job, batch));
    } catch (error) {
      waiting = joined(batch, waiting);
      if (error instanceof LeaseLostError) lost.abort(error);
      throw error;
    }
  };
  const flush = (): Promise<void> => (writing = writing.catch(() => undefined).then(write));

  let timer = setTimeout(function beat() {
    void flush()
      .catch((error: unknown) => {
        if (!(error instanceof LeaseLostError)) logger.warn({ err: error }, 'heartbeat failed');
      })
      .finally(() => {
        if (!lost.signal.aborted && !stopped) timer = setTimeout(beat, options.intervalMs);
      });
  }, options.intervalMs);

  const better = (value: number): number => {
    if (state.metricBest === null) return value;
    return options.metric === 'loss' ? Math.min(state.metricBest, value) : Math.max(state.metricBest, value);
  };
  return {
    lost: lost.signal,
    progress(step, totalSteps, metric) {
      state.step = step;
      state.totalSteps = totalSteps;
      if (metric !== null && !published) state.metricBest = better(metric);
    },
    baselines(target, baselines) {
      state.metricTarget = target ?? state.metricTarget;
      state.metricOld = baselines.old_on_v1 ?? state.metricOld;
      state.metricNone = baselines.v2_no_adapter ?? state.metricNone;
      state.metricCopy = baselines.v2_copy ?? state.metricCopy;
    },
    old: (outcomes) => void (waiting = { ...waiting, old: outcomes }),
    points: (more) => void (waiting = { ...waiting, points: [...waiting.points, ...more] }),
    search: (search) => void (waiting = { ...waiting, searches: [...waiting.searches, search] }),
    published(value) {
      published = true;
      state.metricBest = value;
    },
    flush,
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

function joined(earlier: Measurements, later: Measurements): Measurements {
  return {
    points: [...earlier.points, ...later.points],
    searches: [...earlier.searches, ...later.searches],
    old: later.old ?? earlier.old,
  };
}
