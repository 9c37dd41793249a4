import type { GateOutcomes } from '../../../core/adaptation/measurements/gate-outcomes.ts';
import type { MetricPoint } from '../../../core/adaptation/job-events.ts';
import type { Baselines } from '../../../core/adaptation/baselines.ts';
import type { RowFormat } from '../../../core/adaptation/setup/row-format.ts';
import type { LadderDocument } from '../../../core/method/ladder/ladder-document.ts';
import type { MetricName } from '../../../core/options/metrics.ts';
import type { Logger } from '../../../src/lib/logger.ts';
import {
  LeaseLostError,
  type JobLifecycle,
  type JobProgress,
  type JobLease,
} from '../../../src/fleet/job-control/index.ts';
import type { JobAnchor } from '../anchors/anchor.repository.ts';
import type { LadderOwner } from '../ladder.repository.ts';
import {
  adaptationRepository,
  NO_PENDING_MEASUREMENTS,
  type PendingMeasurements,
  type SearchRow,
} from '../adaptation.repository.ts';

export interface ProgressRecorder {
  /** Signal that aborts with a LeaseLostError when the lease is lost, because the job was cancelled or taken over. */
  readonly lost: AbortSignal;
  /** Number of training steps that the job has done so far. */
  readonly step: number;
  progress(step: number, totalSteps: number): void;
  baselines(target: number | null, baselines: Baselines): void;
  oldMeasured(outcomes: GateOutcomes): void;
  /** Records the adapter version against which the gate measures the allowed loss. */
  anchor(anchor: JobAnchor): void;
  rowFormat(format: RowFormat): void;
  /** Records a warning for the adapter's owner. */
  warning(message: string): void;
  /** Records the results of the ladder's rungs so far, in place of earlier ones. */
  ladder(ladder: LadderDocument): void;
  points(points: readonly MetricPoint[]): void;
  search(search: SearchRow): void;
  /**
   * Records the metric of a candidate as the job's metric. Until a candidate is published, the best of these values is
   * kept.
   */
  candidate(value: number): void;
  /**
   * Records the metric of a published candidate as the job's metric. From then on, unpublished candidates do not change
   * it.
   */
  published(value: number): void;
  /**
   * Writes everything recorded since the last call to the database.
   * @throws LeaseLostError, or the error of the database
   */
  flush(): Promise<void>;
  stop(): void;
}

export interface RecorderOptions {
  lifecycle: JobLifecycle;
  lease: JobLease;
  /** Job whose progress is recorded. */
  job: LadderOwner & { sourceVersionId: string };
  metric: MetricName;
  /** Progress that earlier attempts of the job have stored. */
  known: JobProgress;
  /** Whether an earlier attempt of the job has published a candidate. */
  published: boolean;
  logger: Logger;
  intervalMs: number;
}

/**
 * Renews a job's lease and writes its progress with the same statement, in batches. While the database is unreachable,
 * the recorder keeps its records and tries again, so nothing is lost unless another worker takes the job over.
 */
export function recordProgress(options: RecorderOptions): ProgressRecorder {
  const { lifecycle, lease, logger } = options;
  const lost = new AbortController();
  const state: JobProgress = { ...options.known };
  let { published } = options;
  let stopped = false;
  let waiting: PendingMeasurements = NO_PENDING_MEASUREMENTS;
  let writing: Promise<void> = Promise.resolve();

  const write = async (): Promise<void> => {
    const batch = waiting;
    waiting = NO_PENDING_MEASUREMENTS;
    try {
      await lifecycle.heartbeat(lease, state, (tx) => adaptationRepository.insertMeasurements(tx, options.job, batch));
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
    get step() {
      return state.step;
    },
    progress(step, totalSteps) {
      state.step = step;
      state.totalSteps = totalSteps;
    },
    candidate(value) {
      if (!published) state.metricBest = better(value);
    },
    baselines(target, { old, none, copy }) {
      state.metricTarget = target ?? state.metricTarget;
      state.metricOld = old ?? state.metricOld;
      state.metricNone = none ?? state.metricNone;
      state.metricCopy = copy ?? state.metricCopy;
    },
    oldMeasured: (outcomes) => void (waiting = { ...waiting, old: outcomes }),
    anchor: (anchor) => void (waiting = { ...waiting, anchor }),
    rowFormat: (format) => void (waiting = { ...waiting, rowFormat: format }),
    warning: (message) => void (waiting = { ...waiting, warnings: [...waiting.warnings, message] }),
    ladder: (ladder) => void (waiting = { ...waiting, ladder }),
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

function joined(earlier: PendingMeasurements, later: PendingMeasurements): PendingMeasurements {
  return {
    points: [...earlier.points, ...later.points],
    searches: [...earlier.searches, ...later.searches],
    old: later.old ?? earlier.old,
    anchor: later.anchor ?? earlier.anchor,
    rowFormat: later.rowFormat ?? earlier.rowFormat,
    warnings: [...earlier.warnings, ...later.warnings],
    ladder: later.ladder ?? earlier.ladder,
  };
}
