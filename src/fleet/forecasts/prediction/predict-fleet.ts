import type { Queryable } from '../../../platform/database/database.ts';
import { historyRepository, type WantedJobs } from './history.repository.ts';
import { LIKENESSES, type Likeness } from './likeness.ts';
import { predictRollout, type FleetToPredict, type JobClass, type MeasuredJob, type Prediction } from './predict.ts';

/**
 * Smallest number of measured jobs from which a prediction is made. If fewer jobs have one degree of likeness, jobs of
 * the next lower degree are used.
 */
const FEWEST_JOBS = 3;

/** Measured jobs from which a prediction is made, for one old base model version. */
export interface Basis {
  readonly old_base_model_version_id: string;
  readonly likeness: Likeness | null;
  /** Number of measured jobs. `rollouts` is the number of rollouts that these jobs belong to. */
  readonly jobs: number;
  readonly rollouts: number;
  /** Sentence for people that says from which jobs the prediction is made. */
  readonly text: string;
}

export interface PredictedFleet {
  /** Predicted times of the rollout; null if no similar jobs were measured for some of the rollout's jobs. */
  readonly prediction: Prediction | null;
  /** Reason why some or all figures are not predicted; null if every figure is predicted. */
  readonly reason: string | null;
  readonly basis: readonly Basis[];
}

/** Jobs that would carry over the adapters of one old base model version. */
export interface WantedClass extends Omit<WantedJobs, 'kind'> {
  readonly jobs: number;
  /**
   * Estimated number of these jobs whose adapters may get a control: all jobs but those that need a tenant's approval.
   */
  readonly controllable: number;
}

interface Queue extends Omit<FleetToPredict, 'classes' | 'controls'> {
  /** Number of controls that the rollout would have. */
  readonly controls: number;
}

/**
 * Predicts the times of a rollout from jobs that have ended. For each old base model version, it uses the jobs that are
 * most similar to those of the rollout.
 */
export async function predictFleet(
  db: Queryable,
  wanted: readonly WantedClass[],
  { controls: controlCount, ...queue }: Queue,
): Promise<PredictedFleet> {
  const classes: JobClass[] = [];
  const basis: Basis[] = [];
  for (const each of wanted) {
    const { likeness, measured } = await mostAlike(db, { ...each, kind: 'adaptation' });
    basis.push(describe(each, likeness, measured));
    if (likeness !== null) classes.push({ jobs: each.jobs, measured, samePair: likeness === 'pair' });
  }
  if (classes.length < wanted.length) return { prediction: null, reason: UNKNOWN, basis };
  const controls = await controlsOf(db, wanted, controlCount);
  const prediction = predictRollout({ ...queue, classes, controls });
  return {
    prediction,
    reason: queue.speeds.length === 0 ? NO_WORKER : controls === null ? UNKNOWN_CONTROLS : null,
    basis,
  };
}

/**
 * Finds the measured jobs from which a rollout's controls are predicted. Returns null if no similar jobs were measured
 * for some of the controls.
 */
async function controlsOf(
  db: Queryable,
  wanted: readonly WantedClass[],
  jobs: number,
): Promise<FleetToPredict['controls']> {
  const classes: JobClass[] = [];
  for (const each of jobs === 0 ? [] : wanted) {
    if (each.controllable === 0) continue;
    const { likeness, measured } = await mostAlike(db, { ...each, kind: 'control', strategy: 'scratch' });
    if (likeness === null) return null;
    classes.push({ jobs: each.controllable, measured, samePair: likeness === 'pair' });
  }
  return { jobs, classes };
}

const UNKNOWN =
  'no device time was measured that these jobs could be compared with: it is known when the first few ' +
  'adaptations have ended';
const UNKNOWN_CONTROLS =
  'no job that trains from scratch was measured, so neither the time of controls is predicted nor when the ' +
  'rollout ends with them';
const NO_WORKER = 'no worker is ready that can read the base model version, so only the device seconds are predicted';

async function mostAlike(
  db: Queryable,
  wanted: WantedJobs,
): Promise<{ likeness: Likeness | null; measured: readonly MeasuredJob[] }> {
  for (const likeness of LIKENESSES) {
    const measured = await historyRepository.jobs(db, wanted, likeness);
    if (measured.length >= FEWEST_JOBS) return { likeness, measured };
  }
  return { likeness: null, measured: [] };
}

const OF = {
  pair: 'between the same two base model versions',
  base_model: 'of this base model',
  size: 'of other base models, scaled by parameters and rows',
} as const satisfies Record<Likeness, string>;

function describe(wanted: WantedClass, likeness: Likeness | null, measured: readonly MeasuredJob[]): Basis {
  const rollouts = new Set(measured.map(({ rolloutId }) => rolloutId)).size;
  const from = `from ${measured.length} jobs of ${rollouts === 1 ? 'one rollout' : `${rollouts} rollouts`}`;
  return {
    old_base_model_version_id: wanted.oldBaseModelVersionId,
    likeness,
    jobs: measured.length,
    rollouts,
    text: likeness === null ? 'no adaptation that could be compared has ended yet' : `${from} ${OF[likeness]}`,
  };
}
