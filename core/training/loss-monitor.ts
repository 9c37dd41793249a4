/** Step at which a run diverged. */
export interface Divergence {
  readonly step: number;
  readonly learningRate: number;
  /**
   * Last step after which the parameters were certainly sound: their loss was measured and is not among the losses that
   * raised the alarm. Negative if the run was bad from its first step.
   */
  readonly soundStep: number;
}

/**
 * Thrown when the loss of a run is not finite or has grown far beyond its beginning. Running again would diverge again.
 */
export class TrainingDivergedError extends Error {
  readonly code = 'training_diverged';
  readonly step: number;
  readonly learningRate: number;
  readonly soundStep: number;
  readonly #found: string;

  /** @param checkpointStep step of the last good checkpoint; null if there is none, omitted if the run keeps none */
  constructor(found: string, at: Divergence, checkpointStep?: number | null) {
    const { step, learningRate } = at;
    const checkpoint = checkpointStep === undefined ? '' : `; ${describeCheckpoint(checkpointStep)}`;
    const rate = Number(learningRate.toPrecision(4));
    super(`training diverged at step ${step}: ${found}; the learning rate was ${rate}, try a lower one${checkpoint}`);
    this.name = 'TrainingDivergedError';
    this.#found = found;
    this.step = step;
    this.learningRate = learningRate;
    this.soundStep = at.soundStep;
  }

  /** Returns the error with a message that also names the run's last good checkpoint. */
  withCheckpoints(steps: readonly number[]): TrainingDivergedError {
    const good = steps.filter((step) => step <= this.soundStep);
    return new TrainingDivergedError(this.#found, this, good.length > 0 ? Math.max(...good) : null);
  }
}

function describeCheckpoint(step: number | null): string {
  if (step === null) return 'there is no good checkpoint';
  return `the last good checkpoint is that of step ${step}${step === 0 ? ', the initial adapter' : ''}`;
}

/** The losses of the first and the last steps. Plain JSON. */
export interface LossHistory {
  readonly first: readonly number[];
  readonly last: readonly number[];
}

/** Number of first steps whose losses are kept. */
const FIRST = 10;
/** Number of last steps whose losses are kept. */
const LAST = 20;
const ALARM = 10;

/** Follows the loss of a run, and throws if it diverges. */
export class LossMonitor {
  readonly #limit: number;
  readonly #first: number[];
  readonly #last: number[];

  /** @param vocabSize sets the limit for the loss: a model that has learned nothing has a loss of ln(vocabSize) */
  constructor(vocabSize: number, history: LossHistory = { first: [], last: [] }) {
    this.#limit = 1.5 * Math.log(vocabSize);
    this.#first = [...history.first];
    this.#last = [...history.last];
  }

  /**
   * Records the loss of a step.
   * @throws TrainingDivergedError if the loss is not finite, or if the mean of the last 10 steps is above 1.5
   * ln(vocabSize) and above twice the mean of the first 10
   */
  record(loss: number, at: { step: number; learningRate: number }): void {
    // The loss of step n belongs to the parameters after n − 1 steps.
    if (!Number.isFinite(loss))
      throw new TrainingDivergedError(`the loss is ${loss}`, { ...at, soundStep: at.step - 2 });
    if (this.#first.length < FIRST) this.#first.push(loss);
    this.#last.push(loss);
    if (this.#last.length > LAST) this.#last.shift();
    if (this.#last.length < ALARM) return;
    const recent = mean(this.#last.slice(-ALARM));
    const begun = mean(this.#first);
    if (recent <= Math.max(2 * begun, this.#limit)) return;
    const found = `the loss rose from ${begun.toFixed(3)} to ${recent.toFixed(3)}`;
    throw new TrainingDivergedError(found, { ...at, soundStep: at.step - 1 - ALARM });
  }

  /** Returns the mean loss of the last 20 steps at most; NaN before the first step. */
  recent(): number {
    return mean(this.#last);
  }

  state(): LossHistory {
    return { first: [...this.#first], last: [...this.#last] };
  }
}

function mean(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0) / values.length;
}
