/** Point of a training run at which its divergence was found: the step, its learning rate, and the last sound step. */
export interface Divergence {
  readonly step: number;
  readonly learningRate: number;
  /**
   * Last step after which the adapter's parameters were certainly sound: their loss was measured and is not among the
   * losses that raised the alarm. Negative if the parameters may have been bad from the first step on.
   */
  readonly soundStep: number;
}

/**
 * Error thrown when a training diverges: its loss is not finite or has grown far beyond that of its first steps.
 * Running the training again would only repeat this.
 */
export class TrainingDivergedError extends Error {
  readonly code = 'training_diverged';
  readonly step: number;
  readonly learningRate: number;
  readonly soundStep: number;
  readonly #found: string;

  /**
   * @param found description of the loss that raised the alarm
   * @param checkpointStep step of the last good checkpoint; null if none is good, omitted if the run keeps no
   * checkpoints
   */
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

  /**
   * Returns this error with a message that also names the last good checkpoint.
   * @param steps steps of the run's checkpoints
   */
  withCheckpoints(steps: readonly number[]): TrainingDivergedError {
    const good = steps.filter((step) => step <= this.soundStep);
    return new TrainingDivergedError(this.#found, this, good.length > 0 ? Math.max(...good) : null);
  }
}

function describeCheckpoint(step: number | null): string {
  if (step === null) return 'there is no good checkpoint';
  return `the last good checkpoint is that of step ${step}${step === 0 ? ', the initial adapter' : ''}`;
}

/** Losses of the first and of the last steps of a run, in nats a completion token. Plain JSON. */
export interface LossHistory {
  readonly first: readonly number[];
  readonly last: readonly number[];
}

/** Number of steps at the beginning of a run whose losses are kept. */
const FIRST = 10;
/** Number of latest steps whose losses are kept. */
const LAST = 20;
const ALARM = 10;

/** Follows the loss of a training from step to step, and throws an error if the training diverges. */
export class LossMonitor {
  readonly #limit: number;
  readonly #first: number[];
  readonly #last: number[];

  /**
   * @param vocabSize number of tokens in the vocabulary, from which the limit for the loss follows: a model that has
   * learned nothing has a loss of ln(vocabSize)
   */
  constructor(vocabSize: number, history: LossHistory = { first: [], last: [] }) {
    this.#limit = 1.5 * Math.log(vocabSize);
    this.#first = [...history.first];
    this.#last = [...history.last];
  }

  /**
   * Records the loss of a step, in nats a completion token.
   * @throws TrainingDivergedError if the loss is not finite, or if the mean of the last 10 steps is above 1.5
   * ln(vocabSize) and also above twice the mean of the first 10
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

  /** Returns the mean loss of the last 20 steps, or of all steps if there were fewer; NaN before the first step. */
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
